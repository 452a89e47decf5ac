package patch

import (
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// pointer is a parsed JSON Pointer (RFC 6901).
type pointer []string

// parsePointer splits and unescapes. "" is the whole document.
func parsePointer(s string) (pointer, bool) {
	if s == "" {
		return pointer{}, true
	}
	if s[0] != '/' {
		return nil, false
	}
	tokens := strings.Split(s[1:], "/")
	for i, t := range tokens {
		plain, ok := unescape(t)
		if !ok {
			return nil, false
		}
		tokens[i] = plain
	}
	return tokens, true
}

// unescape decodes ~1 and ~0 (RFC 6901 §4); a tilde before anything else is an
// error (§3).
func unescape(t string) (string, bool) {
	if !strings.Contains(t, "~") {
		return t, true
	}
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		if t[i] != '~' {
			b.WriteByte(t[i])
			continue
		}
		i++
		switch {
		case i < len(t) && t[i] == '0':
			b.WriteByte('~')
		case i < len(t) && t[i] == '1':
			b.WriteByte('/')
		default:
			return "", false
		}
	}
	return b.String(), true
}

// String shows the pointer without what could be client data.
func (p pointer) String() string {
	var b strings.Builder
	for _, t := range p {
		b.WriteByte('/')
		if _, isIndex := arrayIndex(t); isIndex || t == "-" || elementName(t) {
			b.WriteString(t)
		} else {
			b.WriteByte('?')
		}
	}
	return b.String()
}

// elements are the member names of the pointer.
func (p pointer) elements() (names []string) {
	for _, t := range p {
		if _, isIndex := arrayIndex(t); !isIndex && t != "-" {
			names = append(names, strings.TrimPrefix(t, "_"))
		}
	}
	return names
}

// within reports whether p is a location below outer.
func (p pointer) within(outer pointer) bool {
	if len(p) <= len(outer) {
		return false
	}
	for i := range outer {
		if p[i] != outer[i] {
			return false
		}
	}
	return true
}

func (p pointer) equal(other pointer) bool {
	return len(p) == len(other) && (len(p) == 0 || p.within(other[:len(other)-1]) && p[len(p)-1] == other[len(other)-1])
}

// arrayIndex reads an index: digits without leading zeros (RFC 6901 §4).
func arrayIndex(t string) (int, bool) {
	if t == "" || len(t) > 9 || t[0] == '0' && len(t) > 1 || strings.Trim(t, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(t)
	return n, err == nil
}

// find returns the value at p, nil when there is none.
func (p pointer) find(n *fhir.Node, e *effort) *fhir.Node {
	for _, t := range p {
		if !e.look(n.Len()) {
			return nil
		}
		if n = child(n, t); n == nil {
			return nil
		}
	}
	return n
}

func child(n *fhir.Node, token string) *fhir.Node {
	switch n.Kind() {
	case fhir.Object:
		return n.Member(token)
	case fhir.Array:
		if i, ok := arrayIndex(token); ok && i < n.Len() {
			return n.At(i)
		}
	}
	return nil
}
