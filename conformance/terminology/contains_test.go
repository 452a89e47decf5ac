package terminology

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// animals is a small complete code system: a tree, a second parent by
// property, a property with values, inactive and abstract concepts.
const animals = `{"resourceType":"CodeSystem","url":"urn:animals","version":"1","content":"complete","caseSensitive":true,"hierarchyMeaning":"is-a",
"valueSet":"urn:vs:animals",
"property":[{"code":"legs","type":"integer"},{"code":"parent","uri":"http://hl7.org/fhir/concept-properties#parent","type":"code"},
 {"code":"gone","uri":"http://hl7.org/fhir/concept-properties#inactive","type":"boolean"}],
"concept":[{"code":"animal","display":"Animal","property":[{"code":"notSelectable","valueBoolean":true}],"concept":[
  {"code":"mammal","display":"Mammal","concept":[
    {"code":"dog","display":"Dog","property":[{"code":"legs","valueInteger":4}]},
    {"code":"whale","display":"Whale","property":[{"code":"legs","valueInteger":0},{"code":"parent","valueCode":"swimmer"}]}]},
  {"code":"fish","display":"Fish","property":[{"code":"parent","valueCode":"swimmer"}]},
  {"code":"swimmer","display":"Swimmer"},
  {"code":"dodo","display":"Dodo","property":[{"code":"legs","valueInteger":2},{"code":"gone","valueBoolean":true}]}]}]}`

// compose wraps a compose element; urn:vs is its URL.
func compose(text string) string {
	return `{"resourceType":"ValueSet","url":"urn:vs","compose":` + text + `}`
}

func filtered(filters ...string) string {
	var list []string
	for i := 0; i < len(filters); i += 3 {
		list = append(list, fmt.Sprintf(`{"property":%q,"op":%q,"value":%q}`, filters[i], filters[i+1], filters[i+2]))
	}
	return compose(`{"include":[{"system":"urn:animals","filter":[` + strings.Join(list, ",") + `]}]}`)
}

