package search

// form is how a parameter of one kind reads an element of one type: the
// function, and the children that it looks at by what asks for them ("" is the
// element itself).
type form struct {
	read     reader
	children [needs][]string
}

func whole(r reader) form { return form{read: r, children: [needs][]string{baseNeed: {""}}} }

func reading(r reader, children ...string) form {
	return form{read: r, children: [needs][]string{baseNeed: children}}
}

func (f form) with(need int, children ...string) form {
	f.children[need] = children
	return f
}

// formOf finds the form of R4 search.html for a kind of parameter and a type
// of element; false where the kind finds no value in the type, such as a date
// in a string that stands in the same choice element.
func formOf(k Kind, typ string) (form, bool) {
	switch k {
	case Number:
		return numberForm(typ)
	case Date:
		return dateForm(typ)
	case String:
		return stringForm(typ)
	case TokenKind:
		return tokenForm(typ)
	case ReferenceKind:
		return referenceForm(typ)
	case QuantityKind:
		return quantityForm(typ)
	case URI:
		switch typ {
		case "uri", "url", "canonical", "oid", "uuid":
			return whole(readURI), true
		}
	case Special:
		if typ == "Location.position" {
			return reading(readPosition, ".latitude", ".longitude"), true
		}
	}
	return form{}, false
}

func numberForm(typ string) (form, bool) {
	switch typ {
	case "decimal", "integer", "positiveInt", "unsignedInt":
		return whole(readNumber), true
	case "Range":
		return reading(readNumberRange, ".low.value", ".high.value"), true
	}
	return form{}, false
}

func dateForm(typ string) (form, bool) {
	switch typ {
	case "date", "dateTime", "instant":
		return whole(readDate), true
	case "Period":
		return reading(readPeriod, ".start", ".end"), true
	case "Timing":
		return reading(readTiming, ".event", ".repeat.boundsPeriod"), true
	}
	return form{}, false
}

func stringForm(typ string) (form, bool) {
	switch typ {
	case "string", "markdown", "code", "uri", "url", "canonical", "id":
		return whole(readString), true
	case "HumanName":
		return reading(readName, dotted(nameParts)...), true
	case "Address":
		return reading(readAddress, dotted(addressParts)...), true
	}
	return form{}, false
}

func dotted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = "." + n
	}
	return out
}

func tokenForm(typ string) (form, bool) {
	switch typ {
	case "code":
		return whole(readCode), true
	case "boolean":
		return whole(readBoolean), true
	case "string", "id", "uri", "url", "canonical", "oid", "uuid":
		return whole(readText), true
	case "Coding":
		return reading(readCoding, ".system", ".code").with(textNeed, ".display"), true
	case "CodeableConcept":
		return reading(readConcept, ".coding.system", ".coding.code").with(textNeed, ".coding.display", ".text"), true
	case "Identifier":
		return reading(readIdentifier, ".system", ".value").with(textNeed, ".type.text").with(ofTypeNeed, ".type.coding"), true
	case "ContactPoint":
		return reading(readContact, ".use", ".value"), true
	}
	return form{}, false
}

func referenceForm(typ string) (form, bool) {
	switch typ {
	case "Reference":
		return reading(readReference, ".reference").with(textNeed, ".display").with(identifierNeed, ".identifier"), true
	case "canonical", "uri", "url":
		return whole(readCanonical), true
	case "Resource":
		return reading(readInner, ".id"), true
	}
	return form{}, false
}

func quantityForm(typ string) (form, bool) {
	switch typ {
	case "Quantity", "Age", "Duration", "Count", "Distance":
		return reading(readQuantity, ".value", ".comparator", ".system", ".code", ".unit"), true
	case "Money":
		return reading(readMoney, ".value", ".currency"), true
	case "Range":
		return reading(readRange, ".low", ".high"), true
	case "SampledData":
		return reading(readSampled, ".origin", ".factor", ".lowerLimit", ".upperLimit", ".data"), true
	}
	return form{}, false
}

func readerOf(k Kind, typ string) reader {
	f, _ := formOf(k, typ)
	return f.read
}

func childrenOf(k Kind, typ string) [needs][]string {
	f, _ := formOf(k, typ)
	return f.children
}
