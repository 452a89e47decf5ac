package bundle

import (
	"html"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// narrative replaces the targets of links and images (R4 narrative.html: a/@href
// and img/@src) inside the JSON literal, so that all other bytes stay as they
// were sent.
func (w *rewriter) narrative(n *fhir.Node) {
	text := n.Text()
	if !strings.Contains(text, "href") && !strings.Contains(text, "src") {
		return
	}
	var edits []edit
	for _, l := range links(text) {
		if target := w.link(html.UnescapeString(text[l.start:l.end])); target != "" {
			l.text = target
			edits = append(edits, l)
		}
	}
	if len(edits) == 0 {
		return
	}
	old := *n
	*n = fhir.NewLiteral(splice(n.Raw(), edits))
	n.KeepName(&old)
}

// edit is a part of a text and what takes its place, which needs no escape.
type edit struct {
	start, end int
	text       string
}

// splice applies edits, given in offsets of the decoded text, to a literal.
func splice(raw []byte, edits []edit) []byte {
	out := make([]byte, 0, len(raw)+64)
	at, done := 0, 0 // offset in the text, and what of the literal is copied
	for i := 1; i < len(raw) && len(edits) > 0; {
		switch e := &edits[0]; {
		case at == e.start && e.text != "":
			out = append(append(out, raw[done:i]...), e.text...)
			e.text = ""
			continue
		case at >= e.end:
			done, edits = i, edits[1:]
			continue
		}
		size, decoded := char(raw[i:])
		i, at = i+size, at+decoded
	}
	return append(out, raw[done:]...)
}

// char is the size of the character at the start of a string literal's rest, as
// it is written and as it is decoded.
func char(raw []byte) (size, decoded int) {
	switch {
	case raw[0] != '\\':
		return 1, 1
	case raw[1] != 'u':
		return 2, 1
	}
	size = 6
	if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' && raw[2]|0x20 == 'd' && strings.IndexByte("89abAB", raw[3]) >= 0 {
		size = 12 // a surrogate pair
	}
	literal := append(append([]byte{'"'}, raw[:size]...), '"')
	n := fhir.NewLiteral(literal)
	return size, len(n.Text())
}

// links finds the values of a/@href and img/@src in XHTML.
func links(text string) (found []edit) {
	for i := 0; i < len(text); {
		open := strings.IndexByte(text[i:], '<')
		if open < 0 {
			break
		}
		i += open + 1
		if strings.HasPrefix(text[i:], "!--") {
			end := strings.Index(text[i:], "-->")
			if end < 0 {
				break
			}
			i += end
			continue
		}
		tag := name(text[i:])
		i += len(tag)
		wanted := map[string]string{"a": "href", "img": "src"}[tag]
		for i < len(text) && text[i] != '>' {
			attribute := name(text[i:])
			if attribute == "" {
				i++
				continue
			}
			i += len(attribute)
			start, end := value(text, i)
			if end < 0 {
				continue
			}
			if attribute == wanted {
				found = append(found, edit{start: start, end: end})
			}
			i = end + 1
		}
	}
	return found
}

// value finds the quoted value of an attribute whose name ends at i; end is -1
// when it has none.
func value(text string, i int) (start, end int) {
	rest := strings.TrimLeft(text[i:], " \t\r\n")
	after, ok := strings.CutPrefix(rest, "=")
	if !ok {
		return 0, -1
	}
	after = strings.TrimLeft(after, " \t\r\n")
	if after == "" || after[0] != '"' && after[0] != '\'' {
		return 0, -1
	}
	start = len(text) - len(after) + 1
	n := strings.IndexByte(text[start:], after[0])
	if n < 0 {
		return 0, -1
	}
	return start, start + n
}

// name is the XML name at the start of s.
func name(s string) string {
	for i := range len(s) {
		if strings.IndexByte(" \t\r\n=/<>'\"", s[i]) >= 0 {
			return s[:i]
		}
	}
	return s
}
