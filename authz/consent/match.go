package consent

import (
	"slices"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// truth is whether an element matches; maybe when it is not understood.
type truth uint8

const (
	no truth = iota
	maybe
	yes
)

// either joins alternatives: some match, else some might.
func either(matched, vague bool) truth {
	switch {
	case matched:
		return yes
	case vague:
		return maybe
	}
	return no
}

// match joins all elements of a provision, those that look into the resource
// last.
func (p *provision) match(q *Question) truth {
	all := yes
	if p.undecided {
		all = maybe
	}
	for _, element := range [...]func(*Question) truth{p.matchTime, p.matchAction, p.matchPurpose, p.matchClass, p.matchActor, p.matchLabel, p.matchDatum, p.matchCode, p.matchDataPeriod} {
		if all = min(all, element(q)); all == no {
			return no
		}
	}
	return all
}

func (p *provision) matchTime(q *Question) truth {
	now := q.Now.UnixMicro()
	return either(!p.hasPeriod || p.from <= now && now < p.until, false)
}

// actionCodes are those of R4 codesystem-consentaction.html.
var actionCodes = []string{"collect", "access", "use", "disclose", "correct"}

func (p *provision) matchAction(q *Question) truth {
	if len(p.actions) == 0 && !p.vague.action {
		return yes
	}
	return either(slices.ContainsFunc(p.actions, func(code string) bool { return does(q.Action, code) }), p.vague.action)
}

func does(a authz.Action, code string) bool {
	switch a {
	case authz.Read, authz.Search:
		return code == "access" || code == "use" || code == "disclose"
	case authz.Create:
		return code == "collect"
	}
	return code == "correct"
}

// broader is the hierarchy of the purposes of use that requests can have
// (v3-PurposeOfUse), as far as it goes above one.
var broader = map[string]string{"TREAT": "", "ETREAT": "TREAT", "BTG": "ETREAT", "HPAYMT": "", "HOPERAT": "", "HSYSADMIN": "HOPERAT",
	"HRESCH": "", "HMARKT": "", "PATRQT": "", "PUBHLTH": ""}

func (p *provision) matchPurpose(q *Question) truth {
	if len(p.purposes) == 0 && !p.vague.purpose {
		return yes
	}
	for asked := q.Purpose; asked != ""; asked = broader[asked] {
		if slices.Contains(p.purposes, asked) {
			return yes
		}
	}
	return either(false, p.vague.purpose)
}

func (p *provision) matchClass(q *Question) truth {
	if len(p.classes) == 0 {
		return yes
	}
	return either(slices.Contains(p.classes, Coding{typeSystem, q.Resource.Type}), p.vague.class)
}

func (p *provision) matchActor(q *Question) truth {
	if len(p.actors) == 0 {
		return yes
	}
	matched, vague := false, false
	for _, a := range p.actors {
		matched = matched || a.understood && (slices.Contains(q.Actors, a.Target) || a.Type == "Organization" && slices.Contains(q.Orgs, a.Key))
		vague = vague || !a.understood
	}
	return either(matched, vague)
}

// matchLabel: a permission for a confidentiality covers what has it or less (R4
// consent-definitions.html#Consent.provision.securityLabel), a denial what has
// it or more; of other labels the resource must have one.
func (p *provision) matchLabel(q *Question) truth {
	if len(p.labels) == 0 {
		return yes
	}
	return either(slices.ContainsFunc(p.labels, func(l Coding) bool {
		if level, known := label.ParseLevel(l.Code); known && l.System == label.Confidentiality {
			has := label.Of(q.Security, q.Unlabelled)
			return p.effect == permit && has <= level || p.effect == deny && has >= level
		}
		return slices.Contains(q.Security, field.Label(l))
	}), slices.ContainsFunc(p.labels, func(l Coding) bool { return l.System == "" || l.Code == "" }))
}

// matchDatum compares with the resources that are named. What is related to
// them cannot be told.
func (p *provision) matchDatum(q *Question) truth {
	if len(p.data) == 0 {
		return yes
	}
	return either(slices.ContainsFunc(p.data, func(d datum) bool { return d.Target == q.Resource && q.Resource.Type != "" }), p.vague.data)
}

func (p *provision) matchCode(q *Question) truth {
	if len(p.codes) == 0 && !p.vague.code {
		return yes
	}
	if q.Content == nil {
		return maybe
	}
	codes, ok := q.Content.Codes()
	return either(slices.ContainsFunc(p.codes, func(c Coding) bool { return slices.Contains(codes, c) }), p.vague.code || !ok)
}

// matchDataPeriod: the resource's time overlaps for a denial, and lies inside
// for a permission.
func (p *provision) matchDataPeriod(q *Question) truth {
	if !p.hasData {
		return yes
	}
	if q.Content == nil {
		return maybe
	}
	from, until, ok := q.Content.Period()
	if !ok {
		return maybe
	}
	if p.effect == permit {
		return either(from >= p.dataFrom && until <= p.dataUntil, false)
	}
	return either(from < p.dataUntil && until > p.dataFrom, false)
}
