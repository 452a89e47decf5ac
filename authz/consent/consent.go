// Package consent decides by the Consent resources of a patient (R4
// consent.html) whether a request is permitted.
//
// Start with Compile, once per Consent, and Decide. A provision applies when
// every element that it has matches (values of one element are alternatives);
// a provision inside it is an exception to it and wins where it applies; where
// two exceptions to the same provision disagree, the denial wins. The Consents
// of a patient are joined: one that denies is enough.
//
// Security notes: what is not understood denies more, never less. An element,
// code or reference that cannot be compared leaves a provision undecided: an
// undecided denial denies, an undecided permission permits nothing. Compile
// never fails for that reason.
package consent

import (
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// Coding is a code of a resource, or of a consent.
type Coding struct{ System, Code string }

// Target is what a reference to this server names.
type Target struct {
	Type string
	Key  field.StorageID
}

// Question is one access to one resource.
type Question struct {
	Action  authz.Action
	Purpose string
	// Own: the request is the patient's own.
	Own bool
	Now time.Time

	// Actors are the references under which the recipient may be named:
	// the person, its roles and their organizations, its care teams. Orgs are the
	// organizations that it acts for besides.
	Actors []Target
	Orgs   []field.StorageID

	Resource   Target
	Security   []field.Label
	Unlabelled label.Level
	// Content is asked when a provision compares what is sealed; nil knows
	// nothing.
	Content Content
}

// Content is what a resource says beyond group 0.
type Content interface {
	// Codes are all codes of the resource; false when they cannot be told.
	Codes() ([]Coding, bool)
	// Period is the time that the resource is about, in microseconds since the
	// Unix epoch; false when it cannot be told.
	Period() (from, until int64, ok bool)
}

// Base is the policy where no Consent of a patient says anything.
type Base struct {
	// OptIn are the purposes of use that need a permission: research and
	// marketing (access.md).
	OptIn []string
}

// Verdict is a decision and the Consents that made it.
type Verdict struct {
	Permitted bool
	By        []string // logical ids; none when the base policy decided
}

// effect is what a provision says.
type effect uint8

const (
	silent effect = iota
	permit
	deny
)

// Purposes that consents do not decide like others.
const (
	byLaw      = "PUBHLTH" // duties of law
	breakGlass = "BTG"
)

// Decide answers for one patient. Consents cannot take away the patient's own
// access and the duties of law; they can stop break-glass only for what is
// specially protected (access.md).
func Decide(consents []*Consent, q *Question, base Base) Verdict {
	if q.Own || q.Purpose == byLaw || q.Purpose == breakGlass && !speciallyProtected(q) {
		return Verdict{Permitted: true}
	}
	var permitted, denied []string
	for _, c := range consents {
		switch c.decide(q) {
		case permit:
			permitted = append(permitted, c.id)
		case deny:
			denied = append(denied, c.id)
		}
	}
	switch {
	case denied != nil:
		return Verdict{By: denied}
	case permitted != nil:
		return Verdict{Permitted: true, By: permitted}
	}
	return Verdict{Permitted: !base.needsPermission(q.Purpose)}
}

func (b Base) needsPermission(purpose string) bool {
	for p := purpose; p != ""; p = broader[p] {
		for _, o := range b.OptIn {
			if o == p {
				return true
			}
		}
	}
	return false
}

// speciallyProtected: very restricted, or of a sensitivity category.
func speciallyProtected(q *Question) bool {
	c, err := label.ParseClearance("R")
	return err != nil || !c.Covers(q.Security, q.Unlabelled)
}

// decide is what one Consent says.
func (c *Consent) decide(q *Question) effect { return c.root.decide(q) }

// decide is what a provision says with its exceptions.
func (p *provision) decide(q *Question) effect {
	applies := p.match(q)
	if applies == no {
		return silent
	}
	exceptions := silent
	for i := range p.exceptions {
		exceptions = max(exceptions, p.exceptions[i].decide(q))
	}
	switch {
	case exceptions == deny:
		return deny
	case applies == maybe && exceptions == permit:
		return silent // permitted only if the provision applies at all
	case exceptions == permit, p.effect == permit && applies == yes:
		return permit
	case p.effect == permit:
		return silent
	}
	return deny
}
