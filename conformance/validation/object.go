package validation

import (
	"math/bits"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// object checks the members of n against t. The caller has made sure that n is
// an object.
func (x *run) object(n *fhir.Node, t *definition.Type) {
	var seen uint64
	for i := range n.Len() {
		if x.full() {
			return
		}
		m := n.At(i)
		name := m.Name()
		if name == "resourceType" && t.Kind == definition.Resource {
			continue
		}
		sibling := len(name) > 1 && name[0] == '_'
		if sibling {
			name = name[1:]
		}
		e, et := t.Lookup(name)
		if e == nil || e.Max == 0 || sibling && et.Kind != definition.Primitive {
			x.faultAt(elementName(name), codeStructure, "unknown element of "+t.Name)
			continue
		}
		bit := uint64(1) << e.Index
		if e.Choice && seen&bit != 0 && x.otherChoice(n, i, t, e, et) {
			x.faultAt(e.Name, codeStructure, "only one type of "+e.Name+"[x] may be present")
		}
		seen |= bit
		x.push(e.Name)
		if sibling {
			x.siblings(n.Member(name), m, e, et)
		} else {
			x.element(n, m, e, et)
		}
		x.pop()
	}
	x.missing(t, seen)
	x.extra(n, t, seen)
}

// otherChoice reports whether an earlier member is the same choice element
// with another type.
func (x *run) otherChoice(n *fhir.Node, before int, t *definition.Type, e *definition.Element, et *definition.Type) bool {
	for i := range before {
		name := n.At(i).Name()
		if len(name) > 1 && name[0] == '_' {
			name = name[1:]
		}
		if other, typ := t.Lookup(name); other == e && typ != et {
			return true
		}
	}
	return false
}

func (x *run) missing(t *definition.Type, seen uint64) {
	for rest := x.v.types[t.Index].required &^ seen; rest != 0; rest &= rest - 1 {
		e := t.Elements[bits.TrailingZeros64(rest)]
		x.faultAt(e.Name, codeRequired, e.Path+" is required")
	}
}

// extra checks the invariants of the type. A resource may hold nothing but its
// resourceType; every other object needs content besides its id (ele-1).
func (x *run) extra(n *fhir.Node, t *definition.Type, seen uint64) {
	if t.Kind != definition.Resource {
		if n.Len() == 0 {
			x.fault(codeStructure, "an object must not be empty") // R4 json.html
		} else if t.Kind != definition.Primitive && onlyID(n) {
			x.fault(codeInvariant, faultNoContent)
		}
	}
	switch x.v.types[t.Index].extra {
	case extensionRule:
		x.extensionObject(t, seen)
	case periodRule:
		x.period(n)
	}
}

const faultNoContent = "ele-1: an element must have a value or children"

func onlyID(n *fhir.Node) bool { return n.Len() == 1 && n.At(0).Name() == "id" }

// extensionObject checks ext-1. Its url is required by cardinality.
func (x *run) extensionObject(t *definition.Type, seen uint64) {
	nested, value := false, false
	for rest := seen; rest != 0; rest &= rest - 1 {
		switch t.Elements[bits.TrailingZeros64(rest)].Name {
		case "extension":
			nested = true
		case "value":
			value = true
		}
	}
	if nested == value {
		x.fault(codeInvariant, "ext-1: an extension has either extensions or value[x], not both")
	}
}

// period checks per-1 where both ends are dates, or both have a time and zone.
// Mixed precision is comparable only within the other's day: not a fault.
func (x *run) period(n *fhir.Node) {
	start, end := n.Member("start").Text(), n.Member("end").Text()
	if !validDateTime(start) || !validDateTime(end) {
		return // missing, or reported where it stands
	}
	late := false
	if len(start) <= len("2006-01-02") && len(end) <= len("2006-01-02") {
		k := min(len(start), len(end))
		late = start[:k] > end[:k]
	} else if a, ok := fhir.ParseInstant(start); ok {
		b, ok := fhir.ParseInstant(end)
		late = ok && a.After(b)
	}
	if late {
		x.fault(codeInvariant, "per-1: the start of a period must not be after its end")
	}
}
