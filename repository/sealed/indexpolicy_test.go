package sealed

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/blind"
	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// TestEveryParameterHasAnIndexPolicy: each parameter of each type is found by
// tokens of its own, by those of its parts, by a clear column or by recheck, as
// the profile says; none is forgotten.
func TestEveryParameterHasAnIndexPolicy(t *testing.T) {
	t.Parallel()
	catalog := testCatalog(t)
	for _, profile := range []string{ProfileStandard, ProfileStrict} {
		p, err := NewIndexPolicy(profile, catalog)
		if err != nil {
			t.Fatal(err)
		}
		distinct, inPatient, everywhere := map[string]bool{}, 0, 0
		for _, typ := range catalog.Registry().ResourceTypes() {
			for _, param := range catalog.Parameters(typ) {
				distinct[param.URL] = true
				reach, known := p.reach[param]
				if !known {
					t.Errorf("%s: %s.%s fits no rule", profile, typ, param.Code)
				}
				if reach == 0 && !foundOtherwise(p, param) {
					t.Errorf("%s: %s.%s has no tokens and nothing in their place", profile, typ, param.Code)
				}
				if reach&patient != 0 {
					inPatient++
				}
				if reach&population != 0 {
					everywhere++
				}
				if profile == ProfileStrict && param.Kind != search.ReferenceKind && reach&population != 0 && strings.Contains(param.Needs(search.NoModifier).String(), "clinical") {
					t.Errorf("strict: %s.%s reads clinical elements and is in the population index", typ, param.Code)
				}
			}
		}
		if want := indexable(catalog); len(distinct) != want {
			t.Errorf("%s: %d definitions, R4 has %d with an expression", profile, len(distinct), want)
		}
		if inPatient == 0 || everywhere == 0 {
			t.Errorf("%s: %d in patients, %d in the population", profile, inPatient, everywhere)
		}
	}
}

// indexable counts R4's search parameters that have an expression.
func indexable(catalog *search.Catalog) (n int) {
	for _, sp := range catalog.Registry().AllSearchParameters() {
		if sp.Expression != "" {
			n++
		}
	}
	return n
}

func foundOtherwise(p *IndexPolicy, param *search.Parameter) bool {
	return param.Kind == search.Composite || param.Kind == search.Special || param.Code == search.ID || param.Code == "_lastUpdated" ||
		len(p.unions[param.Resource][param.Code]) > 0
}

func TestBadIndexPolicyIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	good := string(indexYAML)
	for name, c := range map[string]struct{ from, to, want string }{
		"unknown key":       {"version: 1", "version: 1\nvresion: 2", "vresion"},
		"other version":     {"version: 1", "version: 2", "version 2"},
		"unknown index":     {"- index: population", "- index: everywhere", `"everywhere"`},
		"no index":          {"- {kinds: [date], index: both}", "- {kinds: [date]}", "index"},
		"unknown kind":      {"kinds: [date], index: both", "kinds: [dates], index: both", `"dates"`},
		"unknown class":     {"classes: [clinical]", "classes: [medical]", "medical"},
		"unknown type":      {"- {kinds: [date], index: both}", "- {types: [Patent], index: both}", `"Patent"`},
		"unknown parameter": {"parameters: [_id,", "parameters: [_ident,", `"_ident"`},
		"unknown union":     {"combo-code: [code,", "combo-code: [cod,", "cod"},
		"no prefixes":       {"prefixes: [2, 3, 4, 5, 6, 8]", "prefixes: []", "prefixes"},
		"prefix of zero":    {"prefixes: [2,", "prefixes: [0,", "prefixes"},
		"prefixes descend":  {"prefixes: [2, 3", "prefixes: [3, 2", "prefixes"},
		"own prefixes":      {"- {kinds: [date], index: both}", "- {kinds: [string], prefixes: [3, 3]}", "prefixes"},
		"not YAML":          {"version: 1", "version: [", "index policy"},
	} {
		if !strings.Contains(good, c.from) {
			t.Fatalf("%s: the policy has no %q", name, c.from)
		}
		_, err := parseIndexPolicy([]byte(strings.Replace(good, c.from, c.to, 1)), ProfileStandard, testCatalog(t))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not say %q", name, err, c.want)
		}
	}
	if _, err := NewIndexPolicy("lax", testCatalog(t)); err == nil || !strings.Contains(err.Error(), ProfileStrict) {
		t.Errorf("an unknown profile: %v", err)
	}
}

