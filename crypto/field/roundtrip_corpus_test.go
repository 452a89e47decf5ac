package field

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
)

// corpus yields the official examples and the entries of some Synthea
// bundles.
func corpus(t testing.TB, bundles int, yield func(name string, r *fhir.Resource)) {
	t.Helper()
	for name, b := range fhirtest.Examples(t) {
		if r, err := fhir.Parse(b, fhir.DefaultLimits); err == nil {
			yield(name, r)
		}
	}
	synthea(t, bundles, yield)
}

func synthea(t testing.TB, bundles int, yield func(name string, r *fhir.Resource)) {
	t.Helper()
	for name, b := range fhirtest.Synthea(t) {
		if bundles--; bundles < 0 {
			return
		}
		var bundle struct {
			Entry []struct{ Resource json.RawMessage }
		}
		if err := json.Unmarshal(b, &bundle); err != nil {
			t.Fatal(err)
		}
		for i, e := range bundle.Entry {
			r, err := fhir.Parse(e.Resource, fhir.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			yield(fmt.Sprintf("%s#%d", name, i), r)
		}
	}
}

func TestCorpusRoundTrip(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	corpus(t, 2, func(name string, r *fhir.Resource) {
		h := Head{ID: r.ID()}
		body, err := c.Seal(nil, binding(r.Type()), keys, &h, r)
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := openAs(c, keys, binding(r.Type()), body, AllClasses)
		if err != nil || string(got) != string(r.AppendJSON(nil)) {
			t.Errorf("%s differs: %v", name, err)
		}
	})
}

// TestResearcherSeesNoHiddenValue: no string of a hidden class is in the
// masked answer, unless a visible element holds it too.
func TestResearcherSeesNoHiddenValue(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	visible := Set(Clinical, Limited, Administrative)
	corpus(t, 1, func(name string, r *fhir.Resource) {
		h := Head{ID: r.ID()}
		body, err := c.Seal(nil, binding(r.Type()), keys, &h, r)
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := openAs(c, keys, binding(r.Type()), body, visible)
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := fhir.Parse(got, fhir.DefaultLimits); err != nil {
			t.Errorf("%s: masked answer is no resource: %v", name, err)
		}
		hidden, shown := map[string]bool{}, map[string]bool{}
		collect(table().Root(r.Type()), r.Root(), visible, hidden, shown)
		answer := map[string]bool{}
		leaves(parse(t, string(got)).Root(), answer)
		for s := range hidden {
			if !shown[s] && (answer[s] || len(s) >= 8 && substring(answer, s) && !substring(shown, s)) {
				t.Errorf("%s: a hidden value is in the masked answer (%s)", name, s)
			}
		}
		for _, dangling := range []string{":{}", ":[]", "[null]", "[{}"} {
			if strings.Contains(string(got), dangling) && !strings.Contains(string(r.AppendJSON(nil)), dangling) {
				t.Errorf("%s: dangling %s", name, dangling)
			}
		}
	})
}

func substring(shown map[string]bool, s string) bool {
	for v := range shown {
		if strings.Contains(v, s) {
			return true
		}
	}
	return false
}

func leaves(n *fhir.Node, into map[string]bool) {
	for i := range n.Len() {
		leaves(n.At(i), into)
	}
	into[strings.Trim(string(n.Raw()), `"`)] = true
}

// collect sorts the string leaves by whether their class is visible, by an
// own reading of the cursor, not by the split.
func collect(c Cursor, n *fhir.Node, visible ClassSet, hidden, shown map[string]bool) {
	if c.c.from == states {
		for i := range n.Len() { // their stand-ins
			a := n.At(i)
			shown[a.Member("state").Text()], shown[a.Member("country").Text()] = true, true
		}
	}
	if n.Len() > 0 {
		for i := range n.Len() {
			collect(c.Child(n, n.At(i)), n.At(i), visible, hidden, shown)
		}
		return
	}
	class, needs, _ := c.Uniform(n)
	s := strings.Trim(string(n.Raw()), `"`)
	if len(s) < 3 {
		return
	}
	if visible.Has(class) && visible.Contains(needs) {
		shown[s] = true
	} else if n.Kind() == fhir.String {
		hidden[s] = true
	}
}

func TestExpansionOnSynthea(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	type sum struct{ n, in, out int }
	per, all := map[string]*sum{}, &sum{}
	synthea(t, 4, func(_ string, r *fhir.Resource) {
		h := Head{ID: "3f1d2c4b-0f5e-4c7a-9b43-a1b2c3d4e5f6", Patients: []StorageID{{5}}, Owner: StorageID{5}}
		r.SetID(h.ID)
		body, err := c.Seal(nil, binding(r.Type()), keys, &h, r)
		if err != nil {
			t.Fatal(err)
		}
		s := per[r.Type()]
		if s == nil {
			s = &sum{}
			per[r.Type()] = s
		}
		for _, s := range []*sum{s, all} {
			s.n++
			s.in += len(r.AppendJSON(nil))
			s.out += len(body)
		}
	})
	for typ, s := range per {
		t.Logf("%-22s n=%5d mean %6d B expansion %.2f", typ, s.n, s.in/s.n, float64(s.out)/float64(s.in))
	}
	t.Logf("all: %.3f", float64(all.out)/float64(all.in))
	if float64(all.out)/float64(all.in) > 1.45 {
		t.Errorf("expansion %.3f exceeds 1.45", float64(all.out)/float64(all.in))
	}
}
