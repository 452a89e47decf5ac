package fhirpath

import (
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/ucum"
)

// FHIRType is the name of the item's type in FHIR, by which System types are
// named too: System.Integer is "integer".
func FHIRType(item Item) string {
	t := item.Type()
	if t.Namespace == namespaceFHIR || t.Name == "Quantity" {
		return t.Name
	}
	if _, info := item.(TypeInfo); info {
		return t.Name
	}
	return strings.ToLower(t.Name[:1]) + t.Name[1:]
}

// Text is the value of a primitive or of a System value as text; a Quantity is
// its literal. It is empty for what has no single value.
func Text(item Item) string {
	if e, ok := item.(*Element); ok {
		switch {
		case e.node == nil || !e.primitive():
			return ""
		case e.node.Kind() == fhir.String:
			return e.node.Text()
		}
		return string(e.node.Raw())
	}
	if s, ok := toString(item).(String); ok {
		return string(s)
	}
	return ""
}

// AppendJSON appends the item as FHIR writes it in JSON: the client's own bytes
// of an element, the exact digits of a number, a System.Quantity as a FHIR
// Quantity. A primitive without value is null.
func AppendJSON(dst []byte, item Item) []byte {
	switch v := item.(type) {
	case *Element:
		if v.node == nil {
			return append(dst, "null"...)
		}
		return v.node.AppendJSON(dst)
	case Boolean, Integer, Decimal:
		return append(dst, Text(item)...)
	case Quantity:
		return v.appendJSON(dst)
	case TypeInfo:
		n := fhir.NewObject(fhir.NewString(v.Namespace).Named("namespace"), fhir.NewString(v.Name).Named("name"),
			fhir.NewString(v.BaseType).Named("baseType"))
		return n.AppendJSON(dst)
	}
	return appendString(dst, Text(item))
}

func (q Quantity) appendJSON(dst []byte) []byte {
	dst = append(append(dst, `{"value":`...), q.value.Text('f')...)
	add := func(name, value string) {
		dst = appendString(append(append(append(dst, `,"`...), name...), `":`...), value)
	}
	add("unit", q.unit)
	if !q.calendar && !q.foreign {
		add("system", ucum.System)
		add("code", q.unit)
	}
	return append(dst, '}')
}

func appendString(dst []byte, s string) []byte {
	n := fhir.NewString(s)
	return n.AppendJSON(dst)
}
