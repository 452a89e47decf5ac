package search_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/search"
)

func parameters(t testing.TB) *search.Parameters {
	t.Helper()
	ps, err := search.New(definition.Default())
	if err != nil {
		t.Fatal(err)
	}
	return ps
}

func resource(t testing.TB, s string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(s), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func one(code string, ts ...search.Token) []search.Criterion {
	return []search.Criterion{{Parameter: code, Tokens: ts}}
}

func TestParse(t *testing.T) {
	t.Parallel()
	ps := parameters(t)
	tests := []struct {
		name, query string
		want        []search.Criterion
	}{
		{"system and value", "identifier=urn:mrn|12", one("identifier", search.Token{System: "urn:mrn", Value: "12"})},
		{"percent-encoded", "identifier=urn%3Amrn%7C12", one("identifier", search.Token{System: "urn:mrn", Value: "12"})},
		{"value", "identifier=12", one("identifier", search.Token{Form: search.AnySystem, Value: "12"})},
		{"no system", "identifier=|12", one("identifier", search.Token{Value: "12"})},
		{"system", "identifier=urn:mrn|", one("identifier", search.Token{Form: search.AnyValue, System: "urn:mrn"})},
		{"alternatives", "identifier=a|1,2", one("identifier", search.Token{System: "a", Value: "1"}, search.Token{Form: search.AnySystem, Value: "2"})},
		{"escaped comma, bar, dollar, backslash", `identifier=a|1%5C,2%5C|3%5C$4%5C%5C5`, one("identifier", search.Token{System: "a", Value: `1,2|3$4\5`})},
		{"conditions", "identifier=1&identifier=2", append(one("identifier", search.Token{Form: search.AnySystem, Value: "1"}), one("identifier", search.Token{Form: search.AnySystem, Value: "2"})...)},
		{"id", "_id=a,b", one("_id", search.Token{Form: search.AnySystem, Value: "a"}, search.Token{Form: search.AnySystem, Value: "b"})},
		{"answer form is skipped", "_format=json&_pretty=true", nil},
		{"empty", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q, err := ps.Parse("Patient", tt.query)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, q.Criteria); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	ps := parameters(t)
	tests := []struct {
		name, query string
		want        error
		names       string
	}{
		{"unknown parameter", "identifer=1", search.ErrUnknownParameter, "identifer"},
		{"parameter of another type", "accession=1", search.ErrUnknownParameter, "accession"},
		{"string parameter", "name=x", search.ErrNotOffered, "name"},
		{"date parameter", "birthdate=ge1980", search.ErrNotOffered, "birthdate"},
		{"_lastUpdated", "_lastUpdated=ge2020", search.ErrNotOffered, "_lastUpdated"},
		{"modifier", "identifier:not=1", search.ErrNotOffered, "identifier:not"},
		{"of-type", "identifier:of-type=a|b|c", search.ErrNotOffered, "identifier:of-type"},
		{"chain", "general-practitioner.identifier=1", search.ErrNotOffered, "general-practitioner.identifier"},
		{"typed chain", "general-practitioner:Practitioner.identifier=1", search.ErrNotOffered, "general-practitioner"},
		{"reverse chain", "_has:Observation:patient:code=1", search.ErrNotOffered, "_has"},
		{"include", "_include=Patient:link", search.ErrNotOffered, "_include"},
		{"sort", "_sort=_id", search.ErrNotOffered, "_sort"},
		{"empty value", "identifier=", search.ErrMalformed, "identifier"},
		{"empty alternative", "identifier=a|1,", search.ErrMalformed, "identifier"},
		{"bar alone", "identifier=|", search.ErrMalformed, "identifier"},
		{"two bars", "identifier=a|b|c", search.ErrMalformed, "identifier"},
		{"backslash at the end", `identifier=a%5C`, search.ErrMalformed, "identifier"},
		{"unknown escape", `identifier=a%5Cb`, search.ErrMalformed, "identifier"},
		{"bad percent-encoding", "identifier=%zz", search.ErrMalformed, "identifier"},
		{"id with a system", "_id=a|b", search.ErrMalformed, "_id"},
		{"operator instead of an id", `_id={"$gt":""}`, search.ErrMalformed, "_id"},
		{"negative count", "_count=-1", search.ErrMalformed, "_count"},
		{"10 kB value", "identifier=" + strings.Repeat("x", 10<<10), search.ErrMalformed, "identifier"},
		{"20 kB query", "identifier=1&" + strings.Repeat("_format=json&", 2000), search.ErrMalformed, ""},
		{"500 alternatives", "identifier=1" + strings.Repeat(",1", 499), search.ErrMalformed, ""},
		{"500 conditions", strings.Repeat("identifier=1&", 500), search.ErrMalformed, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ps.Parse("Patient", tt.query)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if !strings.Contains(err.Error(), tt.names) {
				t.Fatalf("%q does not name %q", err, tt.names)
			}
		})
	}
}

func TestErrorsAndPrintingWithholdValues(t *testing.T) {
	t.Parallel()
	ps := parameters(t)
	const secret = "MRN4711"
	for _, query := range []string{
		"identifier=a|" + secret + "|c", "_id=" + secret + "%20", secret + "%20x=1", "identifier=" + secret + "%5C",
		"identifier:" + secret + "%20=1",
	} {
		if _, err := ps.Parse("Patient", query); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", query, err)
		}
	}
	q, err := ps.Parse("Patient", "identifier=a|"+secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if s := fmt.Sprintf(verb, q); strings.Contains(s, secret) {
			t.Errorf("%s prints the value", verb)
		}
	}
}

