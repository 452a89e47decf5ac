// Package narrative checks the XHTML of Narrative.div (R4 narrative.html, txt-1
// and txt-2). Start with Check.
//
// Security notes: apps put the text into innerHTML, so that what an HTML parser
// would read differently from XML is refused too. Faults name the rule, never
// the markup. One pass, bounded depth.
package narrative

import (
	"html"
	"slices"
	"strings"
)

// What Check answers. The texts name the rule, never the markup.
const (
	faultWellFormed = "narrative is not well-formed XHTML"
	faultRoot       = "narrative must be a div in the XHTML namespace"
	faultMarkup     = "narrative must not contain a DTD, processing instruction or CDATA section"
	faultElement    = "txt-1: narrative contains an element that is not allowed"
	faultAttribute  = "txt-1: narrative contains an attribute that is not allowed"
	faultLink       = "narrative contains a link or style that can run script"
	faultEmpty      = "txt-2: narrative must have some content"
)

// maxNarrativeDepth bounds open elements; real tables nest about ten deep.
const maxNarrativeDepth = 256

// Check checks Narrative.div (R4 narrative.html) and returns the first
// fault, "" when there is none. It is a single pass without building a tree,
// and stricter than XML where an HTML parser would read the same bytes
// differently, because apps put the text into innerHTML.
func Check(s string) string {
	p := scan{s: strings.TrimSpace(s)}
	if !strings.HasPrefix(p.s, "<div") {
		return faultRoot
	}
	for len(p.s) > 0 {
		if fault := p.next(); fault != "" {
			return fault
		}
		if p.done && p.s != "" {
			return faultWellFormed
		}
	}
	switch {
	case !p.done:
		return faultWellFormed
	case !p.content:
		return faultEmpty
	}
	return ""
}

// scan is the state of the check: what is left and what is open.
type scan struct {
	s       string
	open    [maxNarrativeDepth]string
	depth   int
	root    bool // the root element was seen
	done    bool // the root element was closed
	content bool // text or an image was seen
}

// next consumes one piece of text or markup.
func (p *scan) next() string {
	if p.s[0] != '<' {
		i := strings.IndexByte(p.s, '<')
		if i < 0 {
			i = len(p.s)
		}
		text := p.s[:i]
		p.s = p.s[i:]
		p.content = p.content || strings.TrimSpace(text) != ""
		if !validText(text) {
			return faultWellFormed
		}
		return ""
	}
	switch {
	case strings.HasPrefix(p.s, "<!--"):
		return p.comment()
	case strings.HasPrefix(p.s, "<!"), strings.HasPrefix(p.s, "<?"):
		return faultMarkup
	case strings.HasPrefix(p.s, "</"):
		return p.endTag()
	}
	return p.startTag()
}

// comment consumes a comment. HTML ends one at "<!-->" and "<!--->", which in
// XML is its start: a script could hide there.
func (p *scan) comment() string {
	body, rest, found := strings.Cut(p.s[len("<!--"):], "--")
	if !found || !strings.HasPrefix(rest, ">") || strings.HasPrefix(body, ">") || strings.HasPrefix(body, "->") {
		return faultWellFormed
	}
	p.s = rest[1:]
	return ""
}

func (p *scan) endTag() string {
	name, rest := cutName(p.s[2:])
	rest = strings.TrimLeft(rest, xmlSpace)
	if p.depth == 0 || p.open[p.depth-1] != name || !strings.HasPrefix(rest, ">") {
		return faultWellFormed
	}
	p.s = rest[1:]
	p.depth--
	p.done = p.depth == 0
	return ""
}

// xmlSpace is the white space of XML 1.0 §2.3.
const xmlSpace = " \t\r\n"

