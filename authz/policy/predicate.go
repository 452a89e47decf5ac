package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// A predicate is one registered condition that rules may name. It is Go code,
// never an expression of the policy file, so that a row cannot smuggle in
// "true ||" (trap 3 of access.md). Exactly one of holds, ask and with is set.
type predicate struct {
	name  string
	doc   string
	needs feature // what the subject must have for it ever to hold
	// holds looks at the subject and at group 0 of the resource.
	holds func(input) bool
	// ask needs other resources or sealed elements; an error means unknown.
	ask func(input) (bool, error)
	// with reads the argument of a predicate that takes one: name(argument).
	with func(argument string) (func(input) bool, error)
	// negates is a predicate that holds exactly when this one does not.
	negates string
}

// input is all that a predicate may look at.
type input struct {
	patient     field.StorageID // meaningless without hasPatient
	hasPatient  bool
	glass       field.StorageID // meaningless without hasGlass
	hasGlass    bool
	orgs        []field.StorageID
	system      bool // a client of its own, not a person
	client      string
	address     string
	amr         []string
	authTime    time.Time
	patientType bool // the type is a member of the Patient compartment
	facts       authz.Facts
	feat        feature // for the oracle: programs have left out what can never hold
	*environment
}

// environment is what does not depend on the request.
type environment struct {
	now        func() time.Time
	unlabelled label.Level
}

func inputOf(s *authz.Subject, patientType bool, f authz.Facts, env *environment) input {
	in := input{orgs: s.Orgs(), system: s.System(), client: s.Client(), address: s.Address(), amr: s.AMR(), authTime: s.AuthTime(),
		patientType: patientType, facts: f, environment: env}
	in.patient, in.hasPatient = s.PatientKey()
	if g, broken := s.Glass(); broken {
		in.glass, in.hasGlass = g.Patient, true
	}
	return in
}

// predicates are the conditions that exist, in the order of docs/policy.md. A
// new one is a file of its own and a line here.
func predicates() []predicate {
	return []predicate{allPatients, ownCompartment, org, restrictedLabel, notRestrictedLabel, notPatientData,
		relationship, consented, clearance, author, notAuthor, adult, systemScope, client, zone, hours, mfa, btg}
}

// truth is what a predicate says. Unknown meets no condition of an allow and
// every condition of a deny.
type truth uint8

const (
	no truth = iota
	yes
	unknown
)

func truthOf(holds bool) truth {
	if holds {
		return yes
	}
	return no
}

// condition is a predicate as a rule names it, with its argument if it takes
// one. Conditions are compared by pointer: a document has one per text.
type condition struct {
	*predicate
	text   string
	decide func(input) truth
}

// newCondition reads name or name(argument).
func newCondition(text string) (*condition, error) {
	name, argument, applied := strings.Cut(text, "(")
	i := slices.IndexFunc(predicates(), func(p predicate) bool { return p.name == name })
	if i < 0 {
		return nil, fmt.Errorf("unknown predicate %q", name)
	}
	p := &predicates()[i]
	c := &condition{predicate: p, text: text}
	switch {
	case applied != (p.with != nil):
		return nil, fmt.Errorf("predicate %q is written %s", name, p.form())
	case p.ask != nil:
		c.decide = func(in input) truth {
			if in.facts.More == nil {
				return unknown
			}
			holds, err := p.ask(in)
			if err != nil {
				return unknown
			}
			return truthOf(holds)
		}
	case p.holds != nil:
		c.decide = func(in input) truth { return truthOf(p.holds(in)) }
	default:
		argument, closed := strings.CutSuffix(argument, ")")
		holds, err := p.with(argument)
		if err != nil || !closed {
			return nil, fmt.Errorf("predicate %q is written %s: %w", name, p.form(), err)
		}
		c.decide = func(in input) truth { return truthOf(holds(in)) }
	}
	return c, nil
}

// form is how rules write the predicate.
func (p *predicate) form() string {
	if p.with != nil {
		return p.name + "(…)"
	}
	return p.name
}

// constant reports whether the predicate always holds and needs no bit.
func (p *predicate) constant() bool { return p.name == allPatients.name }

// asks reports whether the predicate needs more than group 0.
func (p *predicate) asks() bool { return p.ask != nil }
