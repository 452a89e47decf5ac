package interaction

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/consent"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/repository"
)

// consentOf is an active privacy consent of a patient.
func consentOf(patient, rule string) string {
	return `{"resourceType":"Consent","id":"c` + patient + `","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},` +
		`"category":[{"text":"privacy"}],"policyRule":{"text":"x"},"patient":{"reference":"Patient/` + patient + `"},` + rule + `}`
}

const denyAll = `"provision":{"type":"deny"}`

// cared is the library with a doctor for both patients.
func cared(t *testing.T) *shop {
	p := library(t)
	for _, id := range []string{"p1", "p2"} {
		p.put("CareTeam", "team-"+id, `{"resourceType":"CareTeam","id":"team-`+id+`","status":"active","subject":{"reference":"Patient/`+id+`"},"participant":[{"member":{"reference":"Practitioner/dr"}}]}`)
	}
	return p
}

// TestConsentIsInForceAtOnce: a Consent that is written, changed or deleted
// counts for the next request, also inside of the time that answers live.
func TestConsentIsInForceAtOnce(t *testing.T) {
	t.Parallel()
	p := cared(t)
	for i := range 3 {
		if !p.mayRead("doctor", "Observation", "b0") {
			t.Fatalf("round %d: denied without a Consent", i)
		}
		p.put("Consent", "cp2", consentOf("p2", denyAll))
		if p.mayRead("doctor", "Observation", "b0") || p.mayRead("doctor", "Patient", "p2") || !p.mayRead("doctor", "Patient", "p1") {
			t.Fatalf("round %d: the denial is not in force", i)
		}
		p.put("Consent", "cp2", consentOf("p2", `"provision":{"type":"permit"}`))
		if !p.mayRead("doctor", "Observation", "b0") {
			t.Fatalf("round %d: the permission is not in force", i)
		}
		p.put("Consent", "cp2", consentOf("p2", denyAll))
		_, err := p.Delete(t.Context(), p.as("integration"), "Consent", "cp2")
		p.must(err)
	}
}

// TestConsentIsAudited: what was withheld is recorded with the Consent that did.
func TestConsentIsAudited(t *testing.T) {
	t.Parallel()
	p := cared(t)
	p.put("Consent", "cp2", consentOf("p2", denyAll))
	if p.mayRead("doctor", "Observation", "b0") {
		t.Fatal("read against the Consent")
	}
	ev := p.rec.last()
	if ev.Reason != "consent" || len(ev.Entities) != 2 || ev.Entities[1].Type != "Consent" || ev.Entities[1].ID != "cp2" || ev.Entities[1].PatientIDs[0] != "p2" {
		t.Errorf("a withheld read is recorded as %+v", ev)
	}
	p.found("doctor", "Observation?status=final")
	named := 0
	for _, e := range p.rec.last().Entities {
		if e.Type == "Consent" {
			named++
		}
	}
	if named != 1 {
		t.Errorf("a search that left something out names %d Consents", named)
	}
	p.found("doctor", "Observation?patient=p1")
	for _, e := range p.rec.last().Entities {
		if e.Type == "Consent" && e.ID == "cp2" {
			t.Error("a search that met nothing of the patient names the Consent")
		}
	}
}

// TestConsentByContent: codes and times of the resource decide where the Consent
// names them.
func TestConsentByContent(t *testing.T) {
	t.Parallel()
	p := cared(t)
	p.put("Consent", "cp2", consentOf("p2", `"provision":{"type":"permit","provision":[{"type":"deny","code":[{"coding":[{"system":"http://loinc.org","code":"c1"}]}]},{"type":"deny","dataPeriod":{"end":"2020-01-05"}}]}`))
	for id, want := range map[string]bool{"b0": true, "b3": false, "b6": false} { // b3 has code c1, b6 is of 2020-01-03
		if got := p.mayRead("doctor", "Observation", id); got != want {
			t.Errorf("%s: reads %v", id, got)
		}
	}
}

// TestResearchIsOptIn: without a Consent that permits it, research and marketing
// see nothing; minors are not seen by who may see adults.
func TestResearchIsOptIn(t *testing.T) {
	t.Parallel()
	p := library(t)
	research := `"provision":{"type":"permit","purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HRESCH"}]}`
	if p.mayRead("scholar", "Observation", "b1") || p.rec.last().Reason != "consent" {
		t.Error("research without a Consent")
	}
	p.put("Consent", "cp1", consentOf("p1", research))
	if !p.mayRead("scholar", "Observation", "b1") || p.mayRead("scholar", "Observation", "b0") {
		t.Error("one patient's Consent counts for that patient")
	}
	child := strings.Replace(`{"resourceType":"Patient","id":"p1","gender":"female","birthDate":"1980-05-05"}`, "1980", "2020", 1)
	p.put("Patient", "p1", child)
	if p.mayRead("scholar", "Observation", "b1") {
		t.Error("a minor is seen")
	}
}

