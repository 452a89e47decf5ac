package interaction

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// bundle is what a test reads of a searchset.
type searchset struct {
	Total *int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		FullURL  string
		Search   struct{ Mode string }
		Resource map[string]any
	}
}

func (b searchset) ids(mode string) (ids []string) {
	for _, e := range b.Entry {
		if e.Search.Mode == mode {
			ids = append(ids, fmt.Sprint(e.Resource["resourceType"], "/", e.Resource["id"]))
		}
	}
	return ids
}

func (b searchset) next() string {
	for _, l := range b.Link {
		if l.Relation == "next" {
			return l.URL
		}
	}
	return ""
}

// ask searches by "Type?query", "Patient/x/Type?query" or "?query".
func (p *shop) ask(c Call, target string) (*Answer, error) {
	path, query, _ := strings.Cut(target, "?")
	seg := strings.Split(path, "/")
	p.flight.RLock()
	defer p.flight.RUnlock()
	switch {
	case path == "":
		return p.SearchSystem(p.t.Context(), c, query)
	case len(seg) == 3:
		return p.SearchCompartment(p.t.Context(), c, seg[0], seg[1], seg[2], query)
	}
	return p.Search(p.t.Context(), c, path, query)
}

func (p *shop) found(role, target string) searchset {
	p.t.Helper()
	return p.foundAs(p.as(role), target)
}

func (p *shop) foundAs(c Call, target string) (b searchset) {
	p.t.Helper()
	a, err := p.ask(c, target)
	if err != nil {
		p.t.Fatalf("%s: %v", target, err)
	}
	p.must(json.Unmarshal(a.Body(), &b))
	return b
}

// library is a small population: two patients of two organizations with
// encounters and observations.
func library(t *testing.T) *shop {
	p := newShop(t)
	for _, r := range []string{
		`{"resourceType":"Organization","id":"o1","name":"North"}`, `{"resourceType":"Organization","id":"o2","name":"South"}`,
		`{"resourceType":"Practitioner","id":"dr","name":[{"family":"Good"}]}`,
		`{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:mrn","value":"1"}],"name":[{"family":"Müller","given":["Ann"]}],"gender":"female","birthDate":"1980-05-05","managingOrganization":{"reference":"Organization/o1"},"generalPractitioner":[{"reference":"Practitioner/dr"}]}`,
		`{"resourceType":"Patient","id":"p2","identifier":[{"system":"urn:mrn","value":"2"}],"name":[{"family":"Mulligan"}],"gender":"male","birthDate":"1990","managingOrganization":{"reference":"Organization/o2"}}`,
		`{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p1"},"period":{"start":"2020-01-01","end":"2020-01-05"}}`,
		`{"resourceType":"Encounter","id":"e2","status":"in-progress","class":{"code":"AMB"},"subject":{"reference":"Patient/p2"},"period":{"start":"2021-01-01"}}`,
	} {
		var id struct{ ResourceType, ID string }
		p.must(json.Unmarshal([]byte(r), &id))
		p.put(id.ResourceType, id.ID, r)
	}
	for i := range 9 {
		patient, enc := "p1", "e1"
		if i%3 == 0 {
			patient, enc = "p2", "e2"
		}
		p.put("Observation", fmt.Sprintf("b%d", i), fmt.Sprintf(`{"resourceType":"Observation","id":"b%d","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"c%d"}]},`+
			`"subject":{"reference":"Patient/%s"},"encounter":{"reference":"Encounter/%s"},"effectiveDateTime":"2020-01-0%d","valueQuantity":{"value":%d,"system":"http://unitsofmeasure.org","code":"kg"}}`,
			i, i%2, patient, enc, 9-i, i))
	}
	return p
}

