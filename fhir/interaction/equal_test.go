package interaction

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
	"github.com/fieldseal/fieldseal/fhir/search"

	"github.com/fieldseal/fieldseal/fhir/search/searchtest"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// TestSearchEqualsBruteForce draws searches of every kind from the data and
// compares whole answers, all pages of them, with an evaluation over every
// opened resource that shares no code with search. FIELDSEAL_LONG=1 asks forty
// times as many.
//
// So it is for every role: whoever searches finds what an evaluation over the
// resources finds that the role can read, as they are read (decision 16).
func TestSearchEqualsBruteForce(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.stock()
	p.stockCare()
	for i, role := range []string{"integration", "researcher", "nurse", "patient", "ward", "doctor", "scholar"} {
		testEqual(t, p, role, 11+uint64(i))
	}
}

// TestSearchEqualsBruteForceWithTinyTokens cuts tokens to 8 bits, so that
// nearly every list holds strangers and only the recheck decides.
func TestSearchEqualsBruteForceWithTinyTokens(t *testing.T) {
	t.Parallel()
	p := newShopWith(t, shopOptions{tokenBits: 8})
	p.stock()
	testEqual(t, p, "integration", 22)
}

func TestSearchEqualsBruteForceInStrictProfile(t *testing.T) {
	t.Parallel()
	p := newShopWith(t, shopOptions{profile: sealed.ProfileStrict})
	p.stock()
	testEqual(t, p, "integration", 33)
}

// TestSearchEqualsBruteForceWhileTheIndexIsRemade asks while rotations and
// rebuilds follow each other.
func TestSearchEqualsBruteForceWhileTheIndexIsRemade(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.stock()
	var asked atomic.Bool
	passes := 0
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ; failed == nil && (passes < 3 || !asked.Load()); passes++ {
			work := p.Vault.RotateIndex
			if passes%3 == 2 {
				work = p.Vault.Reindex
			}
			failed = work(t.Context(), nil)
		}
	}()
	testEqual(t, p, "integration", 44)
	asked.Store(true)
	<-done
	if failed != nil {
		t.Errorf("%d passes, then %v", passes, failed)
	}
}

func testEqual(t *testing.T, p *shop, role string, seed uint64) {
	t.Helper()
	w := p.world(role)
	q := searchtest.NewQuestions(w, seed)
	c := p.as(role)
	n := 150
	if role != "integration" {
		n = 50
		q.Asks = func(typ, code string) bool { // the marks of a redacted view are made for who reads it
			return code != "_tag" && code != "_security" && p.sees(c, typ, code)
		}
	}
	switch {
	case os.Getenv("FIELDSEAL_LONG") != "":
		n *= 40
	case testing.Short():
		n /= 4
	}
	var seen tally
	for i := range n {
		if target := q.Next(); !seen.compare(p, c, w, target) {
			t.Errorf("question %d of %s", i, role)
		}
	}
	t.Logf("%s: %+v", role, seen)
	if seen.matched < n/3 || seen.refused > n/3 {
		t.Errorf("of %d questions: %+v", n, seen)
	}
}

// tally counts what became of questions.
type tally struct{ matched, empty, refused, costly, undecided int }

