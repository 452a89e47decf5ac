package policy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"

	"github.com/fieldseal/fieldseal/authz"
)

const assigned3 = `role, role:reader, reads
role, role:senior, reads and writes
g, role:senior, role:reader
g, group:ward, role:senior
g, user:ann, group:ward
g, client:engine, role:reader
p, role:reader, Observation, read, clinical, *, all_patients, allow
p, role:senior, Observation, update, clinical, *, all_patients, allow
`

func TestAssignedRolesAreInForce(t *testing.T) {
	t.Parallel()
	d := newDecider(t, assigned3)
	account := func(id string, roles ...string) authz.SubjectClaims {
		return authz.SubjectClaims{ID: id, Roles: roles, Scopes: []string{"user/*.cruds", "system/*.cruds"}, Purpose: "TREAT"}
	}
	for _, c := range []struct {
		name          string
		claims        authz.SubjectClaims
		reads, writes bool
	}{
		{"account in a group", account("user:ann"), true, true},
		{"account that the policy does not know", account("user:bob"), false, false},
		{"group of the account record", account("user:bob", "group:ward"), true, true},
		{"unknown group", account("user:bob", "group:other"), false, false},
		{"service account", account("client:engine"), true, false},
		{"user named like the service account", account("user:engine"), false, false},
		{"role that includes another", account("user:bob", "role:senior"), true, true},
		{"included role", account("user:bob", "role:reader"), true, false},
		{"group named like a role", account("user:bob", "group:senior"), false, false},
		{"group taken for a role", account("user:bob", "role:ward"), false, false},
	} {
		if got := ask(t, d, c.claims, authz.Read, "Observation").Allowed(); got != c.reads {
			t.Errorf("%s: reads %v", c.name, got)
		}
		if got := ask(t, d, c.claims, authz.Update, "Observation").Allowed(); got != c.writes {
			t.Errorf("%s: writes %v", c.name, got)
		}
	}
}

// Accounts with equal tokens and unequal assignments share no cached answer.
func TestAssignmentOfAnotherAccountIsNotAnsweredFromCache(t *testing.T) {
	t.Parallel()
	d := newDecider(t, assigned3)
	for range 3 {
		for id, want := range map[string]bool{"user:ann": true, "user:bob": false} {
			c := authz.SubjectClaims{ID: id, Scopes: []string{"user/*.cruds"}, Purpose: "TREAT"}
			if got := ask(t, d, c, authz.Read, "Observation").Allowed(); got != want {
				t.Errorf("%s: %v", id, got)
			}
		}
	}
}

func TestBadAssignmentsAreRefusedWithTheirLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, lines, reason string }{
		{"cyclic roles", "g, role:reader, role:senior", `"role:senior" leads back to itself`},
		{"role of itself", "g, role:reader, role:reader", "leads back to itself"},
		{"cyclic groups", "g, group:a, group:b\ng, group:b, group:a", "leads back to itself"},
		{"user named like a role", "g, user:reader, role:reader", "is named like the role role:reader"},
		{"group named like a role", "g, group:senior, role:reader", "is named like the role role:senior"},
		{"unknown role", "g, user:ann, role:nobody", "unknown role"},
		{"unknown member role", "g, role:nobody, role:reader", "unknown role"},
		{"no prefix", "g, ann, role:reader", "must each be"},
		{"prefix twice", "g, user:role:reader, role:reader", "must each be"},
		{"members of an account", "g, user:ann, user:bob", "has no members"},
		{"role in a group", "g, role:reader, group:x", "not the other way round"},
		{"repeated", "g, user:ann, group:ward", "repeats line 5"},
		{"three fields", "g, user:ann", "has 3 fields"},
		{"pattern", "g, user:*, role:reader", "must each be"},
	} {
		_, err := New(Options{Policy: []byte(assigned3 + c.lines + "\n"), Types: testTypes, PatientType: inCompartment})
		var ps Problems
		if !errors.As(err, &ps) || len(ps) != 1 || !strings.Contains(ps[0].Reason, c.reason) || ps[0].Line == 0 {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Casbin's own role manager gives every account the same roles, when names
// carry their kind.
func TestAssignmentsEqualCasbinsRoleManager(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		var b strings.Builder
		var edges [][]string
		for i := range 6 {
			fmt.Fprintf(&b, "role, role:r%d, x\np, role:r%d, Observation, read, clinical, *, all_patients, allow\n", i, i)
		}
		for range 12 {
			e := []string{fmt.Sprintf("user:u%d", rng.IntN(3)), fmt.Sprintf("role:r%d", rng.IntN(6))}
			switch rng.IntN(3) {
			case 0:
				i := rng.IntN(5)
				e = []string{fmt.Sprintf("role:r%d", i), fmt.Sprintf("role:r%d", i+1+rng.IntN(5-i))}
			case 1:
				e[1] = fmt.Sprintf("group:g%d", rng.IntN(2))
			}
			if !slices.ContainsFunc(edges, func(o []string) bool { return slices.Equal(o, e) }) {
				edges = append(edges, e)
				fmt.Fprintf(&b, "g, %s, %s\n", e[0], e[1])
			}
		}
		d := newDecider(t, b.String())
		for u := range 3 {
			id := fmt.Sprintf("user:u%d", u)
			var want []string
			for _, r := range casbinRoles(t, edges, id) {
				if strings.HasPrefix(r, rolePrefix) {
					want = append(want, r)
				}
			}
			slices.Sort(want)
			if got := d.Effective(id, nil); !slices.Equal(got, want) {
				t.Fatalf("%s: %v, Casbin %v\n%s", id, got, want, b.String())
			}
		}
	}
}

func casbinRoles(t *testing.T, edges [][]string, id string) []string {
	t.Helper()
	m, err := model.NewModelFromString("[request_definition]\nr = sub\n[policy_definition]\np = sub\n[role_definition]\ng = _, _\n[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = g(r.sub, p.sub)\n")
	if err != nil {
		t.Fatal(err)
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.AddGroupingPolicies(edges); err != nil {
		t.Fatal(err)
	}
	roles, err := e.GetImplicitRolesForUser(id)
	if err != nil {
		t.Fatal(err)
	}
	return roles
}
