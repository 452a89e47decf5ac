package fhir

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

const hexDigits = "0123456789abcdef"

// quote appends s as a JSON string. Only what RFC 8259 §7 demands is escaped:
// no HTML escaping, because narrative must stay readable for signatures and
// people. Invalid UTF-8 becomes U+FFFD.
func quote(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = appendEscape(append(dst, s[start:i]...), c)
			start = i + 1
		}
		i++
	}
	return append(append(dst, s[start:]...), '"')
}

// AppendString appends s as a JSON string literal.
func AppendString(dst []byte, s string) []byte { return quote(dst, s) }

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// unquote decodes a string literal that the parser has accepted. Without
// escapes the result aliases raw.
func unquote(raw []byte) string {
	if len(raw) < 2 {
		return ""
	}
	body := raw[1 : len(raw)-1]
	i := bytes.IndexByte(body, '\\')
	if i < 0 {
		return bytesString(body)
	}
	out := make([]byte, 0, len(body))
	for i >= 0 {
		out = append(out, body[:i]...)
		var n int
		out, n = appendUnescaped(out, body[i:])
		body = body[i+n:]
		i = bytes.IndexByte(body, '\\')
	}
	return bytesString(append(out, body...))
}

// appendUnescaped decodes the escape at the start of s and returns its length.
func appendUnescaped(dst, s []byte) ([]byte, int) {
	switch s[1] {
	case 'b':
		return append(dst, '\b'), 2
	case 'f':
		return append(dst, '\f'), 2
	case 'n':
		return append(dst, '\n'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 't':
		return append(dst, '\t'), 2
	case 'u':
		r := hex4(s[2:])
		if utf16.IsSurrogate(r) {
			return utf8.AppendRune(dst, utf16.DecodeRune(r, hex4(s[8:]))), 12
		}
		return utf8.AppendRune(dst, r), 6
	}
	return append(dst, s[1]), 2
}

// hex4 reads four hexadecimal digits, -1 when they are not there.
func hex4(s []byte) rune {
	if len(s) < 4 {
		return -1
	}
	var r rune
	for _, c := range s[:4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}

const (
	swarOnes = 0x0101010101010101
	swarHigh = 0x8080808080808080
)

// special returns the index at or after i of the first quote, backslash or
// control character, or len(b). Eight bytes are examined at a time; the
// subtractions borrow only into higher bytes, so the lowest hit is exact.
func special(b []byte, i int) int {
	for i+8 <= len(b) {
		v := binary.LittleEndian.Uint64(b[i:])
		q := v ^ swarOnes*'"'
		s := v ^ swarOnes*'\\'
		hit := ((q-swarOnes)&^q | (s-swarOnes)&^s | (v-swarOnes*' ')&^v) & swarHigh
		if hit != 0 {
			return i + bits.TrailingZeros64(hit)>>3
		}
		i += 8
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '"' || c == '\\' || c < ' ' {
			return i
		}
	}
	return i
}

// setName gives the node the decoded form of a member name literal (with its
// quotes). A name that was sent with escapes is followed in memory by that
// literal, so that a Node needs no further field for this rare case.
func (n *Node) setName(literal []byte) {
	body := literal[1 : len(literal)-1]
	if bytes.IndexByte(body, '\\') < 0 {
		n.name, n.rawName = bytesString(body), 0
		return
	}
	decoded := unquote(literal)
	both := append(append(make([]byte, 0, len(decoded)+len(literal)), decoded...), literal...)
	n.name, n.rawName = bytesString(both)[:len(decoded)], uint32(len(literal))
}

func appendName(dst []byte, n *Node) []byte {
	if n.rawName != 0 {
		both := unsafe.Slice(unsafe.StringData(n.name), len(n.name)+int(n.rawName)) // #nosec G103 -- name and its raw form lie in one buffer
		return append(dst, both[len(n.name):]...)
	}
	b := unsafe.Slice(unsafe.StringData(n.name), len(n.name)) // #nosec G103 -- read only
	if special(b, 0) < len(b) {
		return quote(dst, n.name)
	}
	return append(append(append(dst, '"'), b...), '"')
}

// AppendName appends the member name as the client spelled it, quotes
// included.
func (n *Node) AppendName(dst []byte) []byte { return appendName(dst, n) }