// compare asks the service and the world.
func (n *tally) compare(p *shop, c Call, w *searchtest.World, target string) (equal bool) {
	p.t.Helper()
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(searchtest.Undecided); !ok {
				panic(fmt.Sprint(target, ": ", r))
			}
			n.undecided++
			equal = true
		}
	}()
	got, err := p.walk(c, target)
	want := w.Answer(target)
	if err != nil {
		f := failure(err)
		switch {
		case f.Kind == Denied:
			n.refused++
			return true
		case f.Issues[0].Code == "too-costly":
			n.costly++
			return true
		case errors.As(err, new(*search.UndecidedError)): // the world asked less
			n.undecided++
			return true
		}
		p.t.Errorf("%s: %v (%v)", target, err, f.Unwrap())
		return false
	}
	if want.Sort != "" {
		if err := w.Ordered(want.Sort, got.matches); err != nil {
			p.t.Errorf("%s: %v", target, err)
			return false
		}
	}
	slices.Sort(got.matches)
	if len(want.Matches) == 0 {
		n.empty++
	} else {
		n.matched++
	}
	if !slices.Equal(got.matches, want.Matches) {
		p.t.Errorf("%s: %s", target, differences(got.matches, want.Matches))
		return false
	}
	included := slices.DeleteFunc(got.included, func(ref string) bool { return slices.Contains(want.Matches, ref) })
	slices.Sort(included)
	if included = slices.Compact(included); !slices.Equal(included, want.Included) {
		p.t.Errorf("%s includes: %s", target, differences(included, want.Included))
		return false
	}
	if got.total >= 0 && got.total != len(want.Matches) {
		p.t.Errorf("%s: total %d of %d", target, got.total, len(want.Matches))
		return false
	}
	return true
}

// differences tells what sorted lists do not share.
func differences(got, want []string) string {
	lacks := func(list []string) func(string) bool {
		return func(ref string) bool { return slices.Contains(list, ref) }
	}
	more, less := slices.DeleteFunc(slices.Clone(got), lacks(want)), slices.DeleteFunc(slices.Clone(want), lacks(got))
	return fmt.Sprintf("%d found, %d wanted; too many %v, missing %v", len(got), len(want), clipped(more), clipped(less))
}

func clipped(s []string) []string { return s[:min(len(s), 12)] }

// walked is what all pages of a search show.
type walked struct {
	matches, included []string
	bodies            []json.RawMessage // of both
	total             int               // -1: none was given
}

// walk asks for every page.
func (p *shop) walk(c Call, target string) (w walked, err error) {
	p.t.Helper()
	w.total = -1
	for next := target; next != ""; {
		a, err := p.ask(c, next)
		if err != nil {
			return w, err
		}
		var b searchset
		p.must(json.Unmarshal(a.Body(), &b))
		w.matches, w.included = append(w.matches, b.ids("match")...), append(w.included, b.ids("include")...)
		w.bodies = append(w.bodies, entries(a.Body())...)
		if b.Total != nil {
			w.total = *b.Total
		}
		next = strings.TrimPrefix(strings.TrimPrefix(b.next(), base), "/")
	}
	return w, nil
}

// sees reports whether the caller may ask a parameter, with any modifier.
func (p *shop) sees(c Call, typ, code string) bool {
	g, err := p.Decider.Decide(p.t.Context(), c.Subject, authz.Request{Action: authz.Search, Type: typ})
	param := p.Catalog.Parameter(typ, code)
	return err == nil && g.Allowed() && param != nil && !(c.conceals() && code == "_lastUpdated") && g.Ceiling().Contains(param.Needs(search.Missing))
}

// world is everything that a role reads, as it reads it.
func (p *shop) world(role string) *searchtest.World {
	p.t.Helper()
	w := searchtest.New(p.Definitions, subsumption{p.Terminology}, base)
	c := p.as(role)
	for ch, err := range p.store.Changes(p.t.Context(), "") {
		p.must(err)
		g, err := p.Decider.Decide(p.t.Context(), c.Subject, authz.Request{Action: authz.Read, Type: ch.Key.Type})
		if isDenied(err) || err == nil && !g.Allowed() {
			continue
		}
		p.must(err)
		st, err := p.Vault.Load(p.t.Context(), ch.Key)
		p.must(err)
		mask := p.visible(p.t.Context(), g, st)
		if mask == 0 || st.Record.Version != ch.Version {
			continue
		}
		body, _, err := p.view(c, st, mask)
		p.must(err)
		w.Add(body)
	}
	return w
}

