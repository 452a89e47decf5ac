package terminology

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestHierarchy(t *testing.T) {
	t.Parallel()
	s := newService(t, zoo(t))
	for _, row := range []struct{ code, above, below string }{
		{"animal", "animal", "animal dodo dog fish mammal swimmer whale"},
		{"mammal", "animal mammal", "dog mammal whale"},
		{"whale", "animal mammal swimmer whale", "whale"},
		{"swimmer", "animal swimmer", "fish swimmer whale"},
	} {
		up, err := s.Ancestors(t.Context(), "urn:animals", row.code)
		if err != nil || codes(up) != row.above || up[0].Code != row.code {
			t.Errorf("above %s: %q, %v", row.code, codes(up), err)
		}
		down, err := s.Descendants(t.Context(), "urn:animals|1", row.code, 0)
		if err != nil || codes(down) != row.below || down[0].Code != row.code {
			t.Errorf("below %s: %q, %v", row.code, codes(down), err)
		}
		for _, other := range strings.Fields("animal dodo dog fish mammal swimmer whale") {
			want := slices.Contains(strings.Fields(row.above), other)
			if is, err := s.Subsumes(t.Context(), "urn:animals", other, row.code); err != nil || is != want {
				t.Errorf("%s subsumes %s: %v, %v", other, row.code, is, err)
			}
		}
	}
	if _, err := s.Descendants(t.Context(), "urn:animals", "animal", 6); !errors.Is(err, ErrTooMany) {
		t.Errorf("7 concepts with limit 6: %v", err)
	}
	if list, err := s.Descendants(t.Context(), "urn:animals", "animal", 7); err != nil || len(list) != 7 {
		t.Errorf("7 concepts with limit 7: %v", err)
	}
	for _, unknown := range []struct {
		system string
		want   error
	}{{"urn:animals", ErrNotFound}, {"urn:animals|2", ErrNotSupported}, {"urn:none", ErrNotSupported}, {"http://snomed.info/sct", ErrNotSupported}} {
		if _, err := s.Descendants(t.Context(), unknown.system, "unicorn", 0); !errors.Is(err, unknown.want) {
			t.Errorf("%s: %v, want %v", unknown.system, err, unknown.want)
		}
		if _, err := s.Subsumes(t.Context(), unknown.system, "unicorn", "dog"); !errors.Is(err, unknown.want) {
			t.Errorf("%s: %v, want %v", unknown.system, err, unknown.want)
		}
	}
}

// The official v3 systems give a concept further parents by the child property.
func TestOfficialHierarchy(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	const act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	for _, row := range []struct {
		ancestor, descendant string
		want                 bool
	}{
		{"_ActEncounterCode", "AMB", true},
		{"AMB", "_ActEncounterCode", false},
		{"_AdministrationDetectedIssueCode", "DOSEH", true},
		{"_ActAccountCode", "AMB", false},
	} {
		if is, err := s.Subsumes(t.Context(), act, row.ancestor, row.descendant); err != nil || is != row.want {
			t.Errorf("%s subsumes %s: %v, %v", row.ancestor, row.descendant, is, err)
		}
	}
	want := Concept{System: act, Version: "2018-08-12", Code: "AMB", Display: "ambulatory"}
	if c, err := s.Lookup(t.Context(), act, "AMB"); err != nil || c != want {
		t.Errorf("%+v, %v", c, err)
	}
}

// A hierarchy that is declared to be something else answers no subsumption.
func TestPartOfIsNoSubsumption(t *testing.T) {
	t.Parallel()
	parts := strings.NewReplacer(`"is-a"`, `"part-of"`, "urn:animals", "urn:parts").Replace(animals)
	set := strings.Replace(filtered("concept", "is-a", "mammal"), "urn:animals", "urn:parts", 1)
	s := newService(t, zoo(t, parts, set))
	if _, err := s.Subsumes(t.Context(), "urn:parts", "mammal", "dog"); !errors.Is(err, ErrNotSupported) {
		t.Errorf("subsumes: %v", err)
	}
	if is, err := s.Subsumes(t.Context(), "urn:parts", "dog", "dog"); err != nil || !is {
		t.Errorf("a code subsumes itself: %v, %v", is, err)
	}
	if _, err := s.Descendants(t.Context(), "urn:parts", "mammal", 0); !errors.Is(err, ErrNotSupported) {
		t.Errorf("descendants: %v", err)
	}
	if _, err := s.Contains(t.Context(), "urn:vs", "urn:parts", "dog"); !errors.Is(err, ErrNotSupported) {
		t.Errorf("is-a: %v", err)
	}
}

// Parents by property may form a cycle; every question still ends.
func TestCycleOfConceptsEnds(t *testing.T) {
	t.Parallel()
	parent := func(code, of string) string {
		return `{"code":"` + code + `","property":[{"code":"parent","valueCode":"` + of + `"}]}`
	}
	ring := `{"resourceType":"CodeSystem","url":"urn:ring","content":"complete","concept":[` +
		parent("a", "b") + "," + parent("b", "c") + "," + parent("c", "a") + "," + parent("self", "self") + `]}`
	s := newService(t, (&memory{}).add(t, ring))
	for _, pair := range [][2]string{{"a", "c"}, {"c", "a"}, {"self", "self"}} {
		if is, err := s.Subsumes(t.Context(), "urn:ring", pair[0], pair[1]); err != nil || !is {
			t.Errorf("%v: %v, %v", pair, is, err)
		}
	}
	if is, err := s.Subsumes(t.Context(), "urn:ring", "self", "a"); err != nil || is {
		t.Errorf("self subsumes a: %v, %v", is, err)
	}
	if up, err := s.Ancestors(t.Context(), "urn:ring", "a"); err != nil || codes(up) != "a b c" {
		t.Errorf("%v, %v", codes(up), err)
	}
}