// Membership and expansion must agree: every row is asked both ways for every
// code of the system.
func TestCompose(t *testing.T) {
	t.Parallel()
	const all = "animal dodo dog fish mammal swimmer whale"
	for _, row := range []struct{ name, set, want string }{
		{"whole system", compose(`{"include":[{"system":"urn:animals"}]}`), all},
		{"system and version", compose(`{"include":[{"system":"urn:animals","version":"1"}]}`), all},
		{"listed", compose(`{"include":[{"system":"urn:animals","concept":[{"code":"dog"},{"code":"fish"}]}]}`), "dog fish"},
		{"listed code that does not exist", compose(`{"include":[{"system":"urn:animals","concept":[{"code":"dog"},{"code":"unicorn"}]}]}`), "dog"},
		{"is-a", filtered("concept", "is-a", "mammal"), "dog mammal whale"},
		{"is-a by a parent property", filtered("concept", "is-a", "swimmer"), "fish swimmer whale"},
		{"is-a by property code", filtered("code", "is-a", "mammal"), "dog mammal whale"},
		{"descendent-of", filtered("concept", "descendent-of", "mammal"), "dog whale"},
		{"is-not-a", filtered("concept", "is-not-a", "mammal"), "animal dodo fish swimmer"},
		{"generalizes", filtered("concept", "generalizes", "whale"), "animal mammal swimmer whale"},
		{"equal", filtered("legs", "=", "4"), "dog"},
		{"in", filtered("legs", "in", "0, 2"), "dodo whale"},
		{"in codes", filtered("code", "in", "dog,fish,unicorn"), "dog fish"},
		{"not-in keeps concepts without the property", filtered("legs", "not-in", "0,2"), "animal dog fish mammal swimmer"},
		{"exists", filtered("legs", "exists", "true"), "dodo dog whale"},
		{"exists not", filtered("legs", "exists", "false"), "animal fish mammal swimmer"},
		{"regex matches whole values", filtered("code", "regex", "d.*|ish"), "dodo dog"},
		{"regex on display", filtered("display", "regex", ".*mm.*"), "mammal swimmer"},
		{"parent", filtered("parent", "=", "swimmer"), "fish whale"},
		{"child", filtered("child", "=", "whale"), "mammal swimmer"},
		{"two filters", filtered("concept", "is-a", "mammal", "legs", "=", "0"), "whale"},
		{"exclude codes", compose(`{"include":[{"system":"urn:animals"}],"exclude":[{"system":"urn:animals","concept":[{"code":"dog"}]}]}`), "animal dodo fish mammal swimmer whale"},
		{"exclude of a later include", compose(`{"include":[{"system":"urn:animals","concept":[{"code":"dog"}]},{"system":"urn:animals","concept":[{"code":"dog"},{"code":"fish"}]}],"exclude":[{"system":"urn:animals","concept":[{"code":"dog"}]}]}`), "fish"},
		{"exclude a value set", compose(`{"include":[{"system":"urn:animals"}],"exclude":[{"valueSet":["urn:vs:swimmers"]}]}`), "animal dodo dog mammal"},
		{"exclude everything", compose(`{"include":[{"system":"urn:animals"}],"exclude":[{"system":"urn:animals"}]}`), ""},
		{"active only", compose(`{"inactive":false,"include":[{"system":"urn:animals"}]}`), "animal dog fish mammal swimmer whale"},
		{"inactive too", compose(`{"inactive":true,"include":[{"system":"urn:animals"}]}`), all},
		{"value set", compose(`{"include":[{"valueSet":["urn:vs:swimmers"]}]}`), "fish swimmer whale"},
		{"value set and version", compose(`{"include":[{"valueSet":["urn:vs:swimmers|2"]}]}`), "fish swimmer whale"},
		{"value sets intersect", compose(`{"include":[{"valueSet":["urn:vs:swimmers","urn:vs:mammals"]}]}`), "whale"},
		{"includes unite", compose(`{"include":[{"valueSet":["urn:vs:swimmers"]},{"valueSet":["urn:vs:mammals"]}]}`), "dog fish mammal swimmer whale"},
		{"system and value set intersect", compose(`{"include":[{"system":"urn:animals","filter":[{"property":"legs","op":"exists","value":"true"}],"valueSet":["urn:vs:swimmers"]}]}`), "whale"},
		{"value set of the whole system", compose(`{"include":[{"valueSet":["urn:vs:animals"]}]}`), all},
		{"contained value set", `{"resourceType":"ValueSet","url":"urn:vs","contained":[{"resourceType":"ValueSet","id":"a","compose":{"include":[{"system":"urn:animals","concept":[{"code":"dog"}]}]}}],"compose":{"include":[{"valueSet":["#a"]}]}}`, "dog"},
		{"stored expansion", `{"resourceType":"ValueSet","url":"urn:vs","expansion":{"total":3,"contains":[{"system":"urn:animals","code":"animal","abstract":true,"contains":[{"system":"urn:animals","code":"dog"},{"system":"urn:animals","code":"fish"}]}]}}`, "dog fish"},
		{"definition before expansion", `{"resourceType":"ValueSet","url":"urn:vs","compose":{"include":[{"system":"urn:animals","concept":[{"code":"dog"}]}]},"expansion":{"contains":[{"system":"urn:animals","code":"fish"}]}}`, "dog"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, zoo(t, row.set))
			list, err := s.Enumerate(t.Context(), "urn:vs", 0)
			if err != nil || codes(list) != row.want {
				t.Fatalf("enumerated %q, %v, want %q", codes(list), err, row.want)
			}
			for _, code := range strings.Fields(all + " unicorn Dog") {
				want := strings.Contains(" "+row.want+" ", " "+code+" ")
				for _, system := range []string{"urn:animals", ""} {
					if in, err := s.MemberOf(t.Context(), "urn:vs", system, code); err != nil || in != want {
						t.Errorf("%s with system %q: %v, %v, want %v", code, system, in, err, want)
					}
				}
				if in, err := s.Contains(t.Context(), "urn:vs", "urn:other", code); err != nil || in {
					t.Errorf("%s of another system: %v, %v", code, in, err)
				}
			}
		})
	}
}

// zoo is a Source with animals, two value sets of it, and more resources.
func zoo(t testing.TB, more ...string) *memory {
	t.Helper()
	m := (&memory{}).add(t, animals,
		strings.Replace(filtered("concept", "is-a", "swimmer"), `"urn:vs"`, `"urn:vs:swimmers","version":"2"`, 1),
		strings.Replace(filtered("concept", "is-a", "mammal"), `"urn:vs"`, `"urn:vs:mammals"`, 1),
		fragmentSystem)
	return m.add(t, more...)
}

const fragmentSystem = `{"resourceType":"CodeSystem","url":"urn:fragment","content":"fragment","concept":[{"code":"a","concept":[{"code":"b"}]},{"code":"c"}]}`

