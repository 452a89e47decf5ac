package policy

import (
	"strings"

	"github.com/fieldseal/fieldseal/authz"
)

// AdminScope lets a token carry administration; no SMART scope does.
const AdminScope = "fieldseal/admin"

// reach is how far the scopes of a token let one action on one type go.
type reach uint8

const (
	reachNone    reach = iota
	reachPatient       // only the patient in context, and what is no patient data
	reachAll           // whatever the policy allows
)

// scopeReach is the union of the scopes for one action on one type (SMART App
// Launch 2.2, scopes of version 2). A scope that is not understood completely
// grants nothing.
func scopeReach(scopes []string, feat feature, action authz.Action, typ string) reach {
	best := reachNone
	for _, s := range scopes {
		best = max(best, oneScope(s, feat, action, typ))
	}
	return best
}

func oneScope(scope string, feat feature, action authz.Action, typ string) reach {
	if action == authz.Admin {
		if scope == AdminScope {
			return reachAll
		}
		return reachNone
	}
	level, rest, ok := strings.Cut(scope, "/")
	if !ok {
		return reachNone
	}
	resource, letters, ok := strings.Cut(rest, ".")
	if !ok || (resource != "*" && resource != typ) || !permits(letters, action) {
		return reachNone
	}
	switch {
	case level == "patient" && feat.has(hasPatient):
		return reachPatient
	case level == "user" && feat.has(isUser), level == "system" && feat.has(isClient):
		return reachAll
	}
	return reachNone
}

// permits reports whether letters are an ordered, non-empty subset of "cruds"
// that holds the action's letter. ".dus" grants nothing.
func permits(letters string, action authz.Action) bool {
	want := letterOf(action)
	found, at := false, 0
	for i := range len(letters) {
		p := strings.IndexByte("cruds"[at:], letters[i])
		if p < 0 {
			return false
		}
		at += p + 1
		found = found || letters[i] == want
	}
	return found
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
