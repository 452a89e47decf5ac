package policy

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// Rules that use what the demo roles do not: purposes, several predicates,
// several roles that contradict each other.
const wildPolicy = `
role, role:a, a
role, role:b, b
role, role:c, c
p, role:a, record, read|search, clinical|limited, TREAT, org & not_restricted_label, allow
p, role:a, *, read, *, BTG, btg, allow
p, role:c, *, read|search, clinical|contact, BTG, btg & org, allow
p, role:b, record, read, contact, BTG, org, deny
p, role:a, Patient|Observation, update, contact, *, own_compartment, allow
p, role:b, Observation, read|update|delete, *, *, org, allow
p, role:b, *, read, narrative|restricted, *, restricted_label & own_compartment, deny
p, role:b, Practitioner|Organization, search, *, HRESCH|TREAT, not_patient_data, allow
p, role:c, AuditEvent, read|search, *, *, own_compartment & org, allow
p, role:c, record, read, identifier, PATRQT, own_compartment, deny
p, role:c, Server, admin, administrative, *, all_patients, allow
p, role:c, *, read, clinical, TREAT, org & restricted_label & not_patient_data, deny
`

// The compiled programs give what a plain casbin.Enforcer gives, class by
// class, on the same rows.
func TestCompiledEqualsCasbin(t *testing.T) {
	t.Parallel()
	want := 100_000
	if testing.Short() {
		want = 8_000
	}
	rng := rand.New(rand.NewPCG(1, 2))
	allowed := 0
	for _, csv := range []string{"", wildPolicy, factPolicy} {
		d := newDecider(t, csv)
		for decisions := 0; decisions < want/3; {
			s, r, f := randomRequest(rng, d.Roles())
			g, _ := d.Decide(t.Context(), s, r)
			mask := g.Mask(f)
			in := askedOf(&s, inCompartment(r.Type), f, d.env)
			for _, class := range field.AllClasses.Classes() {
				ok := casbinAllows(t, d, s, r, class, in)
				if ok != mask.Has(class) {
					t.Fatalf("roles %v scopes %v purpose %s %v class %v facts %+v: Casbin %v, compiled %v", s.Roles(), s.Scopes(), s.Purpose(), r, class, f, ok, mask)
				}
				if ok {
					allowed++
				}
				decisions++
			}
			if !g.Ceiling().Contains(mask) || (g.Unrestricted() && mask != g.Ceiling()) {
				t.Fatalf("%v: mask %v, ceiling %v, unrestricted %v", r, mask, g.Ceiling(), g.Unrestricted())
			}
		}
	}
	if allowed < want/20 {
		t.Errorf("only %d of %d decisions allow: the test proves little", allowed, want)
	}
}

// casbinAllows asks Casbin, and spells out what its rows do not say.
func casbinAllows(t *testing.T, d *Decider, s authz.Subject, r authz.Request, class field.Class, in input) bool {
	t.Helper()
	ok, err := d.oracle.allows(d.Effective(s.ID(), s.Roles()), r, class, s.Purpose(), in)
	if err != nil {
		t.Fatal(err)
	}
	scoped := in
	scoped.hasPatient = in.hasPatient && !in.hasGlass // a token for one patient breaks no glass
	return ok && plainScopes(s, r, scoped) && plainGlass(d, s, r, class, in)
}

// plainScopes is the SMART rule spelled out once more, without the compiler.
func plainScopes(s authz.Subject, r authz.Request, in input) bool {
	letter := map[authz.Action]string{authz.Read: "r", authz.Search: "s", authz.Create: "c", authz.Update: "u", authz.Delete: "d", authz.Reassign: "u", authz.Relabel: "u"}[r.Action]
	own := holds("own_compartment", "allow", in) || holds("not_patient_data", "allow", in)
	for _, sc := range s.Scopes() {
		for _, typ := range []string{"*", r.Type} {
			for _, letters := range []string{"r", "rs", "cruds", "cu"} {
				if letter == "" || !strings.Contains(letters, letter) {
					continue
				}
				switch sc {
				case "user/" + typ + "." + letters:
					return true
				case "patient/" + typ + "." + letters:
					if in.hasPatient && own {
						return true
					}
				}
			}
		}
		if sc == AdminScope && r.Action == authz.Admin {
			return true
		}
	}
	return false
}

