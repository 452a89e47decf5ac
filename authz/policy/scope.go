package policy

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/smart"
)

// AdminScope lets a token carry administration; no SMART scope does.
const AdminScope = smart.Admin

// reach is how far the scopes of a token let one action on one type go.
type reach uint8

const (
	reachNone    reach = iota
	reachPatient       // only the patient in context, and what is no patient data
	reachAll           // whatever the policy allows
)

// scoped is what the scopes of a token let one action on one type do: the
// union of them (SMART App Launch 2.2).
type scoped struct {
	whole  reach      // by scopes without a query
	narrow []narrowed // by granular scopes that reach further than whole
}

// narrowed is a granular scope: it reaches only what satisfies the query.
type narrowed struct {
	reach reach
	query string
}

// scopesOf reads the scopes of a token. One that is not understood completely
// grants nothing.
func scopesOf(scopes []string, feat feature, action authz.Action, typ string) (out scoped) {
	for _, text := range scopes {
		if action == authz.Admin {
			if text == AdminScope {
				out.whole = reachAll
			}
			continue
		}
		s, err := smart.Parse(text)
		if err != nil || !s.Permits(letterOf(action), typ) {
			continue
		}
		if r := levelReach(s.Level, feat); s.Query == "" {
			out.whole = max(out.whole, r)
		} else if r != reachNone {
			out.narrow = append(out.narrow, narrowed{r, s.Query})
		}
	}
	out.narrow = slices.DeleteFunc(out.narrow, func(n narrowed) bool { return n.reach <= out.whole })
	return out
}

// furthest is the widest reach of any of the scopes.
func (s scoped) furthest() reach {
	r := s.whole
	for _, n := range s.narrow {
		r = max(r, n.reach)
	}
	return r
}

// describe says it for people.
func (s scoped) describe() string {
	var parts []string
	if s.whole != reachNone || len(s.narrow) == 0 {
		parts = append(parts, reaches[s.whole])
	}
	for _, n := range s.narrow {
		parts = append(parts, "of "+reaches[n.reach]+": what satisfies "+n.query)
	}
	return strings.Join(parts, "; ")
}

// levelReach is how far a level goes for an account: patient scopes need a
// patient in context, user scopes a person, system scopes a client by itself.
func levelReach(l smart.Level, feat feature) reach {
	switch {
	case l == smart.Patient && feat.has(hasPatient):
		return reachPatient
	case l == smart.User && feat.has(isUser), l == smart.System && feat.has(isClient):
		return reachAll
	}
	return reachNone
}

func letterOf(a authz.Action) byte {
	switch a {
	case authz.Create:
		return 'c'
	case authz.Read:
		return 'r'
	case authz.Update, authz.Reassign, authz.Relabel:
		return 'u'
	case authz.Delete:
		return 'd'
	case authz.Search:
		return 's'
	}
	return 0
}