func TestSearchForms(t *testing.T) {
	t.Parallel()
	p := library(t)
	tests := []struct{ target, want string }{
		{"Patient?family=mull", "Patient/p1 Patient/p2"},
		{"Patient?family:exact=Müller", "Patient/p1"},
		{"Patient?name=ann", "Patient/p1"},
		{"Patient?identifier=urn:mrn|2", "Patient/p2"},
		{"Patient?birthdate=ge1980&birthdate=lt1990", "Patient/p1"},
		{"Patient?gender:not=male", "Patient/p1"},
		{"Patient?general-practitioner:missing=true", "Patient/p2"},
		{"Patient?_id=p1,p2,nobody", "Patient/p1 Patient/p2"},
		{"Patient?organization.name=south", "Patient/p2"},
		{"Patient?_has:Observation:patient:code=c1&_has:Encounter:subject:status=finished", "Patient/p1"},
		{"Observation?code=http://loinc.org|c0&patient=p1", "Observation/b2 Observation/b4 Observation/b8"},
		{"Observation?subject:Patient.family=mulligan&value-quantity=lt4|http://unitsofmeasure.org|kg", "Observation/b0 Observation/b3"},
		{"Observation?encounter.subject:Patient.birthdate=1990&code=c1", "Observation/b3"},
		{"Observation?value-quantity=5000|http://unitsofmeasure.org|g", "Observation/b5"},
		{"Observation?code-value-quantity=c1$gt4", "Observation/b5 Observation/b7"},
		{"Observation?date=2020-01-07", "Observation/b2"},
		{"Encounter?date=2020-01", "Encounter/e1"},
		{"Encounter?date=ge2020-01-03&date=le2020-01-03", "Encounter/e1"},
		{"Encounter?date=gt2022", "Encounter/e2"},
		{"Patient/p2/Observation?code=c1", "Observation/b3"},
		{"Patient/p2/*?_lastUpdated=gt2000", "Patient/p2 Encounter/e2 Observation/b0 Observation/b3 Observation/b6"},
		{"Encounter/e2/Observation", "Observation/b0 Observation/b3 Observation/b6"},
		{"?_type=Patient,Organization&_id=p1,o2", "Patient/p1 Organization/o2"},
		{"Observation?_sort=-value-quantity&patient=p2", "Observation/b6 Observation/b3 Observation/b0"},
		{"Observation?_sort=date&code=c1", "Observation/b7 Observation/b5 Observation/b3 Observation/b1"},
		{"Observation?status=final&code=nothing", ""},
	}
	for _, tt := range tests {
		got := p.found("clinician", tt.target).ids("match")
		if !strings.Contains(tt.target, "_sort") {
			slices.Sort(got)
		}
		want := strings.Fields(tt.want)
		if !strings.Contains(tt.target, "_sort") {
			slices.Sort(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", tt.target, got, want)
		}
	}
}

// TestPagesShowEachMatchOnce walks every page, sorted and not.
func TestPagesShowEachMatchOnce(t *testing.T) {
	t.Parallel()
	p := library(t)
	c := p.as("clinician")
	for _, target := range []string{"Observation?_count=2", "Observation?_count=2&_sort=date", "Observation?_count=4&_sort=-code,date",
		"?_type=Patient,Observation,Encounter&_count=3", "Patient/p1/*?_count=2", "Observation?_id=b1,b2,b3&_count=2"} {
		var all []string
		pages := 0
		for next := target; next != ""; pages++ {
			b := p.foundAs(c, next)
			all = append(all, b.ids("match")...)
			next = strings.TrimPrefix(strings.TrimPrefix(b.next(), base), "/")
			if _, query, _ := strings.Cut(next, "?"); next != "" && (!strings.HasPrefix(query, pageParameter+"=") || strings.Contains(query, "&")) {
				t.Errorf("%s: the page link can be read: %s", target, next)
			}
		}
		sorted := slices.Sorted(slices.Values(all))
		whole := slices.Sorted(slices.Values(p.foundAs(c, regexp.MustCompile(`_count=\d`).ReplaceAllString(target, "_count=500")).ids("match")))
		if !slices.Equal(sorted, whole) || pages < 2 {
			t.Errorf("%s: %d pages show %v, want each once of %v", target, pages, sorted, whole)
		}
	}
}

// TestSortedPagesUnderWrites: what changes between two pages is shown once at
// most, what does not exactly once.
func TestSortedPagesUnderWrites(t *testing.T) {
	t.Parallel()
	p := library(t)
	c := p.as("clinician")
	seen := map[string]int{}
	for next, page := "Observation?_sort=value-quantity&_count=3", 0; next != ""; page++ {
		b := p.foundAs(c, next)
		for _, id := range b.ids("match") {
			seen[id]++
		}
		next = strings.TrimPrefix(strings.TrimPrefix(b.next(), base), "/")
		if page == 0 { // b0 was shown and moves to the end; b8 moves to the front; b9 is new
			for id, value := range map[string]int{"b0": 100, "b8": -1, "b9": 50} {
				p.put("Observation", id, fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","code":{"text":"x"},"valueQuantity":{"value":%d}}`, id, value))
			}
		}
	}
	for i := range 9 {
		if n := seen[fmt.Sprintf("Observation/b%d", i)]; n != 1 {
			t.Errorf("b%d was shown %d times", i, n)
		}
	}
}

func TestForgedPageLinkIsRefused(t *testing.T) {
	t.Parallel()
	p := library(t)
	c := p.as("clinician")
	link := p.foundAs(c, "Observation?_count=2").next()
	u, err := url.Parse(link)
	p.must(err)
	sealed := u.Query().Get(pageParameter)
	flipped := []byte(sealed)
	flipped[len(flipped)/2] ^= 1
	for name, try := range map[string]struct {
		c      Call
		target string
	}{
		"altered":         {c, "Observation?_page=" + string(flipped)},
		"cut":             {c, "Observation?_page=" + sealed[:len(sealed)-4]},
		"empty":           {c, "Observation?_page="},
		"another subject": {p.as("nurse"), "Observation?_page=" + sealed},
		"another type":    {c, "Patient?_page=" + sealed},
	} {
		a, err := p.ask(try.c, try.target)
		if f := failure(err); a != nil || f == nil || f.Kind != Malformed {
			t.Errorf("%s link: %v", name, err)
		}
	}
}

func TestIncludes(t *testing.T) {
	t.Parallel()
	p := library(t)
	tests := []struct{ target, want string }{
		{"Observation?_id=b1&_include=Observation:subject", "Patient/p1"},
		{"Observation?_id=b1&_include=Observation:encounter&_include:iterate=Encounter:subject&_include:iterate=Patient:organization", "Encounter/e1 Organization/o1 Patient/p1"},
		{"Observation?_id=b1&_include=*", "Encounter/e1 Patient/p1"},
		{"Observation?_id=b1&_include=Observation:subject:Group", ""},
		{"Patient?_id=p2&_revinclude=Observation:subject&_revinclude=Encounter:patient", "Encounter/e2 Observation/b0 Observation/b3 Observation/b6"},
		{"Patient?_id=p1&_include=Patient:organization&_include:iterate=Organization:partof", "Organization/o1"},
	}
	for _, tt := range tests {
		got, want := p.found("clinician", tt.target).ids("include"), strings.Fields(tt.want)
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", tt.target, got, want)
		}
	}
}

// TestIncludeIsAReadOfItsOwn: the patient sees nobody else through an include.
func TestIncludeIsAReadOfItsOwn(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.put("Observation", "shared", `{"resourceType":"Observation","id":"shared","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"},"performer":[{"reference":"Patient/p2"}]}`)
	b := p.found("patient", "Observation?_id=shared&_include=Observation:performer&_include=Observation:subject&_revinclude=Encounter:patient")
	if got := append(b.ids("match"), b.ids("include")...); !slices.Equal(got, []string{"Observation/shared", "Patient/p1"}) {
		t.Errorf("the patient sees %v", got)
	}
}

// TestPatientSearchesTheOwnCompartmentOnly: filters, chains, counts and
// compartments of others show nothing.
func TestPatientSearchesTheOwnCompartmentOnly(t *testing.T) {
	t.Parallel()
	p := library(t)
	for target, want := range map[string]int{
		"Observation?code=c0,c1": 6, "Observation?patient=p2": 0, "Observation?subject:Patient.family=mulligan": 0,
		"Patient": 1, "Patient?_has:Observation:patient:code=c1": 1, "Patient/p2/Observation": 0, "Patient/p1/Observation": 6,
		"Observation?_id=b0,b1": 1, "Encounter?status=in-progress": 0,
	} {
		if b := p.found("patient", target); len(b.ids("match")) != want {
			t.Errorf("%s shows %v", target, b.ids("match"))
		}
		sep := "&"
		if !strings.Contains(target, "?") {
			sep = "?"
		}
		if b := p.found("patient", target+sep+"_summary=count"); b.Total == nil || *b.Total != want {
			t.Errorf("%s counts %v, want %d", target, b.Total, want)
		}
	}
}

func TestTotals(t *testing.T) {
	t.Parallel()
	p := library(t)
	for target, want := range map[string]int{
		"Observation?code=http://loinc.org|c1&_summary=count": 4, "Observation?_count=0": 9, "Observation?patient=p1&_total=accurate&_count=1": 6,
		"Patient?family=mull&_total=accurate": 2, "Observation?date=ge2020-01-05&_summary=count": 5, "?_type=Patient,Encounter&_summary=count": 4,
	} {
		if b := p.found("clinician", target); b.Total == nil || *b.Total != want {
			t.Errorf("%s: total %v, want %d", target, b.Total, want)
		}
	}
	_, err := p.ask(p.as("clinician"), "Observation?code=c1")
	p.must(err)
}

// An explained count costs what the count does: nothing is opened when the
// index alone can tell, and everything that matches when it cannot.
func TestExplainedCountOpensWhatTheCountDoes(t *testing.T) {
	t.Parallel()
	p := library(t)
	for query, want := range map[string]ExplainedPart{
		"Observation?code=http://loinc.org|c1&_summary=count": {Matches: 4, Exact: true},
		"Observation?code=http://loinc.org|c1":                {Matches: 4, Candidates: 4, Exact: true},
		"Observation?date=ge2020-01-05&_count=0":              {Matches: 5, Candidates: 5},
	} {
		x, err := p.Explain(t.Context(), p.as("clinician"), query)
		p.must(err)
		if got := x.Parts[0]; got.Matches != want.Matches || got.Candidates != want.Candidates || got.Exact != want.Exact {
			t.Errorf("%s: %+v", query, got)
		}
	}
}

func TestDeletedResourcesAreNotFound(t *testing.T) {
	t.Parallel()
	p := library(t)
	_, err := p.Delete(t.Context(), p.as("integration"), "Observation", "b1")
	p.must(err)
	if b := p.found("clinician", "Observation?code=c1&_total=accurate"); len(b.ids("match")) != 3 || *b.Total != 3 {
		t.Errorf("found %v", b.ids("match"))
	}
}

// TestLenientHandlingWarns and by default an unknown parameter is refused: an
// ignored filter widens disclosure (decision 27).
func TestUnknownParameterIsRefusedUnlessLenient(t *testing.T) {
	t.Parallel()
	p := library(t)
	c := p.as("clinician")
	a, err := p.ask(c, "Patient?nonsense=1")
	p.refused(a, err, Malformed)
	c.Lenient = true
	b := p.foundAs(c, "Patient?nonsense=1&_id=p1")
	if len(b.ids("match")) != 1 || len(b.Entry) != 2 || b.Entry[1].Search.Mode != "outcome" {
		t.Errorf("got %+v", b)
	}
}

func TestSummaryOfAMatch(t *testing.T) {
	t.Parallel()
	p := library(t)
	b := p.found("clinician", "Patient?_id=p1&_elements=gender")
	if r := b.Entry[0].Resource; r["gender"] != "female" || r["name"] != nil || r["meta"] == nil {
		t.Errorf("got %v", r)
	}
	if r := p.found("researcher", "Patient?_id=p1&_summary=true").Entry[0].Resource; r["name"] != nil || r["identifier"] != nil {
		t.Errorf("the researcher got %v", r)
	}
}

// TestLinksLeaveOutWhatWasIgnored: self tells what was used (R4
// search.html#conformance), and the next page needs no leniency.
func TestLinksLeaveOutWhatWasIgnored(t *testing.T) {
	t.Parallel()
	p := library(t)
	c := p.as("clinician")
	c.Lenient = true
	b := p.foundAs(c, "Observation?status=final&nonsense=1&_list=x&_count=4")
	if b.Link[0].Relation != "self" || b.Link[0].URL != base+"/Observation?status=final&_count=4" {
		t.Errorf("self is %+v", b.Link[0])
	}
	next := strings.TrimPrefix(b.next(), base+"/")
	if got := p.found("clinician", next).ids("match"); len(got) != 4 {
		t.Errorf("the next page shows %v", got)
	}
}

func TestIncludesThatGoInCirclesAreRefused(t *testing.T) {
	t.Parallel()
	p := library(t)
	for _, target := range []string{
		"Organization?_include:iterate=Organization:partof&_revinclude:iterate=Organization:partof", "Patient?_include:iterate=*&_revinclude:iterate=*",
		"Patient?_revinclude:iterate=Patient:*&_include:iterate=Patient:*",
	} {
		a, err := p.ask(p.as("clinician"), target)
		p.refused(a, err, Malformed)
		if f := failure(err); len(f.Issues[0].Expression) != 1 || f.Issues[0].Expression[0] != "http._include:iterate" {
			t.Errorf("%s: %v does not name the parameter", target, f.Issues)
		}
	}
	p.found("clinician", "Organization?_include:iterate=Organization:partof") // one direction ends at what was seen
	p.found("clinician", "Organization?_include=Organization:partof&_revinclude=Organization:partof")
}

// TestElementsKeepWhatIsRequired (R4 search.html#elements).
func TestElementsKeepWhatIsRequired(t *testing.T) {
	t.Parallel()
	p := library(t)
	for _, names := range []string{"value", "valueQuantity"} {
		r := p.found("clinician", "Observation?_id=b1&_elements="+names).Entry[0].Resource
		if r["valueQuantity"] == nil || r["status"] == nil || r["code"] == nil || r["subject"] != nil {
			t.Errorf("%s: %v", names, r)
		}
		if tag := fmt.Sprint(r["meta"]); !strings.Contains(tag, "SUBSETTED") {
			t.Errorf("%s: not marked: %s", names, tag)
		}
	}
}

// A canonical leads to what has the url, in the version that it names or in any
// (R4 references.html#canonical).
func TestIncludesFollowCanonicals(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	for id, version := range map[string]string{"q1": "1", "q2": "2"} {
		p.put("Questionnaire", id, `{"resourceType":"Questionnaire","id":"`+id+`","url":"http://e.org/q","version":"`+version+`","status":"draft"}`)
	}
	p.put("Questionnaire", "other", `{"resourceType":"Questionnaire","id":"other","url":"http://e.org/other","status":"draft"}`)
	for id, names := range map[string]string{"any": "http://e.org/q", "one": "http://e.org/q|1", "none": "http://e.org/q|3", "far": "http://e.org/far"} {
		p.put("QuestionnaireResponse", id, `{"resourceType":"QuestionnaireResponse","id":"`+id+`","questionnaire":"`+names+`","status":"completed"}`)
	}
	for target, want := range map[string]string{
		"QuestionnaireResponse?_id=any&_include=QuestionnaireResponse:questionnaire":                "Questionnaire/q1 Questionnaire/q2",
		"QuestionnaireResponse?_id=one&_include=QuestionnaireResponse:questionnaire:Questionnaire":  "Questionnaire/q1",
		"QuestionnaireResponse?_id=one&_include=*":                                                  "Questionnaire/q1",
		"QuestionnaireResponse?_id=none,far&_include=QuestionnaireResponse:questionnaire":           "",
		"Questionnaire?_id=q1&_revinclude=QuestionnaireResponse:questionnaire":                      "QuestionnaireResponse/any QuestionnaireResponse/one",
		"Questionnaire?_id=q2&_revinclude=QuestionnaireResponse:questionnaire":                      "QuestionnaireResponse/any",
		"Questionnaire?_id=other&_revinclude=QuestionnaireResponse:questionnaire":                   "",
		"Questionnaire?_id=q2&_revinclude=*&_elements=status":                                       "QuestionnaireResponse/any",
		"QuestionnaireResponse?_id=one&_include=QuestionnaireResponse:questionnaire&_summary=count": "",
	} {
		a, err := p.ask(p.as("clinician"), target)
		p.must(err)
		ids, _ := p.entries(a.Body())
		ids = slices.DeleteFunc(ids, func(id string) bool { return strings.HasPrefix(id, target[:strings.IndexByte(target, '?')]+"/") })
		slices.Sort(ids)
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
