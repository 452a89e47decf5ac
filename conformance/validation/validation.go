// Package validation checks a resource against the structure that FHIR R4
// defines: names, cardinality, JSON kinds, lexical rules, choice types,
// primitive siblings, required bindings, references, contained resources,
// extensions and narrative. It collects all faults of a resource at once.
//
// Start with New and Validate; object.go walks, value.go and primitive.go check
// values, reference.go, contained.go the rules of their names.
// Checked as code are also the invariants ele-1, ext-1, ref-1, per-1, dom-2 to
// dom-5, txt-1 and txt-2; the other invariants need FHIRPath and are not
// checked here, and neither are profiles.
//
// Security: an issue names the rule and the place, never a value of the input.
// Narrative is held to the allowed elements and attributes because apps render
// it: no script, event handler, script URL, DTD or entity declaration passes.
// Work is linear in the size of the resource and the number of issues bounded.
//
// The rules are those of R4 4.0.1 and only grow with a decision record, because
// a tightened rule would make stored resources impossible to write back.
package validation

import (
	"sync"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// MaxIssues bounds the faults that one call reports. A resource that is wrong
// in more places is wrong as a whole, and a small hostile body must not buy an
// answer many times its size. One more issue says that there are more.
const MaxIssues = 200

// Validator checks resources. It is immutable and safe for concurrent use.
type Validator struct {
	reg      *definition.Registry
	types    []typeRules // by definition.Type.Index
	resource *definition.Type
	pool     sync.Pool // *run
}

// New prepares a validator for the definitions.
func New(reg *definition.Registry) *Validator {
	v := &Validator{reg: reg, resource: reg.Type("Resource")}
	for _, t := range reg.Types() {
		v.types = append(v.types, newTypeRules(t))
	}
	v.pool.New = func() any { return &run{v: v} }
	return v
}

// Validate returns every fault of r, in document order as far as possible, or
// nil when r is valid. Each has severity error, except a last one, information,
// that says that more than MaxIssues were found. It does not modify r.
func (v *Validator) Validate(r *fhir.Resource) fhir.Issues {
	x := v.pool.Get().(*run)
	x.push(r.Type())
	x.resourceObject(r.Root(), nil)
	issues := x.issues
	x.reset()
	v.pool.Put(x)
	return issues
}

// typeRules is what the walk needs to know about a type beyond Lookup.
type typeRules struct {
	required uint64 // bit set of Element.Index with min > 0
	literal  literalRule
	extra    extraRule // an invariant of the type
}

// extraRule names a check of a whole object.
type extraRule uint8

const (
	noRule extraRule = iota
	extensionRule
	periodRule
	referenceRule
)

func newTypeRules(t *definition.Type) typeRules {
	r := typeRules{literal: literalRules[t.Name]}
	if len(t.Elements) > 64 {
		panic("validation: " + t.Name + " has more than 64 elements") // R4 has at most 55
	}
	for _, e := range t.Elements {
		if e.Min > 0 {
			r.required |= 1 << e.Index
		}
	}
	switch t.Name {
	case "Extension":
		r.extra = extensionRule
	case "Period":
		r.extra = periodRule
	case "Reference":
		r.extra = referenceRule
	}
	return r
}
