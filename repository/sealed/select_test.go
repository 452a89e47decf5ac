package sealed

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// selector compares what a plan selects with what matches, without an engine.
type selector struct {
	v   *Vault
	t   *testing.T
	now time.Time
}

func newSelector(t *testing.T, profile string) *selector {
	return &selector{v: newShelf(t).mustStart(profile), t: t, now: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}
}

// holder is a resource with its tokens.
type holder struct {
	text   string
	tokens []repository.Token
	match  func(e *search.Expression) bool
}

func (s *selector) holder(text string) holder {
	s.t.Helper()
	r := parse(s.t, text)
	owner, err := s.v.owner(s.t.Context(), r, s.v.Key(r.Type(), r.ID()))
	if err != nil {
		s.t.Fatal(err)
	}
	keys, err := s.v.ring.EnsureOwner(s.t.Context(), owner)
	if err != nil {
		s.t.Fatal(err)
	}
	m := search.Matcher{Catalog: s.v.catalog, Now: s.now}
	return holder{text, s.v.resourceTokens(r, keys, nil), func(e *search.Expression) bool {
		ok, err := m.Match(s.t.Context(), e, r)
		if err != nil {
			s.t.Fatal(err)
		}
		return ok
	}}
}

// ask reports whether the query matches, and fails when the plan would not
// select a match, or claims to be exact and selects more.
func (s *selector) ask(h holder, typ, query string) bool {
	s.t.Helper()
	e, err := s.v.catalog.ParseConditions(typ, query)
	if err != nil {
		s.t.Fatalf("%s?%s: %v", typ, query, err)
	}
	p, err := s.v.Plan(s.t.Context(), e, Scope{Now: s.now})
	if err != nil {
		s.t.Fatal(err)
	}
	selected := selects(p.Query, repository.Record{Key: repository.Key{Type: typ}, Tokens: h.tokens})
	matches := h.match(e)
	if matches && !selected {
		s.t.Errorf("%s?%s does not select %s", typ, query, h.text)
	}
	if selected && !matches && p.Exact && p.Query.Since == 0 && p.Query.Until == 0 {
		s.t.Errorf("%s?%s selects %s and claims to be exact", typ, query, h.text)
	}
	return matches
}

// edges are days at which calendar nodes, eras and arithmetic end.
var edges = []string{
	"0001-01-01", "1582-10-15", "1899-12-31", "1900-01-01", "1969-12-31", "1970-01-01", "1999-12-31", "2000-02-29", "2019-12-30",
	"2020-01-06", "2020-01-07", "2020-01-31", "2020-02-28", "2020-02-29", "2020-03-01", "2020-03-31", "2020-04-01", "2020-12-31",
	"2021-01-01", "2029-12-31", "2030-01-01", "2099-12-31", "2100-01-01", "9999-12-31",
}

func moment(rng *rand.Rand) string {
	day, _ := time.Parse(time.DateOnly, edges[rng.IntN(len(edges))])
	if day.Year() > 1 && day.Year() < 9999 {
		day = day.AddDate(0, 0, rng.IntN(3)-1)
	}
	switch rng.IntN(6) {
	case 0:
		return day.Format("2006")
	case 1:
		return day.Format("2006-01")
	case 2:
		return day.Format("2006-01-02") + fmt.Sprintf("T%02d:%02d:%02d.5Z", rng.IntN(24), rng.IntN(60), rng.IntN(60))
	case 3:
		return day.Format("2006-01-02") + []string{"T23:30:00-05:00", "T00:30:00+14:00", "T00:00:00Z", "T23:59:59.999999Z", "T23:59:60Z"}[rng.IntN(5)]
	}
	return day.Format("2006-01-02")
}