// attack is a world with what the doctor may not see, for three reasons, and the
// same without it.
func attack(t *testing.T) (with, without *shop) {
	with, without = cared(t), cared(t)
	hidden := []string{
		`{"resourceType":"Observation","id":"h1","status":"final","meta":{"security":[{"system":"` + label.Confidentiality + `","code":"V"}]},"code":{"coding":[{"system":"http://loinc.org","code":"secret"}]},"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"},"valueQuantity":{"value":9},"effectiveDateTime":"2019-01-01"}`,
		`{"resourceType":"Observation","id":"h2","status":"final","meta":{"security":[{"system":"` + label.Sensitivity + `","code":"HIV"}]},"code":{"coding":[{"system":"http://loinc.org","code":"c1"}]},"subject":{"reference":"Patient/p2"},"derivedFrom":[{"reference":"Observation/b0"}],"effectiveDateTime":"2030-01-01"}`,
		`{"resourceType":"Condition","id":"h3","code":{"coding":[{"system":"urn:icd","code":"B20"}]},"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"}}`, // denied by consent
		`{"resourceType":"Patient","id":"p3","gender":"other","birthDate":"1960-01-01"}`, // nobody's relation
		`{"resourceType":"Observation","id":"h4","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"c1"}]},"subject":{"reference":"Patient/p3"},"hasMember":[{"reference":"Observation/b1"}]}`,
	}
	for _, p := range []*shop{with, without} {
		p.put("Consent", "cp1", consentOf("p1", `"provision":{"type":"permit","provision":[{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Condition"}]}]}`))
	}
	for _, text := range hidden {
		part := strings.Split(text, `"`)
		with.put(part[3], part[7], text)
	}
	return with, without
}

// TestWithheldResourceIsNotInferred: no question tells a caller that something
// is there which labels, consent or a missing relationship withhold. Whatever is
// asked, the answer is that of a world without it.
func TestWithheldResourceIsNotInferred(t *testing.T) {
	t.Parallel()
	with, without := attack(t)
	for name, target := range map[string]string{
		"by count":                      "Observation?_summary=count",
		"by a count of a code":          "Observation?code=secret&_summary=count",
		"by an accurate total":          "Observation?code=c1&_total=accurate&_count=2",
		"by an estimate":                "Condition?_total=estimate",
		"by _has":                       "Patient?_has:Observation:patient:code=secret",
		"by _has of a condition":        "Patient?_has:Condition:patient:code=urn:icd|B20",
		"by _has of an encounter":       "Encounter?_has:Condition:encounter:code=B20",
		"by _include":                   "Observation?_id=b0,b1&_include=Observation:*",
		"by _revinclude":                "Observation?_id=b0,b1&_revinclude=Observation:derived-from&_revinclude=Observation:has-member",
		"by _revinclude of a patient":   "Patient?_id=p1&_revinclude=Condition:subject&_revinclude=Observation:subject",
		"by iteration":                  "Encounter?_id=e1&_revinclude=Observation:encounter&_revinclude:iterate=Observation:derived-from",
		"by order":                      "Observation?_sort=date&_count=1",
		"by the other order":            "Observation?_sort=-date&_count=1",
		"by order of patients":          "Patient?_sort=birthdate&_count=1",
		"by a chain":                    "Observation?subject:Patient.gender=other",
		"by a chain to a chain":         "Observation?derived-from.code=c0",
		"by :not":                       "Observation?code:not=c0",
		"by :missing":                   "Observation?derived-from:missing=false",
		"by id":                         "Observation?_id=h1,h2,h4,b0",
		"by the label":                  "Observation?_security=V,HIV",
		"by compartment":                "Patient/p1/Condition?",
		"by a whole compartment":        "Patient/p3/*?",
		"by an encounter's compartment": "Encounter/e1/Observation?",
		"by type":                       "?_type=Condition,Observation,Patient&_summary=count",
		"by time":                       "Observation?_lastUpdated=gt2000&_summary=count",
	} {
		got, err1 := with.walk(with.as("doctor"), target)
		want, err2 := without.walk(without.as("doctor"), target)
		got.bodies, want.bodies = nil, nil // they were written at other times
		slices.Sort(got.included)
		slices.Sort(want.included)
		if !strings.Contains(target, "_sort") {
			slices.Sort(got.matches)
			slices.Sort(want.matches)
		}
		if fmt.Sprint(got, err1) != fmt.Sprint(want, err2) {
			t.Errorf("%s: %s\n got %v %v\nwant %v %v", name, target, got, err1, want, err2)
		}
	}
}

