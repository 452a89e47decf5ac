package policy

import (
	"slices"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// A predicate is one registered condition that rules may name. It is Go code,
// never an expression of the policy file, so that a row cannot smuggle in
// "true ||" (trap 3 of access.md).
type predicate struct {
	name  string
	doc   string
	needs feature // what the subject must have for it ever to hold
	holds func(input) bool
}

// input is all that a predicate may look at.
type input struct {
	patient     field.StorageID // meaningless without hasPatient
	hasPatient  bool
	orgs        []field.StorageID
	patientType bool // the type is a member of the Patient compartment
	facts       authz.Facts
}

// predicates are the conditions that exist, in the order of docs/policy.md. A
// new one is a file of its own and a line here.
func predicates() []predicate {
	return []predicate{allPatients, ownCompartment, org, restrictedLabel, notRestrictedLabel, notPatientData}
}

// constant reports whether the predicate always holds and needs no bit.
func (p predicate) constant() bool { return p.name == allPatients.name }

func predicateIndex(name string) int {
	return slices.IndexFunc(predicates(), func(p predicate) bool { return p.name == name })
}
