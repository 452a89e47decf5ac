package label

import (
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
)

func labels(codes ...string) (ls []field.Label) {
	for _, c := range codes {
		if _, level := ParseLevel(c); level {
			ls = append(ls, field.Label{System: Confidentiality, Code: c})
		} else {
			ls = append(ls, field.Label{System: Sensitivity, Code: c})
		}
	}
	return ls
}

func TestOrder(t *testing.T) {
	t.Parallel()
	for i, code := range []string{"U", "L", "M", "N", "R", "V"} {
		if l, ok := ParseLevel(code); !ok || int(l) != i || l.String() != code {
			t.Errorf("%s: %v %v", code, l, ok)
		}
	}
	if _, ok := ParseLevel("r"); ok {
		t.Error("codes are case sensitive")
	}
}

// abuse 55: a label downgrade.
func TestLowered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		before, now []field.Label
		want        bool
	}{
		{"the same", labels("R", "HIV"), labels("HIV", "R"), false},
		{"raised", labels("N"), labels("V"), false},
		{"a category more", labels("R"), labels("R", "PSY"), false},
		{"R to N", labels("R"), labels("N"), true},
		{"R dropped", labels("R"), nil, true},
		{"U dropped: unlabelled is N", labels("U"), nil, false},
		{"N dropped", labels("N"), nil, false},
		{"unlabelled to L", nil, labels("L"), true},
		{"a category dropped", labels("R", "HIV"), labels("R"), true},
		{"a category exchanged", labels("HIV"), labels("PSY"), true},
		{"a system left out", labels("R"), []field.Label{{Code: "R"}}, false},
		{"an unknown level dropped", []field.Label{{System: Confidentiality, Code: "X"}}, labels("R"), true},
		{"a label that protects nothing", []field.Label{{System: "urn:x", Code: "y"}}, nil, false},
	} {
		if got := Lowered(c.before, c.now, Normal); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestMarkIsTheHighest(t *testing.T) {
	t.Parallel()
	var m Mark
	if m.Labels() != nil {
		t.Error("an empty mark has labels")
	}
	for _, ls := range [][]field.Label{labels("N"), labels("R", "PSY"), labels("L", "HIV"), nil, {{System: "urn:x", Code: "V"}}} {
		m.Add(ls)
	}
	if got := m.Labels(); !slices.Equal(got, labels("R", "HIV", "PSY")) {
		t.Errorf("%v", got)
	}
}