// TestWithheldResourceIsNotFoundDirectly: read, vread, history, $everything,
// operations, entries of a batch and conditional forms find nothing either.
func TestWithheldResourceIsNotFoundDirectly(t *testing.T) {
	t.Parallel()
	p, _ := attack(t)
	for _, ref := range []string{"Observation/h1", "Observation/h2", "Condition/h3", "Patient/p3", "Observation/h4", "Observation/nobody"} {
		typ, id, _ := strings.Cut(ref, "/")
		c, ctx := p.as("doctor"), t.Context()
		_, err := p.Read(ctx, c, typ, id)
		p.refused(nil, err, NotFound)
		_, err = p.VRead(ctx, c, typ, id, "1")
		p.refused(nil, err, NotFound)
		_, err = p.History(ctx, c, typ, id, "")
		p.refused(nil, err, NotFound)
		before := p.version(typ, id)
		_, err = p.Delete(ctx, c, typ, id) // what is unknown is as good as deleted
		if p.must(err); p.version(typ, id) != before {
			t.Errorf("%s was deleted", ref)
		}
		_, err = p.Update(ctx, c, typ, id, []byte(`{"resourceType":"`+typ+`","id":"`+id+`"}`))
		p.refused(nil, err, NotFound)
		a, err := p.Bundle(ctx, c, []byte(`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"`+ref+`"}}]}`))
		p.must(err)
		if !strings.Contains(string(a.Body()), `"status":"404"`) {
			t.Errorf("%s in a batch: %s", ref, a.Body())
		}
	}
	body := `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"secret"}]},"subject":{"reference":"Patient/p1"}}`
	c := p.as("doctor")
	c.IfNoneExist = "code=secret"
	a, err := p.Create(t.Context(), c, "Observation", []byte(body))
	if err != nil || a.Status() != 201 {
		t.Errorf("a conditional create finds what is withheld: %v", err)
	}
	ids, _ := p.entries(p.everything("doctor", "p1"))
	if slices.ContainsFunc(ids, func(ref string) bool { return strings.HasSuffix(ref, "/h1") || strings.HasSuffix(ref, "/h3") }) {
		t.Errorf("$everything shows %v", ids)
	}
	feed := p.bundleOf(p.HistoryType(t.Context(), p.as("doctor"), "Observation", "_count=1000"))
	for i := range feed.Member("entry").Len() {
		id := feed.Member("entry").At(i).Member("resource").Member("id").Text()
		if strings.HasPrefix(id, "h") {
			t.Errorf("the feed shows %s", id)
		}
	}
}

func (p *shop) everything(role, patient string) []byte {
	p.t.Helper()
	body, err := p.operateAs(role, Invocation{Code: "everything", Type: "Patient", ID: patient})
	p.must(err)
	var b map[string]any
	p.must(json.Unmarshal(body, &b))
	return body
}

// TestPastVersionsAreJudgedTwice: a version from before a label is withheld as
// the current one is, and one under a label stays withheld when the current one
// has none.
func TestPastVersionsAreJudgedTwice(t *testing.T) {
	t.Parallel()
	p := cared(t)
	text := func(meta string) string {
		return `{"resourceType":"Observation","id":"v",` + meta + `"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`
	}
	very := `"meta":{"security":[{"system":"` + label.Confidentiality + `","code":"V"}]},`
	p.put("Observation", "v", text(""))
	p.put("Observation", "v", text(very))
	for _, version := range []string{"1", "2"} {
		_, err := p.VRead(t.Context(), p.as("doctor"), "Observation", "v", version)
		p.refused(nil, err, NotFound)
	}
	p.put("Observation", "v", text(""))
	_, err := p.VRead(t.Context(), p.as("doctor"), "Observation", "v", "1")
	p.must(err)
	_, err = p.VRead(t.Context(), p.as("doctor"), "Observation", "v", "2")
	p.refused(nil, err, NotFound)
	if b := p.bundleOf(p.History(t.Context(), p.as("doctor"), "Observation", "v", "")); b.Member("entry").Len() != 2 {
		t.Errorf("the history shows %d versions", b.Member("entry").Len())
	}
}

