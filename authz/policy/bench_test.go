package policy

import (
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

func benchSubject() authz.Subject {
	return authz.NewSubject(authz.SubjectClaims{ID: "user:nurse", Roles: []string{"role:nurse"}, Scopes: []string{"user/*.rs"}, Purpose: "TREAT"})
}

func TestDecideAndMaskDoNotAllocate(t *testing.T) {
	d, s := newDecider(t, ""), benchSubject()
	r := authz.Request{Action: authz.Read, Type: "Observation"}
	f := restrictedFacts(alice)
	if n := testing.AllocsPerRun(100, func() {
		g, _ := d.Decide(t.Context(), s, r)
		sink = g.Mask(f)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

var sink field.ClassSet

func BenchmarkDecide(b *testing.B) {
	d, s := newDecider(b, ""), benchSubject()
	r := authz.Request{Action: authz.Read, Type: "Observation"}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		g, _ := d.Decide(ctx, s, r)
		sink = g.Ceiling()
	}
}

func BenchmarkDecideFirst(b *testing.B) {
	d, s := newDecider(b, ""), benchSubject()
	r := authz.Request{Action: authz.Read, Type: "Observation"}
	b.ReportAllocs()
	for b.Loop() {
		sink = d.compile(&s, r, featuresOf(&s)).program.Ceiling()
	}
}

func BenchmarkMask(b *testing.B) {
	d, s := newDecider(b, ""), benchSubject()
	g, _ := d.Decide(b.Context(), s, authz.Request{Action: authz.Read, Type: "Observation"})
	f := restrictedFacts(alice)
	b.ReportAllocs()
	for b.Loop() {
		sink = g.Mask(f)
	}
}

func BenchmarkCasbinOracle(b *testing.B) {
	d := newDecider(b, "")
	r := authz.Request{Action: authz.Read, Type: "Observation"}
	for b.Loop() {
		_, _ = d.oracle.allows([]string{"role:nurse"}, r, field.Clinical, "TREAT", input{})
	}
}
