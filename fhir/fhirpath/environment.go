package fhirpath

import "strings"

// constants are the environment variables with fixed values (N1 §8, R4
// fhirpath.html#variables).
var constants = map[string]String{
	"ucum":  "http://unitsofmeasure.org",
	"sct":   "http://snomed.info/sct",
	"loinc": "http://loinc.org",
}

// environment looks a variable up. vs- and ext- make the URLs of FHIR's value
// sets and extensions.
func (ev *evaluation) environment(name string) (Collection, bool) {
	if c, ok := ev.in.Variables[name]; ok {
		return c, true
	}
	if v, ok := constants[name]; ok {
		return Collection{v}, true
	}
	if rest, ok := strings.CutPrefix(name, "vs-"); ok {
		return Collection{String("http://hl7.org/fhir/ValueSet/" + rest)}, true
	}
	if rest, ok := strings.CutPrefix(name, "ext-"); ok {
		return Collection{String("http://hl7.org/fhir/StructureDefinition/" + rest)}, true
	}
	switch name {
	case "context":
		if ev.in.Focus == nil {
			return nil, true
		}
		return Collection{ev.in.Focus}, true
	case "resource":
		return collectionOf(ev.resource()), true
	case "rootResource":
		return collectionOf(ev.rootResource()), true
	}
	return nil, false
}

func collectionOf(e *Element) Collection {
	if e == nil {
		return nil
	}
	return Collection{e}
}

// resource is the resource that contains the context.
func (ev *evaluation) resource() *Element {
	if ev.in.Resource != nil {
		return ev.in.Resource
	}
	e, _ := ev.in.Focus.(*Element)
	for e != nil && !e.resource() {
		e = e.parent
	}
	return e
}

// rootResource is the container of a contained resource; an entry of a Bundle
// is not contained.
func (ev *evaluation) rootResource() *Element {
	if ev.in.RootResource != nil {
		return ev.in.RootResource
	}
	return container(ev.resource())
}

func container(e *Element) *Element {
	for e != nil && e.name == "contained" && e.parent != nil {
		e = e.parent
	}
	return e
}