// TestRulesOfASingleParameterCount: what the file offers for one parameter is
// what its tokens are.
func TestRulesOfASingleParameterCount(t *testing.T) {
	t.Parallel()
	catalog := testCatalog(t)
	name := catalog.Parameter("Patient", "family")
	rule := "  strict:\n    - index: population\n    - {types: [Patient], parameters: [family], "
	tokens := func(rest string) int {
		t.Helper()
		p, err := parseIndexPolicy([]byte(strings.Replace(string(indexYAML), "  strict:\n    - index: population\n", rule+rest+"}\n", 1)), ProfileStrict, catalog)
		if err != nil {
			t.Fatal(err)
		}
		l := vectorList(p, "Patient")
		l.value(name, &search.Value{Kind: search.String, Text: "Washington"})
		return len(l.list)
	}
	for rest, want := range map[string]int{
		"index: none": 0, "index: population": 7, "index: patient": 7, "index: both": 14,
		"prefixes: [3]": 2, "index: both, prefixes: [1, 10, 11]": 6,
	} {
		if got := tokens(rest); got != want {
			t.Errorf("%s: %d tokens, want %d", rest, got, want)
		}
	}
}

// vectorList makes tokens under fixed keys; a storage id is the beginning of a
// hash, since the real ones hang on a random secret.
func vectorList(p *IndexPolicy, typ string) *tokenList {
	tenant := [16]byte{0xf1, 0xe1, 0xd5, 0xea, 0x1f}
	return &tokenList{policy: p, typ: typ, storageID: func(typ, id string) (s repository.StorageID) {
		h := sha256.Sum256([]byte(typ + "/" + id))
		copy(s[:], h[:])
		return s
	}, makers: []maker{
		{blind.New(secret.New([]byte("0123456789abcdefghijklmnopqrstuv")), tenant), population},
		{blind.New(secret.New([]byte("vutsrqponmlkjihgfedcba9876543210")), tenant), patient},
	}}
}

// vectors has every kind of value, and values at which terms change.
var vectors = []string{
	`{"resourceType":"Patient","id":"a","active":true,"gender":"female","identifier":[{"system":"urn:mrn","value":"A-1","type":{"coding":[{"system":"urn:t","code":"MR"}]}},{"value":"b"}],"name":[{"family":"O'Brien-Smïth","given":["Ann"]}],"birthDate":"1980-05-05","deceasedDateTime":"2020-02-29T23:30:00-05:00","generalPractitioner":[{"reference":"Practitioner/dr"}],"meta":{"profile":["http://example.org/p|1"],"tag":[{"system":"urn:tag","code":"T"}]}}`,
	`{"resourceType":"Observation","id":"a","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"Patient/a"},"effectivePeriod":{"start":"2019-12-31","end":"2020-01-07"},"valueQuantity":{"value":72.50,"system":"http://unitsofmeasure.org","code":"/min","unit":"per minute"},"component":[{"code":{"coding":[{"code":"c"}]},"valueQuantity":{"value":-3,"comparator":"<","system":"urn:u","code":"x"}}]}`,
	`{"resourceType":"Observation","id":"b","status":"final","code":{"text":"t"},"subject":{"identifier":{"system":"urn:mrn","value":"A-1"}},"effectiveTiming":{"event":["1899-12-31","2100"]},"valueQuantity":{"value":0}}`,
	`{"resourceType":"RiskAssessment","id":"a","status":"final","subject":{"reference":"http://elsewhere.test/Patient/1"},"prediction":[{"probabilityDecimal":0.25},{"probabilityRange":{"low":{"value":1},"high":{"value":3}}}]}`,
	`{"resourceType":"ValueSet","id":"a","status":"active","url":"http://example.org/vs/a//","version":"2"}`,
	`{"resourceType":"PlanDefinition","id":"a","status":"active","url":"urn:oid:1.2","library":["http://example.org/lib|1.0"],"effectivePeriod":{"end":"2000"}}`,
}

// TestTermsAreFrozen: the tokens of version 1 under fixed keys. A change would
// make stored indexes find nothing until they are rebuilt, which a raised
// indexFormat does.
func TestTermsAreFrozen(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	for _, profile := range []string{ProfileStandard, ProfileStrict} {
		p, err := NewIndexPolicy(profile, testCatalog(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range vectors {
			r := parse(t, text)
			l := vectorList(p, r.Type())
			l.values(testCatalog(t), r)
			slices.Sort(l.list)
			fmt.Fprintf(&out, "%s %s/%s\n", profile, r.Type(), r.ID())
			for _, token := range slices.Compact(l.list) {
				fmt.Fprintln(&out, token)
			}
		}
	}
	const path = "testdata/format/v1/terms.txt"
	if os.Getenv("UPDATE_FROZEN") != "" {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || out.String() != string(want) {
		t.Errorf("terms changed: stored indexes would find nothing (%v)", err)
	}
}
