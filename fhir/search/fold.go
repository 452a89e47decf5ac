package search

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold maps a text to what string parameters compare: case, accents and
// punctuation make no difference (R4 search.html#string).
//
// Compatibility forms are decomposed, combining marks dropped, letters
// lowered; letters that have no decomposition become their base (ß ss, ø o,
// æ ae, œ oe, đ d, ð d, þ th, ł l, ħ h, ı i, ς σ). Apostrophes and full stops
// vanish ("O'Brien" is "obrien", "St. John" is "st john"); all other
// punctuation and white space becomes one space between words, none at the
// ends. Stored tokens depend on this rule: it may only change together with
// the index format.
func Fold(s string) string {
	ascii, folded := survey(s)
	if folded {
		return s
	}
	if !ascii {
		// The spacing acute accent, which people type for an apostrophe, would
		// decompose into a space; norm leaves what follows broken UTF-8 as it is.
		s = norm.NFKD.String(strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "´", "'"))
	}
	f := folder{}
	f.b.Grow(len(s))
	for _, r := range s {
		f.add(r)
	}
	return f.b.String()
}

// survey tells whether a text is ASCII, and whether it is plainly what Fold
// would make of it.
func survey(s string) (ascii, folded bool) {
	folded = true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			return false, false
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		case c == ' ' && i > 0 && i < len(s)-1 && s[i-1] != ' ':
		default:
			folded = false
		}
	}
	return true, folded
}

// folder writes folded runes; a space waits until a word follows it.
type folder struct {
	b     strings.Builder
	space bool
}

func (f *folder) add(r rune) {
	switch {
	case r == '\'' || r == '.' || r == '’' || r == '‘' || r == 'ʼ' || r == '`' || unicode.Is(unicode.M, r):
		return
	case unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.IsControl(r):
		f.space = f.b.Len() > 0
		return
	}
	if f.space {
		f.b.WriteByte(' ')
		f.space = false
	}
	if base := undecomposed(unicode.ToLower(r)); base != "" {
		f.b.WriteString(base)
		return
	}
	f.b.WriteRune(unicode.ToLower(r))
}

// undecomposed are the base letters of those that Unicode does not decompose.
func undecomposed(r rune) string {
	switch r {
	case 'ß':
		return "ss"
	case 'æ':
		return "ae"
	case 'œ':
		return "oe"
	case 'þ':
		return "th"
	case 'ø':
		return "o"
	case 'đ', 'ð':
		return "d"
	case 'ł':
		return "l"
	case 'ħ':
		return "h"
	case 'ı':
		return "i"
	case 'ς':
		return "σ"
	}
	return ""
}
