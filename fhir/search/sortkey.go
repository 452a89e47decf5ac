package search

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/fhir"
)

// SortKeyValue is what a resource is sorted by for one key of _sort. Keys of
// one parameter and direction compare with CompareSort; so do the bytes that
// AppendSortKey writes, also with several keys one after another. The zero
// value is that of a resource without value, which comes last in both
// directions.
//
// A SortKeyValue is patient data: it prints nothing of itself. Its bytes may
// leave the server only sealed.
type SortKeyValue struct{ bytes string }

// String says nothing of the key.
func (SortKeyValue) String() string { return "sort key" }

// Format keeps every verb from printing the bytes.
func (k SortKeyValue) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// SortValue finds the key of a resource: its lowest value, or for descending
// the highest (R4 search.html#sort); ok is false when it has none. What orders
// two values:
//
//	number     lower end, upper end
//	date       first instant, last instant
//	string     folded text, then the text itself
//	token      code, system
//	reference  type and id, or URL
//	quantity   unit, then as number; UCUM units by dimension and canonical value
//	uri        bytes
//
// An open lower end comes before, an open upper end after everything.
func (c *Catalog) SortValue(p *Parameter, r *fhir.Resource, descending bool) (key SortKeyValue, ok bool) {
	best := ""
	var buf []byte
	c.Extract(p, r, func(v *Value) bool {
		if buf = appendValueKey(buf[:0], p.Kind, v); len(buf) == 0 {
			return true
		}
		if descending {
			invert(buf)
		}
		if b := string(buf); !ok || b < best {
			best, ok = b, true
		}
		return true
	})
	if !ok {
		return SortKeyValue{}, false
	}
	return SortKeyValue{best}, true
}

// CompareSort orders two keys of one parameter and direction: negative when a
// comes first on the page.
func CompareSort(a, b SortKeyValue) int {
	switch {
	case a.bytes == "" || b.bytes == "":
		return len(b.bytes) - len(a.bytes)
	}
	return strings.Compare(a.bytes, b.bytes)
}

const (
	hasValue = 0x01
	noValue  = 0x02
)

// AppendSortKey appends the key so that bytes compare as keys do. No encoding
// is the beginning of another, so keys may follow each other.
func AppendSortKey(dst []byte, k SortKeyValue) []byte {
	if k.bytes == "" {
		return append(dst, noValue)
	}
	return append(append(dst, hasValue), k.bytes...)
}

// invert turns the order of an encoding around.
func invert(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

// appendValueKey encodes one value so that bytes compare as values do. What has
// nothing to sort by, such as a concept of text alone, adds nothing.
func appendValueKey(dst []byte, k Kind, v *Value) []byte {
	switch k {
	case Number:
		return appendEnds(dst, v.Low, v.High)
	case Date:
		return appendTime(appendTime(dst, v.From), v.Until)
	case String:
		return appendText(appendText(dst, Fold(v.Text)), v.Text)
	case TokenKind:
		if v.Code == "" {
			return dst
		}
		return appendText(appendText(dst, v.Code), v.System)
	case ReferenceKind:
		if v.ID != "" {
			return appendText(dst, v.Type+"/"+v.ID)
		}
		if v.URL == "" {
			return dst
		}
		return appendText(dst, v.URL)
	case QuantityKind:
		return appendQuantity(dst, v)
	}
	return appendText(dst, v.Text)
}

func appendQuantity(dst []byte, v *Value) []byte {
	unit := v.Code
	if unit == "" {
		unit = v.Unit
	}
	low, high := v.Low, v.High
	if v.Code != "" {
		if l, h, base, ok := CanonicalEnds(v); ok {
			low, high, unit = l, h, base
		}
	}
	return appendEnds(appendText(dst, unit), low, high)
}

// appendTime encodes an instant, the sign bit flipped.
func appendTime(dst []byte, t int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(t)^1<<63) // #nosec G115 -- the bits are meant
}

// appendText encodes a text and its end: a zero byte inside is followed by
// 0xFF, the end by 0x01.
func appendText(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		dst = append(dst, s[i])
		if s[i] == 0 {
			dst = append(dst, 0xFF)
		}
	}
	return append(dst, 0, 1)
}

// The first byte of a number, in its order.
const (
	openBelow = iota + 1
	negative
	zero
	positive
	openAbove
)

func appendEnds(dst []byte, low, high *apd.Decimal) []byte {
	return appendDecimal(appendDecimal(dst, low, openBelow), high, openAbove)
}

// appendDecimal encodes a number exactly: its sign, the power of ten of its
// first digit, then the digits without the zeros at the end. A negative one has
// all that inverted. nil is the open end.
func appendDecimal(dst []byte, d *apd.Decimal, open byte) []byte {
	switch {
	case d == nil:
		return append(dst, open)
	case d.IsZero():
		return append(dst, zero)
	}
	digits := d.Coeff.String()
	magnitude := int64(d.Exponent) + int64(len(digits))
	sign := byte(positive)
	if d.Negative {
		sign = negative
	}
	dst = append(dst, sign)
	start := len(dst)
	dst = appendTime(dst, magnitude)
	dst = append(dst, strings.TrimRight(digits, "0")...)
	dst = append(dst, 0)
	if d.Negative {
		invert(dst[start:])
	}
	return dst
}
