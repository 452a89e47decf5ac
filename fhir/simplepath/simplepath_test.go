package simplepath_test

import (
	"errors"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/simplepath"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, expression, typ, want string }{
		{"member", "Observation.subject", "Observation", "Observation.subject"},
		{"nested", "Claim.payee.party", "Claim", "Claim.payee.party"},
		{"target", "CarePlan.subject.where(resolve() is Patient)", "CarePlan", "CarePlan.subject.where(resolve() is Patient)"},
		{"union", "A.subject | B.patient | A.other", "A", "A.subject,A.other"},
		{"other type only", "B.patient", "A", ""},
		{"narrowed choice", "(Composition.relatesTo.target as Identifier)", "Composition", "Composition.relatesTo.targetIdentifier"},
		{"member of a narrowed choice", "(A.value as CodeableConcept).coding", "A", "A.valueCodeableConcept.coding"},
		{"parentheses", "(A.subject)", "A", "A.subject"},
		{"narrowed primitive", "(A.onset as dateTime)", "A", "A.onsetDateTime"},
		{"foreign alternative that is not simple", "A.x | B.extension('u').value", "A", "!"},
		{"function", "A.x.exists()", "A", "!"},
		{"filter", "A.telecom.where(system='email')", "A", "!"},
		{"index", "A.x[0]", "A", "!"},
		{"unclosed", "(A.x", "A", "!"},
		{"no member", "A", "A", "!"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			paths, err := simplepath.Parse(tt.expression, tt.typ)
			got := ""
			for i, p := range paths {
				if i > 0 {
					got += ","
				}
				got += p.String()
			}
			if errors.Is(err, simplepath.ErrNotSimple) {
				got = "!"
			}
			if got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWalkEntersArraysAndStops(t *testing.T) {
	t.Parallel()
	n, err := fhir.ParseValue([]byte(`{"a":[{"b":["1","2"]},{"c":"x"},{"b":"3"}]}`), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	p := simplepath.Path{Type: "T", Members: []string{"a", "b"}}
	var got string
	p.Walk(&n, func(n *fhir.Node) bool { got += n.Text(); return true })
	if got != "123" {
		t.Fatalf("visited %q", got)
	}
	got = ""
	p.Walk(&n, func(n *fhir.Node) bool { got += n.Text(); return got != "12" })
	if got != "12" {
		t.Fatalf("did not stop: %q", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("(A.b as C).d | A.e.where(resolve() is P)")
	f.Fuzz(func(t *testing.T, s string) {
		paths, err := simplepath.Parse(s, "A")
		if err != nil {
			return
		}
		for _, p := range paths {
			if p.Type != "A" || len(p.Members) == 0 {
				t.Fatalf("path %q", p)
			}
		}
	})
}
