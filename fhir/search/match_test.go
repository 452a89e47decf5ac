package search_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fieldseal/fieldseal/fhir/search"
)

func condition(t testing.TB, typ, query string) *search.Condition {
	t.Helper()
	s, err := r4Catalog(t).ParseSearch([]string{typ}, query, search.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Expressions[0].Conditions[0]
}

// A chain asks whether one of the references leads into the resolved set; a
// _has asks whether the resource itself is in it.
func TestMatchFollowsResolvedLinks(t *testing.T) {
	t.Parallel()
	obs := parsed(t, `{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/1"},"performer":[{"reference":"Practitioner/2"},{"reference":"https://far.example/Practitioner/3"}]}`)
	tests := []struct {
		query string
		links fakeLinks
		want  bool
	}{
		{"subject:Patient.name=a", fakeLinks{linked: []string{"Patient/1"}}, true},
		{"subject:Patient.name=a", fakeLinks{linked: []string{"Patient/2", "Group/1"}}, false},
		{"performer:Practitioner.name=a", fakeLinks{linked: []string{"Practitioner/2"}}, true},
		{"performer:Practitioner.name=a", fakeLinks{linked: []string{"Practitioner/3"}}, false},
		{"_has:DiagnosticReport:result:code=a", fakeLinks{referring: []string{"Observation/o"}}, true},
		{"_has:DiagnosticReport:result:code=a", fakeLinks{referring: []string{"Patient/o"}, linked: []string{"Observation/o"}}, false},
	}
	for _, tt := range tests {
		m := search.Matcher{Catalog: r4Catalog(t), Links: tt.links}
		got, err := m.MatchCondition(t.Context(), condition(t, "Observation", tt.query), obs)
		if err != nil || got != tt.want {
			t.Errorf("%s with %v: got %v, %v", tt.query, tt.links, got, err)
		}
	}
	m := search.Matcher{Catalog: r4Catalog(t)}
	if _, err := m.MatchCondition(t.Context(), condition(t, "Observation", "subject:Patient.name=a"), obs); !errors.Is(err, search.ErrNoLinks) {
		t.Errorf("an unresolved chain gave %v", err)
	}
}

func TestMatchIsOfItsType(t *testing.T) {
	t.Parallel()
	m := search.Matcher{Catalog: r4Catalog(t)}
	ok, err := m.Match(t.Context(), &search.Expression{Type: "Patient"}, parsed(t, `{"resourceType":"Group","id":"g"}`))
	if err != nil || ok {
		t.Errorf("got %v, %v", ok, err)
	}
}

// Without an answer from terminology there is no answer: neither :in nor
// :not-in may guess.
func TestMatchFailsWithoutTerminology(t *testing.T) {
	t.Parallel()
	cond := parsed(t, `{"resourceType":"Condition","id":"c","code":{"coding":[{"system":"urn:animals","code":"dog"}]}}`)
	for _, q := range []string{"code:in=urn:vs:unknown", "code:not-in=urn:vs:unknown"} {
		for _, m := range []search.Matcher{{Catalog: r4Catalog(t)}, {Catalog: r4Catalog(t), Terminology: fakeTerminology{}}} {
			if ok, err := m.MatchCondition(t.Context(), condition(t, "Condition", q), cond); err == nil || ok {
				t.Errorf("%s: got %v, %v", q, ok, err)
			}
		}
	}
	m := search.Matcher{Catalog: r4Catalog(t)}
	if _, err := m.MatchCondition(t.Context(), condition(t, "Condition", "code:below=urn:animals|animal"), cond); !errors.Is(err, search.ErrNotOffered) {
		t.Errorf("got %v", err)
	}
}

// What redaction took away does not exist, also for :not and :missing.
func TestMatchSeesTheRedactedViewOnly(t *testing.T) {
	t.Parallel()
	m := search.Matcher{Catalog: r4Catalog(t)}
	redacted := parsed(t, `{"resourceType":"Patient","id":"p","_gender":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}}`)
	for q, want := range map[string]bool{"gender=male": false, "gender:not=male": true, "gender:missing=true": true, "gender:missing=false": false} {
		if got, err := m.MatchCondition(t.Context(), condition(t, "Patient", q), redacted); err != nil || got != want {
			t.Errorf("%s: got %v, %v", q, got, err)
		}
	}
}

// matchOne decides a query over one resource.
func matchOne(t *rapid.T, c *search.Catalog, typ, query, resource string) bool {
	s, err := c.ParseSearch([]string{typ}, query, search.ParseOptions{})
	if err != nil {
		t.Fatalf("%v", err)
	}
	m := search.Matcher{Catalog: c, Terminology: fakeTerminology{}, Now: noon}
	ok, err := m.Match(t.Context(), s.Expressions[0], parsed(t, resource))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return ok
}

func instantText(t *rapid.T, label string) string {
	seconds := rapid.Int64Range(0, 20).Draw(t, label)
	return time.Unix(1_363_219_190+seconds, 0).UTC().Format(time.RFC3339)
}

func TestPrefixesComplementEachOther(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	complements := [][2]string{{"eq", "ne"}, {"gt", "le"}, {"lt", "ge"}}
	rapid.Check(t, func(t *rapid.T) {
		pair := rapid.SampledFrom(complements).Draw(t, "prefixes")
		number := rapid.StringMatching(`-?[0-9]{1,2}(\.[0-9]{1,2})?`)
		docs := []struct{ typ, code, operand, resource string }{
			{"Observation", "date", instantText(t, "asked"), `{"resourceType":"Observation","effectiveDateTime":"` + instantText(t, "stored") + `"}`},
			{"RiskAssessment", "probability", number.Draw(t, "asked"), `{"resourceType":"RiskAssessment","prediction":[{"probabilityDecimal":` + jsonNumber(number.Draw(t, "stored")) + `}]}`},
		}
		for _, d := range docs {
			a, b := matchOne(t, c, d.typ, d.code+"="+pair[0]+d.operand, d.resource), matchOne(t, c, d.typ, d.code+"="+pair[1]+d.operand, d.resource)
			if a == b {
				t.Errorf("%s and %s both say %v for %s over %s", pair[0], pair[1], a, d.operand, d.resource)
			}
		}
	})
}

// jsonNumber drops the zeros that JSON does not allow in front.
func jsonNumber(s string) string {
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for len(s) > 1 && s[0] == '0' && s[1] != '.' {
		s = s[1:]
	}
	return sign + s
}

// On every interval: sa and eb exclude each other and imply gt and lt; eq
// implies ge, le and ap.
func TestPrefixesOnPeriods(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	rapid.Check(t, func(t *rapid.T) {
		period := ""
		if rapid.Bool().Draw(t, "starts") {
			period = `"start":"` + instantText(t, "start") + `"`
		}
		if rapid.Bool().Draw(t, "ends") {
			if period != "" {
				period += ","
			}
			period += `"end":"` + time.Unix(1_363_219_210+rapid.Int64Range(0, 9).Draw(t, "end"), 0).UTC().Format(time.RFC3339) + `"`
		}
		resource := `{"resourceType":"Encounter","period":{` + period + `}}`
		operand := instantText(t, "asked")
		is := map[string]bool{}
		for _, p := range []string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"} {
			is[p] = matchOne(t, c, "Encounter", "date="+p+operand, resource)
		}
		for _, rule := range [][2]string{{"sa", "gt"}, {"eb", "lt"}, {"gt", "ge"}, {"lt", "le"}, {"eq", "ge"}, {"eq", "le"}, {"eq", "ap"}} {
			if is[rule[0]] && !is[rule[1]] {
				t.Errorf("%s without %s", rule[0], rule[1])
			}
		}
		if is["sa"] && is["eb"] || is["eq"] && is["ne"] {
			t.Errorf("%v", is)
		}
	})
}

