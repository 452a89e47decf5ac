package definition

// Kind tells what a Type describes.
type Kind uint8

// The kinds of types.
const (
	Primitive Kind = iota // date, string, …: a JSON scalar; its Elements are those of its _ sibling
	Complex               // a datatype: HumanName, Extension, Element
	Resource              // a resource, or an abstract base of one
	Backbone              // an inner element with children: Patient.contact, Timing.repeat
)

// Type describes one shape of JSON object, or a primitive.
type Type struct {
	Name     string // "Patient", "HumanName", "Patient.contact"
	Kind     Kind
	Base     string // name of the base type; "BackboneElement" or "Element" for inner elements
	Abstract bool
	// Elements are the direct children in definition order, inherited ones
	// included. A primitive has those of its sibling member: id, extension.
	Elements []*Element
	// Regex is the lexical rule of a primitive (R4 datatypes.html), unanchored.
	Regex string
	// SecurityCategory is the structuredefinition-security-category of a
	// resource: patient, individual, business, anonymous, not-classified or "".
	SecurityCategory string
	// Index is the position in Registry.Types.
	Index int

	names   names
	targets []target
}

// target is what one JSON member name stands for.
type target struct {
	element *Element
	typ     *Type
}

// Lookup finds the element that a JSON member name stands for and the type of
// its value. A choice element is found by its full name only: "valueQuantity"
// is value[x] with Quantity. The name of a primitive's sibling is given without
// its underscore. An element has exactly one type here, since only choice
// elements have several. Both results are nil for an unknown name;
// "resourceType" is no element. Lookup does not allocate.
func (t *Type) Lookup(jsonName string) (*Element, *Type) {
	if i := t.names.find(jsonName); i >= 0 {
		return t.targets[i].element, t.targets[i].typ
	}
	return nil, nil
}

// Element is one child of a Type.
type Element struct {
	Path   string // "Patient.contact.name", "Observation.value[x]"
	Name   string // last step of Path, without [x]
	Choice bool   // value[x]: the JSON name is Name plus the type with a capital
	Min    int
	Max    int // -1 = *
	// Types are the allowed types. One whose children stand in the same
	// definition (a backbone element or a content reference) refers to that
	// inner Type.
	Types      []TypeRef
	IsModifier bool
	IsSummary  bool
	Binding    *Binding // nil when there is none
	// FiveWs is the mapping to the FiveWs pattern without "FiveWs." and "[x]":
	// "subject", "what,context"; empty when there is none.
	FiveWs string
	// Index is the position in the owner's Elements.
	Index int
}

// Repeats reports whether the element is a JSON array.
func (e *Element) Repeats() bool { return e.Max < 0 || e.Max > 1 }

// TypeRef is one allowed type of an element.
type TypeRef struct {
	Code    string   // "Reference", "BackboneElement", "string"
	Type    *Type    // the resolved type, never nil
	Targets []string // resource types of a Reference or canonical; empty = any
}

// Binding ties an element to a value set.
type Binding struct {
	Strength string    // required, extensible, preferred, example
	ValueSet string    // canonical URL, possibly with |version
	Codes    *ValueSet // Registry.ValueSet(ValueSet) of a required binding, else nil
}

// finish resolves what is derived from the elements.
func (t *Type) finish() {
	var keys []string
	for i, e := range t.Elements {
		e.Index = i
		for _, ref := range e.Types {
			name := e.Name
			if e.Choice {
				name += upperFirst(ref.Code)
			}
			keys = append(keys, name)
			t.targets = append(t.targets, target{e, ref.Type})
		}
	}
	t.names = newNames(keys)
}

func upperFirst(s string) string {
	if s != "" && 'a' <= s[0] && s[0] <= 'z' {
		return string(s[0]-'a'+'A') + s[1:]
	}
	return s
}
