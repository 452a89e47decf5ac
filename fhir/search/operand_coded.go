package search

import (
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// parseToken reads [system|]code (R4 search.html#token). :above and :below
// start from a concept, so they need a code; a logical id has no system.
func (p *operandParser) parseToken(s string) (Operand, string) {
	o, reason := parseCode(s)
	switch {
	case reason != "":
	case o.Form == AnyValue && (p.modifier == Above || p.modifier == Below):
		reason = "want system|code or code"
	case p.parameter.Code == ID && (o.Form != AnySystem || !fhir.ValidID(o.Code)):
		reason = "not a logical id"
	}
	if reason != "" {
		return Operand{}, reason
	}
	return o, ""
}

// parseCode reads code, system|code, |code or system|.
func parseCode(s string) (Operand, string) {
	parts, reason := pieces(s)
	switch {
	case reason != "":
		return Operand{}, reason
	case len(parts) > 2:
		return Operand{}, `more than one |; write \| for one inside a value`
	case strings.Join(parts, "") == "":
		return Operand{}, reasonEmpty
	case len(parts) == 1:
		return Operand{Form: AnySystem, Code: parts[0]}, ""
	case parts[1] == "":
		return Operand{Form: AnyValue, System: parts[0]}, ""
	}
	return Operand{Form: Exact, System: parts[0], Code: parts[1]}, ""
}

// parseOfType reads system|code|value, all of it present
// (R4 search.html#modifiers).
func parseOfType(s string) (Operand, string) {
	parts, reason := pieces(s)
	if reason != "" {
		return Operand{}, reason
	}
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return Operand{}, "want system|code|value"
	}
	return Operand{System: parts[0], Code: parts[1], Text: parts[2]}, ""
}

// parseValueSet reads the canonical URL of a value set, or ValueSet/id.
func parseValueSet(s string) (Operand, string) {
	text, reason := literal(s)
	if reason == "" && strings.ContainsAny(text, " \t\r\n") {
		reason = "want the URL of a value set"
	}
	return Operand{URL: text}, reason
}

// parseURI reads a URI. The hierarchy of :above and :below is that of a URL's
// path; a URN has none (R4 search.html#uri).
func (p *operandParser) parseURI(s string) (Operand, string) {
	text, reason := literal(s)
	if reason == "" && p.modifier != NoModifier && strings.HasPrefix(text, "urn:") {
		reason = "want a URL: the parts of a URN have no hierarchy"
	}
	return Operand{Text: text}, reason
}

const reasonType = "the value is of another type than the modifier"

// parseReference reads id, Type/id or a URL (R4 search.html#reference). A URL
// below one of the server's own bases is the local resource. A canonical may
// carry |version.
func (p *operandParser) parseReference(s string) (Operand, string) {
	text, reason := literal(s)
	if reason != "" {
		return Operand{}, reason
	}
	if strings.Contains(text, ":") {
		o, reason := p.parseURL(text)
		if reason == "" && p.narrow != "" && o.Type != "" && o.Type != p.narrow {
			reason = reasonType
		}
		return o, reason
	}
	typ, id, typed := strings.Cut(text, "/")
	if !typed {
		typ, id = p.narrow, text
	}
	switch ref, ok := fhir.ParseReference("Any/" + id); {
	case ok && ref.Version != "":
		return Operand{}, "a reference in a search names no version"
	case !ok || ref.ID != id:
		return Operand{}, "want id, Type/id or a URL"
	case typed && p.narrow != "" && typ != p.narrow:
		return Operand{}, reasonType
	}
	if typ == "" && len(p.parameter.Targets) == 1 {
		typ = p.parameter.Targets[0]
	}
	return Operand{Type: typ, ID: id}, ""
}

func (p *operandParser) parseURL(text string) (Operand, string) {
	typ, id, versioned, local := localURL(text, p.bases)
	switch {
	case local && p.parameter.Canonical(): // a name, wherever it seems to point
		return Operand{URL: text}, ""
	case local && versioned:
		return Operand{}, "a reference in a search names no version"
	case local:
		return Operand{Type: typ, ID: id}, ""
	case strings.ContainsAny(text, " \t\r\n"):
		return Operand{}, "want id, Type/id or a URL"
	}
	if ref, ok := fhir.ParseReference(text); ok && p.narrow != "" && ref.Type != "" && ref.Type != p.narrow {
		return Operand{}, reasonType
	}
	return Operand{URL: text}, ""
}

// localURL reads an absolute reference below one of the bases.
func localURL(s string, bases []string) (typ, id string, versioned, ok bool) {
	ref, ok := fhir.ParseReference(s)
	if !ok || ref.Base == "" || ref.Fragment != "" {
		return "", "", false, false
	}
	for _, base := range bases {
		if ref.Base == strings.TrimSuffix(base, "/") {
			return ref.Type, ref.ID, ref.Version != "", true
		}
	}
	return "", "", false, false
}