// What the content does not decide is an error of the right class, never an
// answer.
func TestUndecided(t *testing.T) {
	t.Parallel()
	listed := `{"system":"urn:animals","concept":[{"code":"dog"}]}`
	for _, row := range []struct {
		name, set, system, code string
		in                      bool
		member, expansion       error
	}{
		{"SNOMED CT is-a", compose(`{"include":[{"system":"http://snomed.info/sct","filter":[{"property":"concept","op":"is-a","value":"404684003"}]}]}`), "http://snomed.info/sct", "1", false, ErrNotSupported, ErrNotSupported},
		{"another system is not in SNOMED CT", compose(`{"include":[{"system":"http://snomed.info/sct"}]}`), "urn:animals", "dog", false, nil, ErrNotSupported},
		{"listed codes need no content", compose(`{"include":[{"system":"http://snomed.info/sct","concept":[{"code":"1"}]}]}`), "http://snomed.info/sct", "1", true, nil, nil},
		{"unlisted codes neither", compose(`{"include":[{"system":"http://snomed.info/sct","concept":[{"code":"1"}]}]}`), "http://snomed.info/sct", "2", false, nil, nil},
		{"yes whatever stays unknown", compose(`{"include":[{"system":"http://loinc.org"},` + listed + `]}`), "urn:animals", "dog", true, nil, ErrNotSupported},
		{"unknown exclude", compose(`{"include":[` + listed + `],"exclude":[{"valueSet":["urn:none"]}]}`), "urn:animals", "dog", false, ErrNotFound, ErrNotFound},
		{"excluded whatever stays unknown", compose(`{"include":[{"system":"urn:animals","valueSet":["urn:none"]}],"exclude":[` + listed + `]}`), "urn:animals", "dog", false, nil, ErrNotFound},
		{"unknown and no is no", compose(`{"include":[{"valueSet":["urn:none","urn:vs:swimmers"]}]}`), "urn:animals", "dog", false, nil, ErrNotFound},
		{"unknown and yes is unknown", compose(`{"include":[{"valueSet":["urn:none","urn:vs:swimmers"]}]}`), "urn:animals", "fish", false, ErrNotFound, ErrNotFound},
		{"version that is not held", compose(`{"include":[{"system":"urn:animals","version":"9"}]}`), "urn:animals", "dog", false, ErrNotSupported, ErrNotSupported},
		{"undeclared property", filtered("wings", "=", "2"), "urn:animals", "dog", false, ErrNotSupported, ErrNotSupported},
		{"operator of a later release", filtered("concept", "child-of", "mammal"), "urn:animals", "dog", false, ErrNotSupported, ErrNotSupported},
		{"hierarchy of a property", filtered("legs", "is-a", "4"), "urn:animals", "dog", false, ErrNotSupported, ErrNotSupported},
		{"filter on a code that does not exist", filtered("concept", "is-a", "unicorn"), "urn:animals", "dog", false, ErrInvalid, ErrInvalid},
		{"neither definition nor expansion", `{"resourceType":"ValueSet","url":"urn:vs"}`, "urn:animals", "dog", false, ErrNotSupported, ErrNotSupported},
		{"part of an expansion, listed", partial, "urn:animals", "dog", true, nil, ErrNotSupported},
		{"part of an expansion, not listed", partial, "urn:animals", "fish", false, ErrNotSupported, ErrNotSupported},
		{"missing supplement", `{"resourceType":"ValueSet","url":"urn:vs","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/valueset-supplement","valueCanonical":"urn:none"}],"compose":{"include":[` + listed + `]}}`, "urn:animals", "dog", false, ErrNotSupported, ErrNotSupported},
		{"pattern that is none", filtered("code", "regex", "("), "urn:animals", "dog", false, ErrInvalid, ErrInvalid},
		{"back reference", filtered("code", "regex", `(a)\1`), "urn:animals", "dog", false, ErrInvalid, ErrInvalid},
		{"include without system", compose(`{"include":[{"concept":[{"code":"dog"}]}]}`), "urn:animals", "dog", false, ErrInvalid, ErrInvalid},
		{"missing contained value set", compose(`{"include":[{"valueSet":["#a"]}]}`), "urn:animals", "dog", false, ErrInvalid, ErrInvalid},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, zoo(t, row.set))
			in, err := s.Contains(t.Context(), "urn:vs", row.system, row.code)
			if in != row.in || !errors.Is(err, row.member) || (err == nil) != (row.member == nil) {
				t.Errorf("member: %v, %v, want %v, %v", in, err, row.in, row.member)
			}
			if _, err := s.Enumerate(t.Context(), "urn:vs", 0); !errors.Is(err, row.expansion) || (err == nil) != (row.expansion == nil) {
				t.Errorf("expansion: %v, want %v", err, row.expansion)
			}
		})
	}
}

const partial = `{"resourceType":"ValueSet","url":"urn:vs","expansion":{"total":9,"contains":[{"system":"urn:animals","code":"dog"}]}}`

