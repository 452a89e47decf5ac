package consent

import (
	"slices"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// maxDepth bounds the provisions inside the first one: exceptions up to three
// deep are understood.
const maxDepth = 3

// Consent is a compiled Consent. It is immutable.
type Consent struct {
	id   string
	root provision
}

// provision is a rule. Each list is of alternatives; an empty one matches
// everything.
type provision struct {
	effect     effect
	undecided  bool // it has an element that is not understood
	from       int64
	until      int64
	actors     []actor
	actions    []string
	purposes   []string
	labels     []Coding
	classes    []Coding
	codes      []Coding
	data       []datum
	dataFrom   int64
	dataUntil  int64
	hasPeriod  bool
	hasData    bool // dataPeriod
	vague      vague
	exceptions []provision
}

// vague are the elements of which a value is not understood.
type vague struct{ action, purpose, class, code, data bool }

type actor struct {
	Target
	understood bool // who it is, and that it is the recipient
}

type datum struct {
	Target
	instance bool // the resource itself, not what is related to it
}

// Compiler reads Consents.
type Compiler struct {
	// Local resolves a literal reference to this server; false for others.
	Local func(reference string) (Target, bool)
}

// Compile reads a Consent. It is nil for one that is not in force as a privacy
// consent: a status other than active, or another scope.
func (k Compiler) Compile(r *fhir.Resource) *Consent {
	root := r.Root()
	if r.Type() != "Consent" || root.Member("status").Text() != "active" || !coded(root.Member("scope"), scopeSystem, "patient-privacy") {
		return nil
	}
	c := &Consent{id: r.ID()}
	base := baseEffect(root.Member("policyRule"))
	p := root.Member("provision")
	if p == nil {
		c.root = provision{effect: base}
	} else {
		c.root = k.provision(p, 0)
		if p.Member("type") == nil { // R4: the base rule's type is that of the policyRule
			c.root.effect = base
		}
	}
	c.root.undecided = c.root.undecided || root.Member("modifierExtension") != nil
	return c
}

// Code systems that are understood.
const (
	scopeSystem   = "http://terminology.hl7.org/CodeSystem/consentscope"
	actCode       = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	actionSystem  = "http://terminology.hl7.org/CodeSystem/consentaction"
	purposeSystem = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	typeSystem    = "http://hl7.org/fhir/resource-types"
	roleSystem    = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
)

// baseEffect: opting in permits what nothing else says, opting out and every
// policy that is not understood denies it.
func baseEffect(policyRule *fhir.Node) effect {
	if coded(policyRule, actCode, "OPTIN") && !coded(policyRule, actCode, "OPTOUT") {
		return permit
	}
	return deny
}

// understood are the elements of a provision.
var understood = []string{"id", "extension", "type", "period", "actor", "action", "securityLabel", "purpose", "class", "code", "dataPeriod", "data", "provision"}

func (k Compiler) provision(n *fhir.Node, depth int) provision {
	p := provision{effect: deny}
	if n.Member("type").Text() == "permit" {
		p.effect = permit
	}
	for i := range n.Len() {
		p.undecided = p.undecided || !slices.Contains(understood, n.At(i).Name())
	}
	p.from, p.until, p.hasPeriod = period(n.Member("period"), &p.undecided)
	p.dataFrom, p.dataUntil, p.hasData = period(n.Member("dataPeriod"), &p.undecided)
	each(n.Member("actor"), func(a *fhir.Node) { p.actors = append(p.actors, k.actor(a)) })
	each(n.Member("action"), func(a *fhir.Node) {
		codings(a, func(c Coding) {
			if c.System == actionSystem && slices.Contains(actionCodes, c.Code) {
				p.actions = append(p.actions, c.Code)
			} else {
				p.vague.action = true
			}
		}, &p.vague.action)
	})
	each(n.Member("purpose"), func(c *fhir.Node) {
		code := coding(c)
		if _, known := broader[code.Code]; known && code.System == purposeSystem {
			p.purposes = append(p.purposes, code.Code)
		} else {
			p.vague.purpose = true
		}
	})
	each(n.Member("securityLabel"), func(c *fhir.Node) { p.labels = append(p.labels, coding(c)) })
	each(n.Member("class"), func(c *fhir.Node) {
		code := coding(c)
		p.classes = append(p.classes, code)
		p.vague.class = p.vague.class || code.System != typeSystem || code.Code == ""
	})
	each(n.Member("code"), func(a *fhir.Node) { codings(a, func(c Coding) { p.codes = append(p.codes, c) }, &p.vague.code) })
	each(n.Member("data"), func(d *fhir.Node) {
		t, local := k.Local(d.Member("reference").Member("reference").Text())
		instance := d.Member("meaning").Text() == "instance"
		p.data = append(p.data, datum{t, instance})
		p.vague.data = p.vague.data || !local || !instance
	})
	each(n.Member("provision"), func(e *fhir.Node) {
		if depth == maxDepth {
			p.exceptions = append(p.exceptions, provision{effect: deny, undecided: true})
			return
		}
		p.exceptions = append(p.exceptions, k.provision(e, depth+1))
	})
	return p
}

// recipients are the roles of an actor to whom data goes (R4
// valueset-security-role-type.html).
var recipients = []string{"PRCP", "IRCP"}

func (k Compiler) actor(n *fhir.Node) actor {
	t, local := k.Local(n.Member("reference").Member("reference").Text())
	recipient := slices.ContainsFunc(recipients, func(code string) bool { return coded(n.Member("role"), roleSystem, code) })
	return actor{t, local && recipient && slices.Contains(actorTypes, t.Type) && n.Member("modifierExtension") == nil}
}

// actorTypes are what a caller can be told to be; whether it belongs to a Group
// cannot.
var actorTypes = []string{"Practitioner", "PractitionerRole", "Organization", "CareTeam", "Patient", "RelatedPerson"}

func each(n *fhir.Node, visit func(*fhir.Node)) {
	if n == nil || n.Kind() != fhir.Array {
		return
	}
	for i := range n.Len() {
		visit(n.At(i))
	}
}

func coding(n *fhir.Node) Coding {
	return Coding{n.Member("system").Text(), n.Member("code").Text()}
}

// codings visits the codings of a CodeableConcept; one without any, or with one
// that has no code, is not understood.
func codings(n *fhir.Node, visit func(Coding), vague *bool) {
	found := false
	each(n.Member("coding"), func(c *fhir.Node) {
		if code := coding(c); code.Code != "" {
			visit(code)
			found = true
		}
	})
	*vague = *vague || !found
}

func coded(concept *fhir.Node, system, code string) (found bool) {
	each(concept.Member("coding"), func(c *fhir.Node) { found = found || coding(c) == Coding{system, code} })
	return found
}

// period reads a Period: until is the first microsecond after it.
func period(n *fhir.Node, undecided *bool) (from, until int64, ok bool) {
	from, until = search.Beginning, search.EndOfTime
	if n == nil {
		return from, until, false
	}
	if s := n.Member("start").Text(); s != "" {
		if from, _, ok = search.ParseTime(s); !ok {
			*undecided = true
		}
	}
	if s := n.Member("end").Text(); s != "" {
		if _, until, ok = search.ParseTime(s); !ok {
			*undecided = true
		}
	}
	return from, until, true
}