func TestReversedModifiersComplement(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	rapid.Check(t, func(t *rapid.T) {
		codes := rapid.SliceOfN(rapid.SampledFrom([]string{"animal", "dog", "poodle", "cat"}), 0, 3).Draw(t, "codes")
		var codings []string
		for _, code := range codes {
			codings = append(codings, `{"system":"urn:animals","code":"`+code+`"}`)
		}
		resource := `{"resourceType":"Condition"}`
		if len(codings) > 0 {
			resource = `{"resourceType":"Condition","code":{"coding":[` + strings.Join(codings, ",") + `]}}`
		}
		asked := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"dog", "urn:animals|cat", "|dog", "urn:animals|", "x"}), 1, 3).Draw(t, "asked"), ",")
		for _, pair := range [][2]string{{"code=" + asked, "code:not=" + asked}, {"code:in=urn:vs:dogs", "code:not-in=urn:vs:dogs"}, {"code:missing=true", "code:missing=false"}} {
			if matchOne(t, c, "Condition", pair[0], resource) == matchOne(t, c, "Condition", pair[1], resource) {
				t.Errorf("%s and %s agree over %s", pair[0], pair[1], resource)
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	c := r4Catalog(b)
	r := parsed(b, `{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2013-03-14T10:00:00Z","valueQuantity":{"value":150,"system":"http://unitsofmeasure.org","code":"mm[Hg]"}}`)
	for _, q := range []string{"patient=Patient/1&code=http://loinc.org|8480-6", "date=ge2013&date=lt2014", "value-quantity=gt100||mm[Hg]", "value-quantity=gt10|http://unitsofmeasure.org|kPa"} {
		s, err := c.ParseSearch([]string{"Observation"}, q, search.ParseOptions{})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(s.Expressions[0].Describe()), func(b *testing.B) {
			m := search.Matcher{Catalog: c, Now: noon}
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := m.Match(b.Context(), s.Expressions[0], r); err != nil || !ok {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