func (s *selector) dates(rng *rand.Rand, n int) (matched int) {
	prefixes := []string{"", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"}
	for range n {
		var h holder
		typ, param := "Encounter", "date"
		switch low, high := moment(rng), moment(rng); rng.IntN(5) {
		case 0:
			h = s.holder(`{"resourceType":"Encounter","id":"a","period":{"start":"` + low + `","end":"` + high + `"}}`)
		case 1:
			h = s.holder(`{"resourceType":"Encounter","id":"a","period":{"start":"` + low + `"}}`)
		case 2:
			h = s.holder(`{"resourceType":"Encounter","id":"a","period":{"end":"` + high + `"}}`)
		case 3: // repeats
			typ, param = "Observation", "date"
			h = s.holder(`{"resourceType":"Observation","id":"a","effectiveTiming":{"event":["` + low + `","` + high + `"]}}`)
		default:
			typ, param = "Observation", "date"
			h = s.holder(`{"resourceType":"Observation","id":"a","effectiveDateTime":"` + low + `"}`)
		}
		var query []string
		for range 1 + rng.IntN(3) {
			text := prefixes[rng.IntN(len(prefixes))] + url.QueryEscape(moment(rng))
			if rng.IntN(6) == 0 {
				text += "," + prefixes[rng.IntN(len(prefixes))] + url.QueryEscape(moment(rng))
			}
			query = append(query, param+"="+text)
		}
		if s.ask(h, typ, strings.Join(query, "&")) {
			matched++
		}
	}
	return matched
}

func TestDatesAtEveryEdgeAreSelected(t *testing.T) {
	t.Parallel()
	s := newSelector(t, ProfileStandard)
	if n := s.dates(rand.New(rand.NewPCG(1, 2)), 20_000); n < 2000 { // #nosec G404 -- reproducible test data
		t.Errorf("only %d queries match", n)
	}
}

// figures are numbers at which buckets, octaves and float64 end.
var figures = []string{
	"0", "0.0", "-0", "1", "-1", "0.999999999999999999", "1.000000000000000001", "7.5", "8", "8.0000001", "63.9", "64", "100", "1e2", "120", "127.99",
	"-8", "-0.1", "1e-30", "-1e-30", "5e-99", "1e19", "18446744073709551616", "1e40", "-1e40", "1e99", "6.02214076e23", "0.1", "0.10", "98.6", "37",
}

var measures = []string{
	`"code":"mg","system":"http://unitsofmeasure.org"`, `"code":"g","system":"http://unitsofmeasure.org"`, `"unit":"things"`,
	`"code":"Cel","system":"http://unitsofmeasure.org"`, `"code":"[degF]","system":"http://unitsofmeasure.org"`, `"code":"x","system":"urn:u"`,
	`"code":"mmol/L","system":"http://unitsofmeasure.org"`, `"code":"not a unit","system":"http://unitsofmeasure.org"`,
}

var measuresAsked = []string{"", "|http://unitsofmeasure.org|mg", "|http://unitsofmeasure.org|kg", "||mg", "||things", "|http://unitsofmeasure.org|K",
	"|http://unitsofmeasure.org|[degF]", "|urn:u|x", "|http://unitsofmeasure.org|mol/m3", "|http://unitsofmeasure.org|not a unit"}

func TestNumbersAtEveryEdgeAreSelected(t *testing.T) {
	t.Parallel()
	s := newSelector(t, ProfileStandard)
	rng := rand.New(rand.NewPCG(3, 4)) // #nosec G404 -- reproducible test data
	pick := func(from []string) string { return from[rng.IntN(len(from))] }
	matched := 0
	for range 20_000 {
		var h holder
		typ, param, unit := "Observation", "value-quantity", ""
		text := pick([]string{"", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
		asked := pick(figures)
		switch f, m := pick(figures), pick(measures); rng.IntN(4) {
		case 0:
			h = s.holder(`{"resourceType":"Observation","id":"a","valueQuantity":{"comparator":"` + pick([]string{"<", "<=", ">", ">="}) + `","value":` + f + `,` + m + `}}`)
			unit = pick(measuresAsked)
		case 1:
			typ, param = "RiskAssessment", "probability"
			h = s.holder(`{"resourceType":"RiskAssessment","id":"a","prediction":[{"probabilityDecimal":` + f + `},{"probabilityRange":{"low":{"value":` + pick(figures) + `}}}]}`)
		default:
			h = s.holder(`{"resourceType":"Observation","id":"a","valueQuantity":{"value":` + f + `,` + m + `}}`)
			unit = pick(measuresAsked)
			if rng.IntN(2) == 0 {
				asked = f
			}
		}
		if s.ask(h, typ, param+"="+url.QueryEscape(text+asked+unit)) {
			matched++
		}
	}
	if matched < 2000 {
		t.Errorf("only %d queries match", matched)
	}
}

// TestAwkwardValuesAreSelected: every query matches its resource.
func TestAwkwardValuesAreSelected(t *testing.T) {
	t.Parallel()
	for _, profile := range []string{ProfileStandard, ProfileStrict} {
		s := newSelector(t, profile)
		for _, c := range []struct{ text, query string }{
			{`{"resourceType":"Condition","id":"a","subject":{"reference":"Group/x"}}`, "subject=x"},
			{`{"resourceType":"Condition","id":"a","subject":{"reference":"Practitioner/x"}}`, "subject=Practitioner/x"},
			{`{"resourceType":"Condition","id":"a","subject":{"reference":"Patient/x"}}`, "patient=x"},
			{`{"resourceType":"Condition","id":"a","subject":{"reference":"Patient/x/_history/2"}}`, "patient=Patient/x"},
			{`{"resourceType":"Condition","id":"a","subject":{"reference":"http://other.test/Patient/x"}}`, "subject=" + url.QueryEscape("http://other.test/Patient/x")},
			{`{"resourceType":"Condition","id":"a","subject":{"identifier":{"system":"urn:s","value":"AbC"}}}`, "subject:identifier=" + url.QueryEscape("urn:s|AbC")},
			{`{"resourceType":"Condition","id":"a","subject":{"identifier":{"value":"AbC"}}}`, "subject:identifier=" + url.QueryEscape("|AbC")},
			{`{"resourceType":"ValueSet","id":"a","url":"http://a.test/b//"}`, "url=" + url.QueryEscape("http://a.test/b//")},
			{`{"resourceType":"ValueSet","id":"a","url":"http://a.test/b//"}`, "url:below=" + url.QueryEscape("http://a.test/b")},
			{`{"resourceType":"ValueSet","id":"a","url":"http://a.test/b/c"}`, "url:below=" + url.QueryEscape("http://a.test/")},
			{`{"resourceType":"ValueSet","id":"a","url":"http://a.test/b/c"}`, "url:below=" + url.QueryEscape("http:")},
			{`{"resourceType":"ValueSet","id":"a","url":"http://a.test//b/c"}`, "url:below=" + url.QueryEscape("http://a.test")},
			{`{"resourceType":"ValueSet","id":"a","url":"http://a.test/b/"}`, "url:above=" + url.QueryEscape("http://a.test/b/c")},
			{`{"resourceType":"ValueSet","id":"a","url":"http://a.test//"}`, "url:above=" + url.QueryEscape("http://a.test/b//c")},
			{`{"resourceType":"ValueSet","id":"a","url":"http://a.test/b"}`, "url:above=" + url.QueryEscape("http://a.test/b/")},
			{`{"resourceType":"ValueSet","id":"a","url":"urn:oid:1.2"}`, "url=urn:oid:1.2"},
			{`{"resourceType":"PlanDefinition","id":"a","library":["http://a.test/l|1|2"]}`, "depends-on=" + url.QueryEscape("http://a.test/l")},
			{`{"resourceType":"Patient","id":"a","meta":{"profile":["http://a.test/p|3"]}}`, "_profile=" + url.QueryEscape("http://a.test/p")},
			{`{"resourceType":"Patient","id":"a","name":[{"family":"Ångström"}]}`, "family=angstr%C3%B6m"},
			{`{"resourceType":"Patient","id":"a","name":[{"text":"Ⅻ ﬁne"}]}`, "name=xii%20fi"},
			{`{"resourceType":"Patient","id":"a","name":[{"family":"X"}]}`, "family=x"},
			{`{"resourceType":"Patient","id":"a","name":[{"family":"van den Berg"}]}`, "family=van%20den%20be"},
			{`{"resourceType":"Patient","id":"a","name":[{"family":"Mc\u00adDonald"}]}`, "family:exact=Mc%C2%ADDonald"},
			{`{"resourceType":"Patient","id":"a","telecom":[{"system":"phone","use":"home","value":"+41 A"}]}`, "telecom=home%7C%2B41%20a"},
			{`{"resourceType":"Patient","id":"a","active":true}`, "active=true"},
			{`{"resourceType":"Patient","id":"a","deceasedDateTime":"2020"}`, "deceased=true"},
			{`{"resourceType":"Patient","id":"a","gender":"female"}`, "gender=" + url.QueryEscape("http://hl7.org/fhir/administrative-gender|female")},
			{`{"resourceType":"Observation","id":"a","code":{"coding":[{"system":"urn:c","code":"ΣΑΣ"}]}}`, "code=" + url.QueryEscape("urn:c|σας")},
			{`{"resourceType":"Observation","id":"a","code":{"coding":[{"system":"urn:c","code":"K"}]}}`, "code=k"},
			{`{"resourceType":"Observation","id":"a","code":{"coding":[{"code":"X-1"}]}}`, "code=" + url.QueryEscape("|x-1")},
			{`{"resourceType":"Observation","id":"a","code":{"coding":[{"system":"urn:c"}]}}`, "code=" + url.QueryEscape("urn:c|")},
			{`{"resourceType":"Observation","id":"a","component":[{"code":{"coding":[{"code":"sys"}]},"valueQuantity":{"value":120}}]}`, "combo-code-value-quantity=sys%24gt100"},
			{`{"resourceType":"Observation","id":"a","component":[{"code":{"coding":[{"code":"sys"}]},"valueQuantity":{"value":120}}]}`, "component-code-value-quantity=sys%24120"},
			{`{"resourceType":"DocumentReference","id":"a","relatesTo":[{"code":"appends","target":{"reference":"DocumentReference/b"}}]}`, "relationship=DocumentReference/b%24appends"},
			{`{"resourceType":"Location","id":"a","position":{"longitude":180,"latitude":89.9}}`, "near=89.9%7C-180%7C10"},
		} {
			typ := c.text[len(`{"resourceType":"`):]
			typ = typ[:strings.IndexByte(typ, '"')]
			if !s.ask(s.holder(c.text), typ, c.query) {
				t.Errorf("%s?%s is meant to match %s", typ, c.query, c.text)
			}
		}
	}
}

// TestPinnedQueriesAskThePatientsOwnTokens: dates in both profiles, clinical
// codes in strict; a reference that names the owner pins, one that only may
// does not.
func TestPinnedQueriesAskThePatientsOwnTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		profile, typ, query string
		scopes              []string
	}{
		{ProfileStandard, "Encounter", "patient=p&date=2020", []string{"population", "patient", "patient"}},
		{ProfileStandard, "Observation", "patient=p&date=2020", []string{"population", "patient"}}, // a Timing repeats
		{ProfileStandard, "Observation", "subject=Patient/p&code=x", []string{"population", "population"}},
		{ProfileStandard, "Encounter", "subject=p&date=2020-01-01", []string{"population", "population", "population"}},
		{ProfileStandard, "Encounter", "participant=Patient/p&date=2020-01-01", []string{"population", "population", "population"}},
		{ProfileStandard, "Encounter", "subject=Patient/p,Patient/q&date=2020-01-01", []string{"population", "population", "population"}},
		{ProfileStrict, "Observation", "patient=p&code=x", []string{"population", "patient"}},
		{ProfileStrict, "Observation", "code=x", []string{""}},
		{ProfileStrict, "Patient", "identifier=x", []string{"population"}},
	} {
		s := newSelector(t, c.profile)
		if _, err := s.v.ring.EnsureOwner(t.Context(), s.v.PatientOwner("p")); err != nil {
			t.Fatal(err)
		}
		e, err := s.v.catalog.ParseConditions(c.typ, c.query)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.v.Plan(t.Context(), e, Scope{Now: s.now})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, clause := range p.Clauses {
			got = append(got, clause.Scope)
		}
		if !slices.Equal(got, c.scopes) {
			t.Errorf("%s: %s?%s: %q, want %q", c.profile, c.typ, c.query, got, c.scopes)
		}
	}
}