// plainGlass is the rule of break-glass spelled out once more: reads of the one
// patient's record, and no denial of the usual purpose is lifted.
func plainGlass(d *Decider, s authz.Subject, r authz.Request, class field.Class, in input) bool {
	g, broken := s.Glass()
	if !broken {
		return s.Purpose() != "BTG"
	}
	for _, row := range d.doc.rows {
		if row.deny && row.purpose == g.Usual && row.action == string(r.Action) && covers(row.typ, r.Type) &&
			slices.Contains(s.Roles(), row.role) && row.classes.Has(class) && holds(row.cond, "deny", in) {
			return false
		}
	}
	return (r.Action == authz.Read || r.Action == authz.Search) && r.Type != "AuditEvent" &&
		(slices.Contains(in.facts.Patients, g.Patient) || !in.patientType && len(in.facts.Patients) == 0)
}

func randomRequest(rng *rand.Rand, roles []string) (authz.Subject, authz.Request, authz.Facts) {
	c := authz.SubjectClaims{ID: "user:u", Purpose: purposes[rng.IntN(len(purposes))], Scopes: []string{"user/*.cruds", AdminScope}}
	for range 1 + rng.IntN(2) {
		c.Roles = append(c.Roles, roles[rng.IntN(len(roles))])
	}
	if rng.IntN(3) == 0 {
		c.Scopes = []string{"patient/*.rs", "user/Observation.cu", "system/*.cruds", "nonsense"}
	}
	if rng.IntN(3) > 0 {
		c.Patient, c.PatientKey = "alice", alice
	}
	if rng.IntN(3) > 0 {
		c.Orgs = []field.StorageID{ward}
	}
	r := authz.Request{Action: authz.Action(actions[rng.IntN(len(actions)-1)]), Type: testTypes[rng.IntN(len(testTypes))]}
	if rng.IntN(20) == 0 {
		r = authz.Request{Action: authz.Admin, Type: authz.Server}
	}
	var f authz.Facts
	for _, p := range []field.StorageID{alice, bob} {
		if rng.IntN(2) == 0 {
			f.Patients = append(f.Patients, p)
		}
	}
	if rng.IntN(2) == 0 {
		f.Orgs = []field.StorageID{ward}
	}
	if rng.IntN(3) == 0 {
		f.Security = []field.Label{{System: label.Confidentiality, Code: "V"}}
	}
	if rng.IntN(3) == 0 {
		f.Security = append(f.Security, field.Label{System: label.Sensitivity, Code: []string{"HIV", "PSY"}[rng.IntN(2)]})
	}
	if rng.IntN(8) > 0 {
		f.More = known{rng.IntN(9), rng.IntN(9), rng.IntN(9), rng.IntN(9)}
	}
	if rng.IntN(3) > 0 {
		c.Who = []string{"Practitioner/dr", "Patient/alice"}[rng.IntN(2)]
	}
	c.Client, c.Address = []string{"tablet", "kiosk"}[rng.IntN(2)], []string{"10.1.2.3", "192.0.2.1", "unknown"}[rng.IntN(3)]
	if rng.IntN(2) == 0 {
		c.AMR, c.AuthTime = []string{"pwd", "otp"}, noon().Add(-time.Duration(rng.IntN(30))*time.Minute)
	}
	s := authz.NewSubject(c)
	if rng.IntN(3) == 0 {
		s = s.WithGlass(authz.Glass{Patient: bob})
	}
	return s, r, f
}

// known are attributes: 0 to 3 is false, 4 to 7 true, 8 an error.
type known struct{ related, consented, authored, adult int }

func (k known) Related() (bool, error)   { return answer(k.related) }
func (k known) Consented() (bool, error) { return answer(k.consented) }
func (k known) Authored() (bool, error)  { return answer(k.authored) }
func (k known) Adult() (bool, error)     { return answer(k.adult) }

func answer(k int) (bool, error) {
	if k == 8 {
		return true, errors.New("the store does not answer")
	}
	return k >= 4, nil
}

// factPolicy uses the attributes, more of them than a table holds for those who
// have every role.
const factPolicy = `
role, role:a, a
role, role:b, b
role, role:c, c
p, role:a, record, read|search, *, TREAT|HRESCH, relationship & consent & label(N+HIV), allow
p, role:a, record, read|search, clinical, *, adult & label(R), allow
p, role:a, *, read, narrative, *, not_author, deny
p, role:a, record, read, identifier, *, zone(10.0.0.0/8) & client(tablet+other) & relationship, allow
p, role:b, record, read|update, *, *, author & hours(07:00-19:00@UTC) & mfa(15m), allow
p, role:b, Observation, read, *, *, label(V+*) & system_scope, allow
p, role:b, record, search|read, demographic, *, relationship & restricted_label, deny
p, role:c, *, read|search|delete, *, *, all_patients, allow
p, role:c, *, read|search, contact, *, consent & org & own_compartment & not_patient_data & hours(22:00-06:00@UTC), deny
p, role:c, *, read|search, restricted, *, mfa(5m) & not_restricted_label & adult, deny
`