func (p *scan) startTag() string {
	name, rest := cutName(p.s[1:])
	if name == "" {
		return faultWellFormed
	}
	if !allowedElements[name] {
		return faultElement
	}
	namespace, rest, fault := p.attributes(name, rest)
	if fault != "" {
		return fault
	}
	if !p.root && (name != "div" || !namespace) {
		return faultRoot
	}
	p.root = true
	return p.finishTag(name, rest)
}

// attributes consumes the attributes of an element up to its ">" or "/>".
func (p *scan) attributes(element, s string) (namespace bool, rest, fault string) {
	var seen [16]string
	for count := 0; ; count++ {
		trimmed := strings.TrimLeft(s, xmlSpace)
		if strings.HasPrefix(trimmed, ">") || strings.HasPrefix(trimmed, "/>") {
			return namespace, trimmed, ""
		}
		if len(trimmed) == len(s) || count == len(seen) {
			return false, "", faultWellFormed
		}
		name, value, after, ok := cutAttribute(trimmed)
		if !ok || slices.Contains(seen[:count], name) {
			return false, "", faultWellFormed
		}
		if fault := p.attribute(element, name, value); fault != "" {
			return false, "", fault
		}
		namespace = namespace || name == "xmlns"
		seen[count], s = name, after
	}
}

// finishTag consumes ">" or "/>".
func (p *scan) finishTag(name, rest string) string {
	if rest[0] == '/' {
		p.s = rest[2:]
		p.done = p.depth == 0
		return ""
	}
	if p.depth == maxNarrativeDepth {
		return faultWellFormed
	}
	p.s = rest[1:]
	p.open[p.depth] = name
	p.depth++
	return ""
}

// attribute checks one attribute of an element.
func (p *scan) attribute(element, name, value string) string {
	switch {
	case name == "xmlns":
		if value != "http://www.w3.org/1999/xhtml" {
			return faultRoot
		}
	case !allowedAttributes[name]:
		return faultAttribute
	case !validText(value):
		return faultWellFormed
	case linkAttributes[name] && !safeLink(value, element == "img" && name == "src"),
		name == "style" && !safeStyle(value):
		return faultLink
	case element == "img" && name == "src":
		p.content = true
	}
	return ""
}

// cutName splits a name off the start.
func cutName(s string) (name, rest string) {
	i := 0
	for i < len(s) && (isLetter(s[i]) || i > 0 && (isDigit(s[i]) || s[i] == '-' || s[i] == ':')) {
		i++
	}
	return s[:i], s[i:]
}

// cutAttribute splits name="value" off the start.
func cutAttribute(s string) (name, value, rest string, ok bool) {
	name, rest = cutName(s)
	rest = strings.TrimLeft(rest, xmlSpace)
	if name == "" || !strings.HasPrefix(rest, "=") {
		return "", "", "", false
	}
	rest = strings.TrimLeft(rest[1:], xmlSpace)
	if rest == "" || rest[0] != '"' && rest[0] != '\'' {
		return "", "", "", false
	}
	end := strings.IndexByte(rest[1:], rest[0])
	if end < 0 || strings.IndexByte(rest[1:1+end], '<') >= 0 {
		return "", "", "", false
	}
	return name, rest[1 : 1+end], rest[2+end:], true
}

// validText checks character data: no control characters, and every & starts
// a character reference, or an entity that HTML defines (XML's five among
// them). Without a DTD no other entity exists.
func validText(s string) bool {
	if hasControl(s) || strings.Contains(s, "]]>") {
		return false
	}
	for {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			return true
		}
		s = s[i:]
		end := strings.IndexByte(s[:min(len(s), 12)], ';')
		if end < 2 {
			return false
		}
		decoded := html.UnescapeString(s[:end+1])
		if decoded == s[:end+1] || strings.HasSuffix(decoded, ";") && s[:end+1] != "&#59;" || hasControl(decoded) {
			return false
		}
		s = s[end+1:]
	}
}

// hasControl reports a character below 32 that is not tab, LF or CR.
func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return true
		}
	}
	return false
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