func TestFragmentNeverGuesses(t *testing.T) {
	t.Parallel()
	s := newService(t, zoo(t, compose(`{"include":[{"system":"urn:fragment"}]}`)))
	if in, err := s.Contains(t.Context(), "urn:vs", "urn:fragment", "a"); err != nil || !in {
		t.Errorf("a code of the fragment: %v, %v", in, err)
	}
	if up, err := s.Subsumes(t.Context(), "urn:fragment", "a", "b"); err != nil || !up {
		t.Errorf("a relation of the fragment: %v, %v", up, err)
	}
	for name, ask := range map[string]func(context.Context) error{
		"unlisted code":      func(ctx context.Context) error { _, err := s.Contains(ctx, "urn:vs", "urn:fragment", "x"); return err },
		"expansion":          func(ctx context.Context) error { _, err := s.Enumerate(ctx, "urn:vs", 0); return err },
		"lookup":             func(ctx context.Context) error { _, err := s.Lookup(ctx, "urn:fragment", "x"); return err },
		"relation not shown": func(ctx context.Context) error { _, err := s.Subsumes(ctx, "urn:fragment", "a", "c"); return err },
		"descendants":        func(ctx context.Context) error { _, err := s.Descendants(ctx, "urn:fragment", "a", 0); return err },
		"ancestors":          func(ctx context.Context) error { _, err := s.Ancestors(ctx, "urn:fragment", "b"); return err },
	} {
		if err := ask(t.Context()); !errors.Is(err, ErrNotSupported) {
			t.Errorf("%s: %v, want not supported", name, err)
		}
	}
}

// R4 codesystem-definitions.html#CodeSystem.caseSensitive: when the rule is
// not known, codes are accepted in any case.
func TestCase(t *testing.T) {
	t.Parallel()
	system := func(rule string) string {
		return `{"resourceType":"CodeSystem","url":"urn:case","content":"complete",` + rule + `"concept":[{"code":"One"},{"code":"x"},{"code":"X"}]}`
	}
	set := compose(`{"include":[{"system":"urn:case","concept":[{"code":"ONE"},{"code":"x"},{"code":"X"}]}]}`)
	for _, row := range []struct {
		rule, code string
		want       bool
	}{
		{`"caseSensitive":true,`, "One", false}, // listed as ONE, which does not exist
		{`"caseSensitive":true,`, "one", false},
		{`"caseSensitive":false,`, "one", true},
		{`"caseSensitive":false,`, "One", true},
		{``, "oNE", true},
		{``, "x", true},
		{``, "X", true},
		{`"caseSensitive":true,`, "x", true},
	} {
		s := newService(t, (&memory{}).add(t, system(row.rule), set))
		if in, err := s.Contains(t.Context(), "urn:vs", "urn:case", row.code); err != nil || in != row.want {
			t.Errorf("%s %s: %v, %v, want %v", row.rule, row.code, in, err, row.want)
		}
	}
}

func TestCanonicals(t *testing.T) {
	t.Parallel()
	s := newService(t, zoo(t))
	for _, row := range []struct {
		valueSet, system, code string
		want                   bool
		err                    error
	}{
		{"http://hl7.org/fhir/ValueSet/administrative-gender", "http://hl7.org/fhir/administrative-gender", "male", true, nil},
		{"http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1", "", "male", true, nil},
		{"http://hl7.org/fhir/ValueSet/administrative-gender|5.0.0", "", "male", false, ErrNotFound},
		{"http://hl7.org/fhir/ValueSet/administrative-gender", "", "m", false, nil},
		{"http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", "http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB", true, nil},
		{"http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", "http://terminology.hl7.org/CodeSystem/v3-ActCode", "CASH", false, nil},
		{"http://terminology.hl7.org/ValueSet/v2-2.6-0391", "http://terminology.hl7.org/CodeSystem/v2-0391|2.6", "ALLERGY", true, nil}, // the bar is part of the URL
		{"urn:vs:swimmers|2", "urn:animals", "fish", true, nil},
		{"urn:vs:swimmers|3", "urn:animals", "fish", false, ErrNotFound},
		{"urn:vs:animals", "urn:animals|1", "fish", true, nil},
		{"urn:vs:animals", "urn:animals|2", "fish", false, nil},
		{"http://snomed.info/sct?fhir_vs=isa/138875005", "http://snomed.info/sct", "1", false, ErrNotSupported},
		{"http://loinc.org/vs/LL715-4", "http://loinc.org", "1", false, ErrNotSupported},
		{"urn:none", "urn:animals", "fish", false, ErrNotFound},
		{"", "urn:animals", "fish", false, ErrNotFound},
	} {
		in, err := s.Contains(t.Context(), row.valueSet, row.system, row.code)
		if in != row.want || !errors.Is(err, row.err) || (err == nil) != (row.err == nil) {
			t.Errorf("%s: %v, %v, want %v, %v", row.valueSet, in, err, row.want, row.err)
		}
	}
}
