package search

import "github.com/fieldseal/fieldseal/fhir"

func readCode(x *extraction, n *fhir.Node, l *leaf) bool {
	code := n.Text()
	if code == "" {
		return true
	}
	x.v.System, x.v.Code, x.v.ImpliedSystem = l.system, code, true
	return x.emit(TokenKind, l)
}

// readText is the token of a string, id or uri: it has no system.
func readText(x *extraction, n *fhir.Node, l *leaf) bool {
	if x.v.Code = n.Text(); x.v.Code == "" {
		return true
	}
	return x.emit(TokenKind, l)
}

func readBoolean(x *extraction, n *fhir.Node, l *leaf) bool {
	if n.Kind() != fhir.Bool {
		return true
	}
	x.v.System, x.v.Code, x.v.ImpliedSystem = specialValues, string(n.Raw()), true
	return x.emit(TokenKind, l)
}

func readCoding(x *extraction, n *fhir.Node, l *leaf) bool { return x.coding(n, "", l) }

// coding emits one coding; text is that of the CodeableConcept around it.
func (x *extraction) coding(n *fhir.Node, text string, l *leaf) bool {
	system, code, display := n.Member("system").Text(), n.Member("code").Text(), n.Member("display").Text()
	if system == "" && code == "" && display == "" {
		return true
	}
	x.v.System, x.v.Code = system, code
	x.v.Texts = x.text(display, text)
	return x.emit(TokenKind, l)
}

// readConcept emits every coding, or the text when there is none
// (R4 search.html#token).
func readConcept(x *extraction, n *fhir.Node, l *leaf) bool {
	text := n.Member("text").Text()
	codings := n.Member("coding")
	if codings == nil || codings.Kind() != fhir.Array || codings.Len() == 0 {
		if text == "" {
			return true
		}
		x.v.Texts = x.text(text)
		return x.emit(TokenKind, l)
	}
	for i := range codings.Len() {
		if !x.coding(codings.At(i), text, l) {
			return false
		}
	}
	return true
}

func readIdentifier(x *extraction, n *fhir.Node, l *leaf) bool {
	system, value := n.Member("system").Text(), n.Member("value").Text()
	if system == "" && value == "" {
		return true
	}
	x.v.System, x.v.Code = system, value
	typ := n.Member("type")
	x.v.Texts = x.text(typ.Member("text").Text())
	if codings := typ.Member("coding"); codings != nil && codings.Kind() == fhir.Array {
		for i := range codings.Len() {
			c := codings.At(i)
			x.v.OfType = append(x.v.OfType, Coding{c.Member("system").Text(), c.Member("code").Text()})
		}
	}
	return x.emit(TokenKind, l)
}

// readContact is the token of a ContactPoint: its use stands where a system
// would (R4 search.html#token).
func readContact(x *extraction, n *fhir.Node, l *leaf) bool {
	value := n.Member("value").Text()
	if value == "" {
		return true
	}
	x.v.System, x.v.Code = n.Member("use").Text(), value
	return x.emit(TokenKind, l)
}