func TestParseCriteria(t *testing.T) {
	t.Parallel()
	ps := parameters(t)
	if _, err := ps.ParseCriteria("Patient", "identifier=a|1"); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"", "&", "_format=json", "identifier=a|1&_count=1"} {
		if _, err := ps.ParseCriteria("Patient", query); !errors.Is(err, search.ErrMalformed) {
			t.Errorf("%q: %v", query, err)
		}
	}
	if _, err := ps.ParseCriteria("Nonsense", "identifier=1"); !errors.Is(err, search.ErrMalformed) {
		t.Errorf("unknown type: %v", err)
	}
}

func TestExtract(t *testing.T) {
	t.Parallel()
	ps := parameters(t)
	tests := []struct {
		name, resource string
		want           []search.Term
	}{
		{"system and value", `{"resourceType":"Patient","identifier":[{"system":"a","value":"1"},{"value":"2"},{"system":"b"}]}`,
			[]search.Term{{"identifier", "a", "1"}, {"identifier", "", "2"}, {"identifier", "b", ""}}},
		{"each once", `{"resourceType":"Patient","identifier":[{"value":"2"},{"value":"2"}]}`, []search.Term{{"identifier", "", "2"}}},
		{"escaped text", `{"resourceType":"Patient","identifier":[{"value":"M\u00fcller"}]}`, []search.Term{{"identifier", "", "Müller"}}},
		{"empty", `{"resourceType":"Patient","identifier":[{"use":"usual"}]}`, nil},
		{"union of elements", `{"resourceType":"DocumentReference","masterIdentifier":{"value":"m"},"identifier":[{"value":"i"}]}`,
			[]search.Term{{"identifier", "", "m"}, {"identifier", "", "i"}}},
		{"other parameter", `{"resourceType":"Specimen","accessionIdentifier":{"value":"x"}}`, []search.Term{{"accession", "", "x"}}},
		{"choice element", `{"resourceType":"Composition","relatesTo":[{"targetIdentifier":{"value":"x"}}]}`, []search.Term{{"related-id", "", "x"}}},
		{"not in contained", `{"resourceType":"Observation","contained":[{"resourceType":"Patient","identifier":[{"value":"x"}]}]}`, nil},
		{"not in references", `{"resourceType":"Observation","subject":{"identifier":{"value":"x"}}}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, ps.Extract(resource(t, tt.resource))); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	ps := parameters(t)
	r := resource(t, `{"resourceType":"Patient","id":"p1","identifier":[{"system":"a","value":"1"},{"value":"2"}]}`)
	tests := []struct {
		query string
		want  bool
	}{
		{"identifier=a|1", true}, {"identifier=1", true}, {"identifier=a|", true}, {"identifier=|2", true},
		{"identifier=x,2", true}, {"identifier=1&identifier=2", true}, {"_id=p1&identifier=1", true}, {"", true},
		{"identifier=b|1", false}, {"identifier=|1", false}, {"identifier=a|2", false}, {"identifier=A|1", false},
		{"identifier=3", false}, {"identifier=1&identifier=3", false}, {"_id=p2", false}, {"_id=P1", false},
	}
	for _, tt := range tests {
		q, err := ps.Parse("Patient", tt.query)
		if err != nil {
			t.Fatal(err)
		}
		if got := ps.Match(q, r); got != tt.want {
			t.Errorf("%s: %v", tt.query, got)
		}
	}
	q, err := ps.Parse("Practitioner", "_id=p1")
	if err != nil || ps.Match(q, r) {
		t.Fatalf("a query for Practitioner matched a Patient (%v)", err)
	}
}

// Every type that has an element of type Identifier named identifier, and a
// search parameter for it, offers it.
func TestEveryIdentifierParameterIsOffered(t *testing.T) {
	t.Parallel()
	ps := parameters(t)
	offered := 0
	for _, typ := range definition.Default().ResourceTypes() {
		sp := definition.Default().SearchParameter(typ, "identifier")
		has := slices.Contains(ps.Offered(typ), "identifier")
		if (sp != nil) != has {
			t.Errorf("%s: defined %v, offered %v", typ, sp != nil, has)
		}
		if has {
			offered++
		}
	}
	if offered < 100 {
		t.Fatalf("only %d types offer identifier", offered)
	}
	if paths := ps.Reads("DocumentReference", "identifier"); len(paths) != 2 {
		t.Fatalf("reads %v", paths)
	}
	if ps.Offered("Nonsense") != nil {
		t.Fatal("an unknown type offers parameters")
	}
}

// What Extract indexes is what Match accepts, for any value.
func FuzzParseMatch(f *testing.F) {
	ps := parameters(f)
	f.Add("identifier=a|1", "a", "1")
	f.Add(`identifier=a%5C,b|1,2&_id=x`, "a,b", "1")
	f.Fuzz(func(t *testing.T, query, system, value string) {
		_, _ = ps.Parse("Patient", query)
		if system == "" || value == "" || len(system)+len(value) > 256 {
			return
		}
		n := fhir.NewObject(
			fhir.NewString("Patient").Named("resourceType"),
			fhir.NewArray(fhir.NewObject(fhir.NewString(system).Named("system"), fhir.NewString(value).Named("value"))).Named("identifier"))
		r, err := fhir.NewResource(n)
		if err != nil {
			t.Skip()
		}
		term := ps.Extract(r)[0]
		q, err := ps.Parse("Patient", "identifier="+search.Escape(term.System)+"%7C"+search.Escape(term.Value))
		if err != nil || !ps.Match(q, r) {
			t.Fatalf("own identifier does not match: %v", err)
		}
	})
}
