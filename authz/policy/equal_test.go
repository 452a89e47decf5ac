package policy

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// Rules that use what the demo roles do not: purposes, several predicates,
// several roles that contradict each other.
const wildPolicy = `
role, role:a, a
role, role:b, b
role, role:c, c
p, role:a, record, read|search, clinical|limited, TREAT, org & not_restricted_label, allow
p, role:a, *, read, *, BTG, all_patients, allow
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
	for _, csv := range []string{"", wildPolicy} {
		d := newDecider(t, csv)
		for decisions := 0; decisions < want/2; {
			s, r, f := randomRequest(rng, d.Roles())
			g, _ := d.Decide(t.Context(), s, r)
			mask := g.Mask(f)
			in := input{orgs: s.Orgs(), patientType: inCompartment(r.Type), facts: f}
			in.patient, in.hasPatient = s.PatientKey()
			for _, class := range field.AllClasses.Classes() {
				ok, err := d.oracle.allows(s.Roles(), r, class, s.Purpose(), in)
				if err != nil {
					t.Fatal(err)
				}
				ok = ok && plainScopes(s, r, in)
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

// plainScopes is the SMART rule spelled out once more, without the compiler.
func plainScopes(s authz.Subject, r authz.Request, in input) bool {
	letter := map[authz.Action]string{authz.Read: "r", authz.Search: "s", authz.Create: "c", authz.Update: "u", authz.Delete: "d", authz.Reassign: "u"}[r.Action]
	own := holds("own_compartment", in) || holds("not_patient_data", in)
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
		f.Security = []field.Label{{System: confidentialitySystem, Code: "V"}}
	}
	return authz.NewSubject(c), r, f
}
