// Package smart reads the scopes of SMART App Launch 2.2: the grammar, what
// one scope permits, and whether one scope covers another.
//
// Start with Parse. authz/policy turns the scopes of a token into decisions,
// authz/oauth decides which of them a client gets; both read them here, so that
// no scope means one thing when it is granted and another when it is used.
//
// Security notes: a scope that is not understood completely is no scope. It
// never falls back to a wider reading: without its query a granular scope
// would grant everything of its type.
package smart

import (
	"errors"
	"net/url"
	"slices"
	"strings"
)

// ErrScope means that a text is no clinical scope.
var ErrScope = errors.New("not a scope of SMART App Launch")

// Scopes that are no clinical ones (SMART App Launch 2.2, scopes and launch
// context).
const (
	OpenID          = "openid"
	FHIRUser        = "fhirUser"
	OfflineAccess   = "offline_access"
	OnlineAccess    = "online_access"
	Launch          = "launch"
	LaunchPatient   = "launch/patient"
	LaunchEncounter = "launch/encounter"
)

var contextual = []string{OpenID, FHIRUser, OfflineAccess, OnlineAccess, Launch, LaunchPatient, LaunchEncounter}

// Admin lets a token carry administration, by whom the policy lets administer. It
// is none of SMART's, reads no resource, and no wider scope covers it.
const Admin = "fieldseal/admin"

// Contextual reports whether a scope is one of those that ask for context,
// identity or refresh instead of data.
func Contextual(scope string) bool {
	if slices.Contains(contextual, scope) {
		return true
	}
	_, _, ok := LaunchType(scope)
	return ok
}

// LaunchType reads a scope that asks for a resource in the context of the
// launch, launch/TYPE or launch/TYPE?role=ROLE, TYPE in small letters (SMART App
// Launch 2.2, scopes for requesting context data). Patients and encounters have
// scopes of their own, with a role only they are of this kind.
func LaunchType(scope string) (typ, role string, ok bool) {
	rest, ok := strings.CutPrefix(scope, Launch+"/")
	typ, role, narrowed := strings.Cut(rest, "?role=")
	own := !narrowed && (typ == "patient" || typ == "encounter")
	if !ok || own || typ == "" || len(scope) > maxQuery || strings.ContainsFunc(typ, func(r rune) bool { return r < 'a' || r > 'z' }) {
		return "", "", false
	}
	if narrowed && (role == "" || strings.ContainsFunc(role, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' || r == '&' })) {
		return "", "", false
	}
	return typ, role, true
}

// Level says for whose data a scope is.
type Level string

// The levels.
const (
	Patient Level = "patient" // of the patient in context
	User    Level = "user"    // what the user may see
	System  Level = "system"  // of a client without a user
)

// Every is the type of a scope for all types.
const Every = "*"

// letters are the permissions in the order that the grammar demands.
const letters = "cruds"

// Scope is one clinical scope. The zero Scope permits nothing.
type Scope struct {
	Level   Level
	Type    string // a resource type, or Every
	Letters string // an ordered subset of cruds: create, read, update, delete, search
	// Query narrows to the resources that satisfy it, by the rules of FHIR
	// search; empty: all of the type.
	Query string
}

// Parse reads a clinical scope of version 2,
// (patient|user|system)/(Type|*).(ordered subset of cruds)[?param=value&…], or
// of version 1, where read means rs, write means cud and * both. Anything else
// is ErrScope, .dus and a query behind a scope of version 1 among it.
func Parse(text string) (Scope, error) {
	level, rest, _ := strings.Cut(text, "/")
	typ, rest, found := strings.Cut(rest, ".")
	s := Scope{Level: Level(level), Type: typ}
	if !found || s.Level != Patient && s.Level != User && s.Level != System || typ != Every && !typeName(typ) {
		return Scope{}, ErrScope
	}
	switch rest {
	case "read":
		s.Letters = "rs"
	case "write":
		s.Letters = "cud"
	case "*":
		s.Letters = letters
	default:
		var narrowed bool
		s.Letters, s.Query, narrowed = strings.Cut(rest, "?")
		if !ordered(s.Letters) || narrowed && !validQuery(s.Query) {
			return Scope{}, ErrScope
		}
	}
	return s, nil
}

// String is the scope in the grammar of version 2.
func (s Scope) String() string {
	text := string(s.Level) + "/" + s.Type + "." + s.Letters
	if s.Query != "" {
		text += "?" + s.Query
	}
	return text
}

// Permits reports whether the scope has the letter and is for the type.
func (s Scope) Permits(letter byte, resourceType string) bool {
	return letter != 0 && strings.IndexByte(s.Letters, letter) >= 0 && (s.Type == Every || s.Type == resourceType)
}

// Covers reports whether the scope permits all that another one does, as far
// as their texts tell: a query is covered by the same query or by none.
func (s Scope) Covers(other Scope) bool {
	return s.Level == other.Level && (s.Type == Every || s.Type == other.Type) && (s.Query == "" || s.Query == other.Query) &&
		!strings.ContainsFunc(other.Letters, func(r rune) bool { return !strings.ContainsRune(s.Letters, r) })
}

// Covered reports whether one of the scopes in have covers the one asked for.
// Contextual scopes and Admin cover themselves only.
func Covered(have []string, asked string) bool {
	if Contextual(asked) || asked == Admin {
		return slices.Contains(have, asked)
	}
	want, err := Parse(asked)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(have, func(text string) bool {
		s, err := Parse(text)
		return err == nil && s.Covers(want)
	})
}

// ordered reports whether text is a non-empty, ordered subset of cruds.
func ordered(text string) bool {
	at := 0
	for i := range len(text) {
		p := strings.IndexByte(letters[at:], text[i])
		if p < 0 {
			return false
		}
		at += p + 1
	}
	return text != ""
}

func typeName(text string) bool {
	for i := range len(text) {
		upper, lower := text[i] >= 'A' && text[i] <= 'Z', text[i] >= 'a' && text[i] <= 'z'
		if !upper && (i == 0 || !lower) {
			return false
		}
	}
	return text != ""
}

// maxQuery bounds the query of a scope: it is evaluated on every resource.
const maxQuery = 1024

// validQuery checks the form: pairs of a parameter and a value, in the
// characters that a scope may hold (RFC 6749 §3.3). Whether a type has the
// parameters is known where the query is evaluated.
func validQuery(text string) bool {
	if len(text) > maxQuery {
		return false
	}
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if _, verr := url.QueryUnescape(value); err != nil || verr != nil || plain == "" || value == "" {
			return false
		}
	}
	return true
}
