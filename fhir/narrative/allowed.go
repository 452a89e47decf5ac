package narrative

import (
	"html"
	"strings"
)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// allowedElements is the list of txt-1 and what else the chapters of HTML 4.0
// hold that its text names: kbd, address, bdo and the font styles of chapter 15.
var allowedElements = set(`a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em
	h1 h2 h3 h4 h5 h6 hr i img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var
	address bdo center font kbd s strike u`)

// allowedAttributes is the list of txt-1, the language and space attributes of
// XML, and those of the font elements.
var allowedAttributes = set(`abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign
	char charoff charset cite class colspan compact coords dir frame headers height href hreflang hspace id lang
	longdesc name nowrap rel rev rowspan rules scope shape span src start style summary tabindex title type valign
	value vspace width xml:lang xml:space xml:id clear color face noshade size`)

// linkAttributes hold URLs.
var linkAttributes = set("href src cite longdesc")

// safeLink refuses schemes that run script. Browsers drop white space and
// control characters in and before the scheme, so these are dropped here too.
// An image may be a data URL of an image.
func safeLink(value string, image bool) bool {
	scheme, rest, found := strings.Cut(squeeze(html.UnescapeString(value)), ":")
	if !found || strings.ContainsAny(scheme, "/?#") {
		return true // relative
	}
	switch scheme {
	case "http", "https", "mailto", "tel", "fax", "ftp", "urn", "cid":
		return true
	case "data":
		return image && strings.HasPrefix(rest, "image/")
	}
	return false
}

// safeStyle refuses the ways in which a style attribute has run script or
// loaded a sheet, with CSS comments and escapes.
func safeStyle(value string) bool {
	v := squeeze(html.UnescapeString(value))
	for _, bad := range []string{"javascript:", "vbscript:", "expression(", "@import", "behavior:", "-moz-binding", "\\", "/*"} {
		if strings.Contains(v, bad) {
			return false
		}
	}
	return true
}

// squeeze drops white space and control characters and lowers ASCII letters.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r <= ' ' || r == 0x7f || r == 0xa0:
			return -1
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
