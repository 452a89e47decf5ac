package policy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// scaled is a policy with about n rules: a role for each hundred, an eighth of
// them denials, conditions of every cheap kind.
func scaled(n int) string {
	rng := rand.New(rand.NewPCG(5, uint64(n)))
	conds := []string{"all_patients", "own_compartment", "org", "restricted_label", "not_restricted_label & org", "not_patient_data"}
	pick := func(list []string) string { return list[rng.IntN(len(list))] }
	var b strings.Builder
	roles := max(2, n/100)
	for i := range roles {
		fmt.Fprintf(&b, "role, role:r%d, x\n", i)
	}
	b.WriteString("p, role:r0, Observation, read, clinical, TREAT, all_patients, allow\n")
	seen := map[string]bool{}
	for len(seen) < n-1 {
		effect := "allow"
		if rng.IntN(8) == 0 {
			effect = "deny"
		}
		line := fmt.Sprintf("p, role:r%d, %s, %s, %s, %s, %s, %s\n", rng.IntN(roles), pick(append(testTypes, "record", "record", "record", "record", "*")), pick(actions[:5]),
			pick(append(classNames(field.AllClasses), "*", "*", "*")), pick(append([]string{"*", "*", "*", "*"}, purposes...)), pick(conds), effect)
		if !seen[line] {
			seen[line] = true
			b.WriteString(line)
		}
	}
	return b.String()
}

// sameAsCasbin compares n random decisions, class by class.
func sameAsCasbin(t *testing.T, d *Decider, n int) (allowed int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, uint64(n)))
	for asked := 0; asked < n; asked++ {
		s, r, f := randomRequest(rng, d.Roles())
		class := field.AllClasses.Classes()[rng.IntN(8)]
		g, _ := d.Decide(t.Context(), s, r)
		in := askedOf(&s, inCompartment(r.Type), f, d.env)
		ok := casbinAllows(t, d, s, r, class, in)
		if ok != g.Mask(f).Has(class) {
			t.Fatalf("roles %v purpose %s %v class %v facts %+v: Casbin %v, compiled %v", s.Roles(), s.Purpose(), r, class, f, ok, g.Mask(f))
		}
		if ok {
			allowed++
		}
	}
	return allowed
}

// Large policies decide as Casbin does. Casbin takes milliseconds for each, so
// that the full numbers (100,000 at 1,000 rules, 1,000 at 100,000) are for
// FIELDSEAL_LONG.
func TestLargePoliciesEqualCasbin(t *testing.T) {
	t.Parallel()
	sizes := []struct{ rules, decisions int }{{1000, 1000}, {10_000, 40}}
	if os.Getenv("FIELDSEAL_LONG") != "" {
		sizes = []struct{ rules, decisions int }{{10, 100_000}, {1000, 100_000}, {100_000, 1000}}
	}
	for _, c := range sizes {
		allowed := sameAsCasbin(t, newDecider(t, scaled(c.rules)), c.decisions)
		if allowed == 0 || allowed == c.decisions {
			t.Errorf("%d rules: %d of %d decisions allow: the test proves little", c.rules, allowed, c.decisions)
		}
		t.Logf("%d rules: %d decisions, %d allow", c.rules, c.decisions, allowed)
	}
}

// processorTime reports what the process itself used, which does not grow with
// what else the machine does.
func processorTime(b *testing.B) (report func()) {
	used := func() int64 {
		var u syscall.Rusage
		if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
			return 0
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	b.ReportAllocs()
	start := used()
	return func() { b.ReportMetric(float64(used()-start)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkScale measures the first decision of a request that was not seen,
// and the later ones.
func BenchmarkScale(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		d := newDecider(b, scaled(n))
		s := authz.NewSubject(authz.SubjectClaims{ID: "user:x", Roles: []string{"role:r0", "role:r1"}, Scopes: []string{"user/*.cruds"}, Purpose: "TREAT"})
		r := authz.Request{Action: authz.Read, Type: "Observation"}
		b.Run(fmt.Sprintf("rules=%d/first", n), func(b *testing.B) {
			defer processorTime(b)()
			for b.Loop() {
				sink = d.compile(&s, r, featuresOf(&s)).program.Ceiling()
			}
		})
		b.Run(fmt.Sprintf("rules=%d/later", n), func(b *testing.B) {
			ctx := b.Context()
			defer processorTime(b)()
			for b.Loop() {
				g, _ := d.Decide(ctx, s, r)
				sink = g.Ceiling()
			}
		})
	}
}
