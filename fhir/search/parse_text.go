package search

import (
	"net/url"
	"strings"
)

// Limits of a query. A search that people or interfaces write stays far below;
// what is above costs work before it can be refused otherwise.
const (
	MaxQueryBytes  = 16 << 10
	MaxValueBytes  = 2 << 10 // one alternative
	MaxValues      = 100     // alternatives of all conditions together
	MaxCount       = 1000
	MaxHops        = 6 // chain and _has together, in one condition
	MaxIncludes    = 20
	MaxSortKeys    = 8
	MaxExpressions = 1000 // types that the untyped chains of a query expand to
)

func unescapePair(pair string) (name, value string, err error) {
	name, value, _ = strings.Cut(pair, "=")
	if name, err = url.QueryUnescape(name); err != nil {
		return "", "", &ParameterError{Reason: "bad percent-encoding", Err: ErrMalformed}
	}
	if value, err = url.QueryUnescape(value); err != nil {
		return "", "", &ParameterError{Parameter: printable(name), Reason: "bad percent-encoding", Err: ErrMalformed}
	}
	return name, value, nil
}

// split cuts at every separator that no backslash precedes
// (R4 search.html#escaping).
func split(s string, sep byte) []string {
	var parts []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			if i == len(s) || strings.IndexByte(`,|$\`, s[i]) < 0 {
				return "", false
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

// maxNameBytes is what an error repeats of a name: no parameter's comes near it.
const maxNameBytes = 64

// printable is a parameter name as an error may repeat it: names are short
// words, and what is not may be a value in the wrong place.
func printable(name string) string {
	if len(name) > maxNameBytes || strings.ContainsFunc(name, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:", r)
	}) {
		return "(name withheld)"
	}
	return name
}

// Escape writes a value so that Parse reads it back as one literal: \, comma,
// bar and dollar escaped, then percent-encoded.
func Escape(value string) string {
	return url.QueryEscape(escaper.Replace(value))
}

var escaper = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)