// stock stores three Synthea records and a few awkward resources.
func (p *shop) stock() {
	p.t.Helper()
	for _, text := range fhirtest.SyntheaInformation(p.t) {
		p.load(text)
	}
	n := 0
	for _, text := range fhirtest.Synthea(p.t) {
		if p.load(text); n == 1 {
			break
		}
		n++
	}
	for i, text := range awkward {
		typ := text[strings.Index(text, ":\"")+2:]
		typ = typ[:strings.IndexByte(typ, '"')]
		id := fmt.Sprintf("awkward%d", i)
		if at := strings.Index(text, `"id":"`); at > 0 {
			id = text[at+6 : at+6+strings.IndexByte(text[at+6:], '"')]
		} else {
			text = strings.Replace(text, "{", `{"id":"`+id+`",`, 1)
		}
		p.put(typ, id, text)
	}
}

// stockCare relates the doctor to two patients, labels some of what is known of
// them, and has the patients consent to this and that.
func (p *shop) stockCare() {
	p.t.Helper()
	var patients []string
	n := 0
	for ch, err := range p.store.Changes(p.t.Context(), "") {
		p.must(err)
		st, err := p.Vault.Load(p.t.Context(), ch.Key)
		p.must(err)
		switch typ := ch.Key.Type; {
		case typ == "Patient":
			patients = append(patients, st.Head.ID)
		case typ == "Observation" || typ == "Condition" || typ == "Encounter":
			if n++; n%4 != 0 {
				continue
			}
			r, err := p.Vault.Open(st, allClasses)
			p.must(err)
			code := []string{"R", "V"}[n/4%2]
			coding := fhir.NewObject(fhir.NewString(label.Confidentiality).Named("system"), fhir.NewString(code).Named("code"))
			addMeta(r.Root(), "security", &coding)
			p.put(typ, st.Head.ID, string(r.AppendJSON(nil)))
		}
	}
	for i, id := range patients {
		if i < 3 {
			p.put("CareTeam", "ct-"+id, `{"resourceType":"CareTeam","id":"ct-`+id+`","status":"active","subject":{"reference":"Patient/`+id+`"},"participant":[{"member":{"reference":"Practitioner/dr"}}]}`)
		}
		rule := []string{`"provision":{"type":"permit"}`, `"provision":{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}]}`, `"provision":{"type":"permit","purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HRESCH"}]}`}[i%3]
		p.put("Consent", "co-"+id, `{"resourceType":"Consent","id":"co-`+id+`","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},`+
			`"category":[{"text":"x"}],"policyRule":{"text":"x"},"patient":{"reference":"Patient/`+id+`"},`+rule+`}`)
	}
}

func (p *shop) load(text []byte) {
	p.t.Helper()
	p.MaxEntries, p.BundleBytes = 10_000, 64<<20
	c := p.as("integration")
	c.Return = Minimal
	a, err := p.Bundle(p.t.Context(), c, text)
	p.must(err)
	if a.Status() != 200 {
		p.t.Fatalf("loading a bundle answered %d", a.Status())
	}
}