// unconsented is a store that cannot be searched for Consents.
type unconsented struct{ repository.Store }

func (f unconsented) Find(ctx context.Context, q repository.Query) (repository.Page, error) {
	if q.Type == "Consent" {
		return repository.Page{}, repository.ErrUnavailable
	}
	return f.Store.Find(ctx, q)
}

// crowded is a store in which every patient has more Consents than a decision may
// look at: the same one over and over.
type crowded struct{ repository.Store }

func (f crowded) Find(ctx context.Context, q repository.Query) (repository.Page, error) {
	page, err := f.Store.Find(ctx, q)
	if q.Type == "Consent" && len(page.Records) > 0 {
		page.Records = slices.Repeat(page.Records[:1], maxConsents+1)
	}
	return page, err
}

// TestABoundThatDeniesIsTold: more Consents than a decision may look at deny, and
// the trail says that this is why.
func TestABoundThatDeniesIsTold(t *testing.T) {
	t.Parallel()
	p := cared(t)
	p.put("Consent", "c", `{"resourceType":"Consent","id":"c","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},`+
		`"category":[{"text":"x"}],"policyRule":{"text":"x"},"patient":{"reference":"Patient/p1"},"provision":{"type":"permit"}}`)
	p.put("Observation", "v", `{"resourceType":"Observation","id":"v","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`)
	if _, err := p.Read(t.Context(), p.as("doctor"), "Observation", "v"); err != nil {
		t.Fatal(err)
	}
	p.Store = crowded{p.Store}
	p.consents.drop(func(field.StorageID, []*consent.Consent) bool { return true })
	a, err := p.Read(t.Context(), p.as("doctor"), "Observation", "v")
	p.refused(a, err, NotFound)
	if e := p.rec.last(); e.Reason != "decision-bound" {
		t.Errorf("the trail of a read says %q", e.Reason)
	}
	_, err = p.Search(t.Context(), p.as("doctor"), "Observation", "_id=v")
	p.must(err)
	if e := p.rec.last(); e.Reason != "decision-bound" || e.Outcome != audit.Success {
		t.Errorf("the trail of a search says %q", e.Reason)
	}
}

// TestNothingIsWrittenOnADoubt: a condition that could not be decided about is
// not one without a match. What matches would be created a second time.
func TestNothingIsWrittenOnADoubt(t *testing.T) {
	t.Parallel()
	p := newShopWith(t, shopOptions{rows: `
role, role:filer, writes everything and sees what consents permit
p, role:filer, record, create|update|delete, *, *, all_patients, allow
p, role:filer, record, read|search, *, *, consent, allow
`})
	p.put("Patient", "p1", `{"resourceType":"Patient","id":"p1"}`)
	const text = `{"resourceType":"Observation","status":"final","code":{"coding":[{"code":"once"}]},"subject":{"reference":"Patient/p1"}}`
	c := p.as("filer")
	c.IfNoneExist = "code=once"
	working := p.Store
	versions := func() (n int) {
		for _, err := range working.Changes(t.Context(), "") {
			p.must(err)
			n++
		}
		return n
	}
	before := versions()
	a, err := p.Create(t.Context(), c, "Observation", []byte(text))
	p.must(err)
	if a.Status() != 201 || versions() != before+1 {
		t.Fatal("the first is not created")
	}
	p.Store = unconsented{working}
	p.consents.drop(func(field.StorageID, []*consent.Consent) bool { return true })
	a, err = p.Create(t.Context(), c, "Observation", []byte(text))
	p.refused(a, err, Unavailable)
	b, err := p.UpdateWhere(t.Context(), p.as("filer"), "Observation", "code=once", []byte(text))
	p.refused(b, err, Unavailable)
	b, err = p.Bundle(t.Context(), p.as("filer"), []byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+text+`,"request":{"method":"POST","url":"Observation","ifNoneExist":"code=once"}}]}`))
	p.refused(b, err, Unavailable)
	if e := p.rec.last(); e.Outcome != audit.SeriousFailure || e.Reason != "unavailable" {
		t.Errorf("the trail says %v, %s", e.Outcome, e.Reason)
	}
	if n := versions(); n != before+1 {
		t.Errorf("%d versions were written on a doubt", n-before-1)
	}
}
