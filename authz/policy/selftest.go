package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// selfTest proves at start-up that what must be denied is denied, by the
// compiled programs and by Casbin. A library switch that allows everything
// (trap 5 of access.md) or a rule that breaks a promise of its own file stops
// the server here.
func (d *Decider) selfTest() error {
	for _, c := range d.knownDenials() {
		if _, err := d.Decide(context.Background(), suppose(c.claims), c.request); err == nil {
			return fmt.Errorf("%w: %s is allowed", ErrSelfTest, c.name)
		}
	}
	for _, class := range field.AllClasses.Classes() {
		for _, roles := range [][]string{nil, {"role:"}, {""}, {"role:nobody-declared-this"}} {
			ok, err := d.oracle.allows(roles, authz.Request{Action: authz.Read, Type: "Patient"}, class, "TREAT", input{})
			if ok || err != nil {
				return fmt.Errorf("%w: the enforcer does not deny a caller without a declared role", ErrSelfTest)
			}
		}
	}
	return d.checkNever()
}

// suppose builds the subject of a question that no request asked: known
// denials, golden decisions, explain, dry-run. Nothing is served to it.
func suppose(c authz.SubjectClaims) authz.Subject { return authz.NewSubject(c) }

// supposeGlass is the subject of a question.
func supposeGlass(q Question) authz.Subject {
	s := suppose(q.Claims)
	if q.Glass != nil {
		s = s.WithGlass(*q.Glass)
	}
	return s
}

type denial struct {
	name    string
	claims  authz.SubjectClaims
	request authz.Request
}

func (d *Decider) knownDenials() []denial {
	read := authz.Request{Action: authz.Read, Type: "Patient"}
	all := authz.SubjectClaims{ID: "user:self-test", Roles: d.Roles(), Scopes: []string{"user/*.cruds", AdminScope}, Purpose: "TREAT"}
	with := func(change func(*authz.SubjectClaims)) authz.SubjectClaims {
		c := all
		change(&c)
		return c
	}
	return []denial{
		{"nobody", authz.SubjectClaims{}, read},
		{"an account without roles", with(func(c *authz.SubjectClaims) { c.Roles = nil }), read},
		{"an account without scopes", with(func(c *authz.SubjectClaims) { c.Scopes = nil }), read},
		{"an account without a purpose", with(func(c *authz.SubjectClaims) { c.Purpose = "" }), read},
		{"an unknown purpose", with(func(c *authz.SubjectClaims) { c.Purpose = "*" }), read},
		{"an account that is named like a role", with(func(c *authz.SubjectClaims) { c.ID = d.Roles()[0] }), read},
		{"an empty action", all, authz.Request{Type: "Patient"}},
		{"the action *", all, authz.Request{Action: "*", Type: "Patient"}},
		{"an empty type", all, authz.Request{Action: authz.Read}},
		{"the type *", all, authz.Request{Action: authz.Read, Type: "*"}},
		{"the type record", all, authz.Request{Action: authz.Read, Type: recordType}},
		{"administration of a resource type", all, authz.Request{Action: authz.Admin, Type: "Patient"}},
		{"reading the server as a resource", all, authz.Request{Action: authz.Read, Type: authz.Server}},
		{"reading the policy as a resource", all, authz.Request{Action: authz.Read, Type: authz.Policy}},
	}
}

// checkNever compiles every combination that a never line names, with the
// widest scopes and every purpose, and asks for the ceiling.
func (d *Decider) checkNever() error {
	var problems Problems
	types, _ := distinctTypes(d)
	asked := d.distinctPurposes()
	for i := range d.doc.never {
		if typ, broken := d.breaks(&d.doc.never[i], types, asked); broken {
			r := &d.doc.never[i]
			problems = append(problems, Problem{r.line, fmt.Sprintf("promises that %s never gets %s of class %s, but rules allow it on %s",
				r.role, r.action, r.class, typ)})
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("%w: %w", ErrSelfTest, problems)
	}
	return nil
}

func (d *Decider) breaks(r *row, types, asked []string) (typ string, broken bool) {
	req := authz.Request{Action: authz.Action(r.action)}
	for _, typ := range types {
		if !covers(r.typ, typ) {
			continue
		}
		req.Type = typ
		for _, purpose := range asked {
			s := suppose(authz.SubjectClaims{ID: "user:self-test", Roles: []string{r.role}, Purpose: purpose,
				Scopes: []string{"user/*.cruds", AdminScope}, Who: "Practitioner/any", Patient: "any", Orgs: make([]field.StorageID, 1)})
			if purpose == authz.BreakGlassPurpose {
				s = s.WithGlass(authz.Glass{})
			}
			if d.compile(&s, req, featuresOf(&s)).program.Ceiling()&r.classes != 0 {
				return typ, true
			}
		}
	}
	return "", false
}

// distinctTypes are the types that some line of a policy names and one other,
// which stands for all that no rule tells apart; it is empty when there is
// none.
func distinctTypes(ds ...*Decider) (types []string, other string) {
	named := map[string]bool{auditType: true}
	for _, d := range ds {
		maps.Copy(named, d.named(func(r *row) string { return r.typ }))
	}
	types = []string{authz.Server, authz.Policy}
	for _, t := range slices.Sorted(maps.Keys(ds[0].types)) {
		if !named[t] && other == "" {
			other = t
		}
		if named[t] || t == other {
			types = append(types, t)
		}
	}
	slices.Sort(types)
	return types, other
}

// distinctPurposes are the purposes that some line names and one of all
// others.
func (d *Decider) distinctPurposes() []string {
	named := d.named(func(r *row) string { return r.purpose })
	var list []string
	other := false
	for _, p := range purposes {
		if named[p] || !other {
			list = append(list, p)
		}
		other = other || !named[p]
	}
	return list
}

func (d *Decider) named(column func(*row) string) map[string]bool {
	set := map[string]bool{}
	for _, rows := range [][]row{d.doc.rows, d.doc.never} {
		for i := range rows {
			set[column(&rows[i])] = true
		}
	}
	return set
}