// awkward resources have what Synthea has not.
var awkward = []string{
	`{"resourceType":"Organization","id":"o1","name":"North"}`,
	`{"resourceType":"Organization","id":"o2","name":"North 2","partOf":{"reference":"Organization/o1"}}`,
	`{"resourceType":"Organization","id":"o3","name":"Øst","partOf":{"reference":"` + base + `/Organization/o2"}}`,
	`{"resourceType":"Patient","id":"p1","name":[{"family":"O'Brien-Smith, Jr.","given":["Ðánïél","X|Y$Z"]},{"text":"ÄRZTIN"}],"birthDate":"1990","deceasedBoolean":false,"managingOrganization":{"reference":"Organization/o2"},"identifier":[{"system":"urn:s","value":"own"}]}`,
	`{"resourceType":"Patient","birthDate":"1990-06","deceasedDateTime":"2020-02-29T10:00:00+02:00","managingOrganization":{"reference":"Organization/o3"},"identifier":[{"value":"only"},{"system":"urn:s"},{"type":{"coding":[{"system":"urn:t","code":"MR"}]},"system":"urn:s","value":"v"}],"telecom":[{"system":"phone","use":"home","value":"+1 555"}]}`,
	`{"resourceType":"Observation","status":"final","code":{"text":"no coding at all"},"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":1.5,"unit":"things"},"effectivePeriod":{"start":"2019-12-31T23:00:00-05:00"}}`,
	`{"resourceType":"Observation","status":"amended","code":{"coding":[{"code":"bare"},{"system":"urn:a","code":"x","display":"Ex one"}]},"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":0.00100,"system":"http://unitsofmeasure.org","code":"g"},"effectiveDateTime":"2020"}`,
	`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"urn:a","code":"x"}]},"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":-5,"system":"http://unitsofmeasure.org","code":"mg"},"component":[{"code":{"coding":[{"system":"urn:a","code":"y"}]},"valueQuantity":{"value":7,"comparator":"<","system":"http://unitsofmeasure.org","code":"mg"}}]}`,
	`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"urn:a","code":"Σς"}]},"subject":{"reference":"Patient/p1"},"effectiveTiming":{"event":["2019-02-03","2021-05-06T10:11:12.5+01:00"],"repeat":{"boundsPeriod":{"start":"2018","end":"2022"}}},"valueCodeableConcept":{"coding":[{"system":"urn:v","code":"v1"}]}}`,
	`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"urn:a","code":"x"}]},"effectivePeriod":{"start":"2020-01-05","end":"2021-03"},"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"subject":{"reference":"Patient/p1","identifier":{"system":"urn:s","value":"own"}}}`,
	`{"resourceType":"RiskAssessment","status":"final","subject":{"reference":"Patient/p1","identifier":{"system":"urn:s","value":"v"}},"prediction":[{"probabilityDecimal":0.25},{"probabilityRange":{"low":{"value":1},"high":{"value":3}}}]}`,
	`{"resourceType":"ValueSet","status":"active","url":"http://example.org/vs/a/b","version":"2.0"}`,
	`{"resourceType":"ValueSet","status":"draft","url":"http://example.org/vs/a"}`,
	`{"resourceType":"Location","id":"l1","name":"Here","position":{"longitude":8.54,"latitude":47.37}}`,
	`{"resourceType":"Location","id":"l2","name":"Room","partOf":{"reference":"Location/l1"},"position":{"longitude":8.56,"latitude":47.37}}`,
	`{"resourceType":"Location","id":"l3","name":"Bed","partOf":{"reference":"Location/l2"}}`,
	`{"resourceType":"Encounter","status":"planned","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"ACUTE"},"subject":{"reference":"http://elsewhere.test/fhir/Patient/9"},"period":{"end":"2021-05-05"},"location":[{"location":{"reference":"Location/l3"}}]}`,
	`{"resourceType":"Encounter","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"},"subject":{"reference":"Patient/p1"},"period":{"start":"2019-01-01","end":"2021-05-05"},"location":[{"location":{"reference":"Location/l1"}}]}`,
	`{"resourceType":"ActivityDefinition","status":"active","library":["http://example.org/lib|1.0"],"effectivePeriod":{"start":"2000"}}`,
	`{"resourceType":"Medication","meta":{"profile":["http://example.org/p|3"],"tag":[{"system":"urn:tag","code":"t"}],"source":"http://example.org/source"}}`,
	`{"resourceType":"DocumentReference","status":"current","content":[{"attachment":{"contentType":"text/plain"}}],"subject":{"reference":"Patient/p1"},"relatesTo":[{"code":"appends","target":{"reference":"DocumentReference/d2"}}]}`,
	`{"resourceType":"DocumentReference","id":"d2","status":"superseded","content":[{"attachment":{"contentType":"text/plain"}}],"subject":{"reference":"Patient/p1"}}`,
	`{"resourceType":"Provenance","target":[{"reference":"Observation/awkward6"},{"reference":"Patient/p1/_history/1"}],"recorded":"2020-02-02T02:02:02.020Z","agent":[{"who":{"reference":"Patient/p1"}}]}`,
}
