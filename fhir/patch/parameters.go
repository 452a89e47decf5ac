package patch

import (
	"strconv"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// FHIRPath is a parsed FHIRPath Patch.
type FHIRPath struct {
	reg *definition.Registry
	ops []pathOp
}

// pathOp is one operation of R4 fhirpatch.html.
type pathOp struct {
	kind                       string
	text                       string
	steps                      []step               // of a simple path
	expression                 *fhirpath.Expression // of any other
	name                       string
	value                      *fhir.Node // the part that carries the value
	index, source, destination int        // -1 when absent
}

// ParseParameters reads a FHIRPath Patch (R4 fhirpatch.html). The error is an
// *Error. The patch keeps the resource.
func ParseParameters(r *fhir.Resource, reg *definition.Registry) (*FHIRPath, error) {
	list := r.Root().Member("parameter")
	if r.Type() != "Parameters" || list == nil || list.Kind() != fhir.Array || list.Len() == 0 {
		return nil, &Error{Operation: -1, Err: ErrMalformed, Detail: "a FHIRPath Patch is a Parameters resource with operations"}
	}
	if list.Len() > MaxOperations {
		return nil, tooMany()
	}
	p := &FHIRPath{reg: reg, ops: make([]pathOp, list.Len())}
	for i := range p.ops {
		if detail := p.ops[i].read(list.At(i)); detail != "" {
			return nil, &Error{Operation: i, Path: p.ops[i].String(), Err: ErrMalformed, Detail: detail}
		}
	}
	return p, nil
}

// read says what is wrong with the operation, or nothing.
func (o *pathOp) read(n *fhir.Node) string {
	parts := n.Member("part")
	if n.Member("name").Text() != "operation" || parts == nil || parts.Kind() != fhir.Array {
		return "a parameter is named operation and has parts"
	}
	o.index, o.source, o.destination = -1, -1, -1
	seen := map[string]bool{}
	for i := range parts.Len() {
		part := parts.At(i)
		name := part.Member("name").Text()
		if seen[name] {
			return "a part stands twice"
		}
		seen[name] = true
		ok := true
		switch name {
		case "type":
			o.kind, ok = primitive(part, "valueCode", "valueString")
		case "path":
			o.text, ok = primitive(part, "valueString")
		case "name":
			o.name, ok = primitive(part, "valueString", "valueCode")
		case "value":
			o.value = part
		case "index":
			o.index, ok = position(part)
		case "source":
			o.source, ok = position(part)
		case "destination":
			o.destination, ok = position(part)
		}
		if !ok {
			return "a part has no value of its type"
		}
	}
	return o.check()
}

// check refuses operations that lack what they need (R4 fhirpatch.html#concept).
func (o *pathOp) check() string {
	var ok bool
	if o.steps, ok = parsePath(o.text); !ok {
		var err error
		if o.expression, err = fhirpath.Compile(o.text); o.text == "" || err != nil {
			return "path is no FHIRPath expression" // what is wrong with it may quote it
		}
	}
	needs := map[string]bool{}
	switch o.kind {
	case "add":
		needs["name"], needs["value"] = o.name == "", o.value == nil
	case "insert":
		needs["index"], needs["value"] = o.index < 0, o.value == nil
	case "replace":
		needs["value"] = o.value == nil
	case "move":
		needs["source"], needs["destination"] = o.source < 0, o.destination < 0
	case "delete":
	default:
		return "type is none of add, insert, delete, replace, move"
	}
	for _, part := range [...]string{"name", "index", "source", "destination", "value"} {
		if needs[part] {
			return o.kind + " needs " + part
		}
	}
	if o.name != "" && !elementName(o.name) {
		return "name is no element name"
	}
	return ""
}

func primitive(part *fhir.Node, names ...string) (string, bool) {
	for _, name := range names {
		if v := part.Member(name); v != nil && v.Kind() == fhir.String {
			return v.Text(), true
		}
	}
	return "", false
}

func position(part *fhir.Node) (int, bool) {
	for _, name := range [...]string{"valueInteger", "valueUnsignedInt", "valuePositiveInt"} {
		if v := part.Member(name); v != nil && v.Kind() == fhir.Number {
			n, err := strconv.Atoi(string(v.Raw()))
			return n, err == nil && n >= 0
		}
	}
	return 0, false
}

// String shows the operation's path; an expression may hold values and is not
// shown.
func (o *pathOp) String() string {
	s := pathString(o.steps)
	if o.expression != nil {
		s = "an expression"
	}
	if o.name != "" {
		s += "." + o.name
	}
	return s
}

// elements are the names that the operation touches, below the resource; false
// when an expression could touch anything.
func (o *pathOp) elements() ([]string, bool) {
	names := pathElements(o.steps)
	if o.name != "" {
		names = append(names, o.name)
	}
	return names, o.expression == nil
}
