package interaction

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
)

// operateAs invokes an operation and reads a streamed answer to its end.
func (p *shop) operateAs(role string, in Invocation) ([]byte, error) {
	p.t.Helper()
	a, err := p.Operate(p.t.Context(), p.as(role), in)
	if err != nil {
		return nil, err
	}
	if !a.Streamed() {
		return a.Body(), nil
	}
	var all []byte
	for chunk, err := range a.Chunks(p.t.Context()) {
		if err != nil {
			return all, err
		}
		all = append(all, chunk...)
	}
	return all, nil
}

// entries are the Type/id of a Bundle's entries.
func (p *shop) entries(body []byte) (ids []string, next string) {
	p.t.Helper()
	var b struct {
		Link  []struct{ Relation, URL string }
		Entry []struct{ FullURL string }
	}
	p.must(json.Unmarshal(body, &b))
	for _, e := range b.Entry {
		ids = append(ids, strings.TrimPrefix(e.FullURL, base+"/"))
	}
	for _, l := range b.Link {
		if l.Relation == "next" {
			next = l.URL
		}
	}
	return ids, next
}

// chart stores a patient with n observations and what they refer to.
func (p *shop) chart(n int) {
	p.t.Helper()
	p.put("Practitioner", "dr", `{"resourceType":"Practitioner","id":"dr"}`)
	p.put("Patient", "p2", strings.Replace(patient, `"p1"`, `"p2"`, 1))
	p.put("Patient", "p1", strings.Replace(patient, `"managingOrganization"`, `"generalPractitioner":[{"reference":"Practitioner/dr"}],"managingOrganization"`, 1))
	p.put("Encounter", "e", `{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p1"},"period":{"start":"2020-01-01","end":"2020-01-02"}}`)
	p.put("Condition", "c", `{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p1"},"onsetDateTime":"2000"}`)
	for i := range n {
		p.put("Observation", fmt.Sprint("o", i), fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","code":{"coding":[{"system":"urn:c","code":"k%d"}]},"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e"},"effectiveDateTime":"20%02d-05","performer":[{"reference":"Organization/lab"}],"note":[{"text":"%s"}]}`,
			i, i%3, 10+i%20, strings.Repeat("x", 2000)))
	}
	p.put("Observation", "other", `{"resourceType":"Observation","id":"other","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p2"}}`)
	p.put("Organization", "lab", `{"resourceType":"Organization","id":"lab","name":"Lab"}`)
}

func TestEverything(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(20)
	in := Invocation{Code: "everything", Type: "Patient", ID: "p1"}
	body, err := p.operateAs("clinician", in)
	p.must(err)
	all, _ := p.entries(body)
	if len(all) != 25 || all[0] != "Patient/p1" || slices.Contains(all, "Observation/other") || !slices.Contains(all, "Practitioner/dr") || !slices.Contains(all, "Organization/lab") {
		t.Errorf("%d: %v", len(all), all)
	}
	for _, c := range []struct {
		query string
		want  int
	}{
		{"_type=Observation", 20}, {"_type=Practitioner,Encounter", 2}, {"_type=Patient", 1}, {"_since=2999-01-01T00:00:00Z", 0},
		{"start=2020&end=2020", 6}, // patient, encounter, the condition that goes on, one observation, two referred to
		{"start=1999&end=2001", 3}, // patient, condition, practitioner
		{"end=1990", 2},
	} {
		in.Query = c.query
		body, err := p.operateAs("clinician", in)
		p.must(err)
		if got, _ := p.entries(body); len(got) != c.want {
			t.Errorf("%s: %d entries: %v", c.query, len(got), got)
		}
	}
	in.Query = "_count=4"
	var paged []string
	for pages := 0; pages < 10; pages++ {
		body, err := p.operateAs("clinician", in)
		p.must(err)
		ids, next := p.entries(body)
		paged = append(paged, ids...)
		if len(ids) > 4 {
			t.Errorf("a page of %d", len(ids))
		}
		if next == "" {
			break
		}
		_, in.Query, _ = strings.Cut(next, "?")
	}
	if !slices.Equal(paged, all) {
		t.Errorf("pages gave %v, want %v", paged, all)
	}
	for _, bad := range []string{"_count=0", "_type=Nonsense", "_since=2020", "start=x", "end=x", "name=x", "_page=forged", "%"} {
		in.Query = bad
		a, err := p.Operate(t.Context(), p.as("clinician"), in)
		p.refused(a, err, Malformed)
	}
}

func TestEncounterEverything(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(3)
	body, err := p.operateAs("clinician", Invocation{Code: "everything", Type: "Encounter", ID: "e"})
	p.must(err)
	got, _ := p.entries(body)
	slices.Sort(got)
	if want := []string{"Encounter/e", "Observation/o0", "Observation/o1", "Observation/o2", "Organization/lab", "Patient/p1"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestEverythingShowsNoMoreThanReads(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(2)
	in := Invocation{Code: "everything", Type: "Patient", ID: "p1"}
	body, err := p.operateAs("clerk", in)
	p.must(err)
	if bytes.Contains(body, []byte("m4711")) || bytes.Contains(body, []byte("Muster")) || !bytes.Contains(body, []byte("REDACTED")) {
		t.Errorf("%s", body)
	}
	for _, role := range []string{"admin", "privacy-officer"} {
		a, err := p.Operate(t.Context(), p.as(role), in)
		p.refused(a, err, Denied)
	}
	in.ID = "p2" // the demo patient is p1
	a, err := p.Operate(t.Context(), p.as("patient"), in)
	p.refused(a, err, NotFound)
	in.ID = ""
	a, err = p.Operate(t.Context(), p.as("patient"), in)
	p.refused(a, err, Denied)
	body, err = p.operateAs("clinician", in)
	p.must(err)
	if got, _ := p.entries(body); !slices.Contains(got, "Observation/other") || len(got) != 9 {
		t.Errorf("all patients: %v", got)
	}
}

// No chunk leaves without a record of what it discloses.
func TestStreamStopsWhenTheTrailFails(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(300)
	in := Invocation{Code: "everything", Type: "Patient", ID: "p1"}
	before := len(p.rec.events)
	body, err := p.operateAs("clinician", in)
	p.must(err)
	recorded := p.rec.events[before:]
	if recorded[0].Outcome != audit.Intent || len(recorded) < 4 {
		t.Fatalf("%d events, the first is %+v", len(recorded), recorded[0])
	}
	disclosed := 0
	for _, e := range recorded[1:] {
		disclosed += len(e.Entities)
	}
	if ids, _ := p.entries(body); disclosed != len(ids) {
		t.Errorf("%d resources recorded, %d sent", disclosed, len(ids))
	}
	a, err := p.Operate(t.Context(), p.as("clinician"), in)
	p.must(err)
	p.rec.fail(always)
	chunks := 0
	var last error
	for chunk, err := range a.Chunks(t.Context()) {
		if last = err; err == nil && len(chunk) > 0 {
			chunks++
		}
	}
	if chunks != 1 || !errors.Is(last, audit.ErrUnavailable) {
		t.Errorf("%d chunks, then %v", chunks, last)
	}
	a, err = p.Operate(t.Context(), p.as("clinician"), in)
	p.refused(a, err, Unavailable)
}

// A stream that a crash cut off leaves an intent; what was sent has events of
// its own.
func TestInterruptedStreamIsConcludedAtTheNextStart(t *testing.T) {
	t.Parallel()
	p := newLives(t)
	p.chart(30)
	p.restart()
	if _, err := p.Recover(t.Context()); err != nil { // of what the chart left
		t.Fatal(err)
	}
	a, err := p.Operate(t.Context(), p.as("clinician"), Invocation{Code: "everything", Type: "Patient", ID: "p1"})
	p.must(err)
	p.restart()
	p.recover("nothing-to-compare Patient")
	a.stop(nil)
}

func TestLastN(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(12)
	p.put("Observation", "joined", `{"resourceType":"Observation","id":"joined","status":"final","code":{"coding":[{"system":"urn:c","code":"k0"},{"system":"urn:d","code":"same"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2025"}`)
	p.put("Observation", "alias", `{"resourceType":"Observation","id":"alias","status":"final","code":{"coding":[{"system":"urn:d","code":"same"}]},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2024"}`)
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"patient=p1", []string{"Observation/joined", "Observation/o10", "Observation/o11"}},
		{"patient=Patient/p1&max=2", []string{"Observation/alias", "Observation/joined", "Observation/o10", "Observation/o11", "Observation/o7", "Observation/o8"}},
		{"subject=Patient/p1&code=urn:c|k1", []string{"Observation/o10"}},
		{"patient=p2&max=5", []string{"Observation/other"}},
		{"patient=none", nil},
	} {
		body, err := p.operateAs("clinician", Invocation{Code: "lastn", Type: "Observation", Query: c.query})
		p.must(err)
		got, _ := p.entries(body)
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.query, got, c.want)
		}
	}
	for _, bad := range []string{"", "code=x", "patient=p1&max=0", "patient=p1&_sort=date", "patient=p1&_count=3", "patient=p1&bogus=1"} {
		a, err := p.Operate(t.Context(), p.as("clinician"), Invocation{Code: "lastn", Type: "Observation", Query: bad})
		p.refused(a, err, Malformed)
	}
	a, err := p.Operate(t.Context(), p.as("admin"), Invocation{Code: "lastn", Type: "Observation", Query: "patient=p1"})
	p.refused(a, err, Denied)
}

func metaBody(meta string) []byte {
	return []byte(`{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":` + meta + `}]}`)
}

const restricted = `{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}`

func TestMetaOperations(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	in := Invocation{Code: "meta-add", Type: "Patient", ID: "p1", Body: metaBody(`{"tag":[{"system":"urn:t","code":"a","display":"A"}],"profile":["http://x/p"]}`)}
	body, err := p.operateAs("clinician", in)
	p.must(err)
	if !bytes.Contains(body, []byte(`"tag":[{"system":"urn:t","code":"a","display":"A"}]`)) || !bytes.Contains(body, []byte(`"profile":["http://x/p"]`)) || p.version("Patient", "p1") != 2 {
		t.Errorf("%s", body)
	}
	if _, err = p.operateAs("clinician", in); err != nil || p.version("Patient", "p1") != 2 {
		t.Errorf("adding what is there made a version: %v", err)
	}
	in.Code, in.Body = "meta-delete", metaBody(`{"tag":[{"system":"urn:t","code":"a"}]}`)
	body, err = p.operateAs("clinician", in)
	p.must(err)
	if bytes.Contains(body, []byte("urn:t")) || !bytes.Contains(body, []byte("http://x/p")) {
		t.Errorf("%s", body)
	}
	body, err = p.operateAs("clinician", Invocation{Code: "meta", Type: "Patient", ID: "p1"})
	p.must(err)
	if !bytes.HasPrefix(body, []byte(`{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":{"versionId":"3"`)) || bytes.Contains(body, []byte("m4711")) {
		t.Errorf("%s", body)
	}
	for _, bad := range [][]byte{nil, metaBody(`"x"`), []byte(`{"resourceType":"Parameters"}`), []byte(patient)} {
		in.Body = bad
		a, err := p.Operate(t.Context(), p.as("clinician"), in)
		p.refused(a, err, Malformed)
	}
	in.ID, in.Body = "none", metaBody(`{}`)
	a, err := p.Operate(t.Context(), p.as("clinician"), in)
	p.refused(a, err, NotFound)
}

// R4 resource-operation-meta.html: on a type and on the system, what is used.
func TestMetaUsed(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	tagged := func(id, meta string) string {
		return strings.Replace(strings.Replace(patient, `"p1"`, `"`+id+`"`, 1), `"identifier"`, `"meta":`+meta+`,"identifier"`, 1)
	}
	p.put("Patient", "p1", tagged("p1", `{"tag":[{"system":"urn:t","code":"own"}],"profile":["http://x/p"]}`))
	p.put("Patient", "p2", tagged("p2", `{"tag":[{"system":"urn:t","code":"others"},{"system":"urn:t","code":"own","extension":[{"url":"urn:x","valueString":"secret"}]}]}`))
	p.put("Patient", "p3", patient3)
	p.put("Basic", "b", `{"resourceType":"Basic","id":"b","meta":{"tag":[{"code":"basic"}]},"code":{"text":"x"}}`)
	for _, c := range []struct {
		role, typ string
		want      string
	}{
		{"clinician", "Patient", "http://x/p others own"},
		{"clinician", "", "basic http://x/p others own"},
		{"clinician", "Basic", "basic"},
		{"clinician", "Observation", ""},
		{"patient", "Patient", "http://x/p own"}, // the demo patient is p1
		{"researcher", "Patient", "http://x/p others own"},
	} {
		before := len(p.rec.events)
		body, err := p.operateAs(c.role, Invocation{Code: "meta", Type: c.typ})
		p.must(err)
		if got := metaValues(t, body); got != c.want || bytes.Contains(body, []byte("secret")) || bytes.Contains(body, []byte("versionId")) {
			t.Errorf("%s, %s: %s, want %s", c.role, c.typ, got, c.want)
		}
		ev := p.rec.events[before]
		if !strings.HasPrefix(ev.Query, "$meta") || (len(ev.Entities) == 0) != (c.want == "") {
			t.Errorf("%s, %s: recorded as %+v", c.role, c.typ, ev)
		}
	}
	for _, typ := range []string{"", "Patient"} {
		a, err := p.Operate(t.Context(), p.as("admin"), Invocation{Code: "meta", Type: typ})
		p.refused(a, err, Denied)
	}
	a, err := p.Operate(t.Context(), p.as("clinician"), Invocation{Code: "meta", Type: "AuditEvent"})
	p.refused(a, err, NotFound)
	a, err = p.Operate(t.Context(), p.as("clinician"), Invocation{Code: "meta", Type: "Nonsense"})
	p.refused(a, err, NotFound)
	a, err = p.Operate(t.Context(), p.as("clinician"), Invocation{Code: "meta-add", Type: "Patient", Body: metaBody(`{}`)})
	p.refused(a, err, NotFound)
}

const patient3 = `{"resourceType":"Patient","id":"p3"}`

// metaValues are the profiles and codes of a result, sorted.
func metaValues(t *testing.T, body []byte) string {
	t.Helper()
	var out struct {
		Parameter []struct {
			ValueMeta struct {
				Profile       []string
				Tag, Security []struct{ Code string }
			}
		}
	}
	if err := json.Unmarshal(body, &out); err != nil {
		t.Fatal(err)
	}
	m := out.Parameter[0].ValueMeta
	values := m.Profile
	for _, c := range slices.Concat(m.Tag, m.Security) {
		values = append(values, c.Code)
	}
	slices.Sort(values)
	return strings.Join(values, " ")
}

// A label on what the caller cannot see is not told by what is used.
func TestMetaUsedIsNoOracleForHiddenResources(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	p.put("Observation", "open", labelled("open", "1"))
	p.put("Observation", "hidden", strings.Replace(labelled("hidden", "2", "V"), `"meta":{`, `"meta":{"tag":[{"code":"only-there"}],`, 1))
	body, err := p.operateAs("clinician", Invocation{Code: "meta", Type: "Observation"})
	p.must(err)
	if got := metaValues(t, body); got != "V only-there" {
		t.Fatalf("who sees all: %q", got)
	}
	for _, role := range []string{"nurse", "researcher", "patient"} {
		_, readErr := p.Read(t.Context(), p.as(role), "Observation", "hidden")
		body, err := p.operateAs(role, Invocation{Code: "meta", Type: "Observation"})
		p.must(err)
		if shown := metaValues(t, body) != ""; shown != (readErr == nil) {
			t.Errorf("%s: %s, and a read gives %v", role, body, readErr)
		}
	}
}

// abuse 55.
func TestLabelDowngradeByMetaIsRefused(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	labelled := strings.Replace(patient, `"identifier"`, `"meta":`+restricted+`,"identifier"`, 1)
	p.put("Patient", "p1", labelled)
	in := Invocation{Code: "meta-delete", Type: "Patient", ID: "p1", Body: metaBody(restricted)}
	for _, role := range []string{"clinician", "clerk", "ward", "scribe", "nurse", "researcher", "patient"} {
		a, err := p.Operate(t.Context(), p.as(role), in)
		p.refused(a, err, Denied)
	}
	if p.version("Patient", "p1") != 1 {
		t.Error("the label was removed")
	}
	_, err := p.operateAs("integration", in)
	p.must(err)
}

func TestValidateOperation(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	params := []byte(`{"resourceType":"Parameters","parameter":[{"name":"resource","resource":` + patient + `},{"name":"mode","valueCode":"update"}]}`)
	for _, c := range []struct {
		name, role string
		in         Invocation
		want       string
	}{
		{"a valid resource", "clinician", Invocation{Type: "Patient", Body: []byte(patient)}, "all ok"},
		{"in Parameters", "clinician", Invocation{Type: "Patient", ID: "p1", Body: params}, "all ok"},
		{"an invalid one", "clinician", Invocation{Type: "Patient", Body: []byte(`{"resourceType":"Patient","colour":"red"}`)}, `"severity":"error"`},
		{"what is stored", "clinician", Invocation{Type: "Patient", ID: "p1"}, "all ok"},
		{"what is stored, redacted", "researcher", Invocation{Type: "Patient", ID: "p1"}, "all ok"},
		{"delete", "clinician", Invocation{Type: "Patient", ID: "p1", Query: "mode=delete"}, "all ok"},
		{"create of what is hidden", "clerk", Invocation{Type: "Patient", Query: "mode=create", Body: []byte(patient)}, `"code":"forbidden"`},
		{"another id", "clinician", Invocation{Type: "Patient", ID: "p2", Body: []byte(patient)}, `"severity":"error"`},
		{"the type's own profile", "clinician", Invocation{Type: "Patient", Query: "profile=http://hl7.org/fhir/StructureDefinition/Patient", Body: []byte(patient)}, "all ok"},
	} {
		c.in.Code = "validate"
		body, err := p.operateAs(c.role, c.in)
		if err != nil || !bytes.Contains(body, []byte(c.want)) || !bytes.Contains(body, []byte("OperationOutcome")) {
			t.Errorf("%s: %s %v", c.name, body, err)
		}
	}
	p.put("StructureDefinition", "named", `{"resourceType":"StructureDefinition","id":"named","url":"http://x/named","name":"Named","status":"active","kind":"resource","abstract":false,"type":"Patient","snapshot":{"element":[{"id":"Patient","path":"Patient"},{"id":"Patient.name","path":"Patient.name","min":1},{"id":"Patient.maritalStatus","path":"Patient.maritalStatus","binding":{"strength":"required","valueSet":"urn:nowhere"}}]}}`)
	for _, c := range []struct{ body, want string }{
		{patient, "all ok"},
		{`{"resourceType":"Patient","active":true}`, `"code":"required"`},
	} {
		body, err := p.operateAs("clinician", Invocation{Code: "validate", Type: "Patient", Query: "profile=http://x/named", Body: []byte(c.body)})
		if err != nil || !bytes.Contains(body, []byte(c.want)) {
			t.Errorf("%s: %s %v", c.body, body, err)
		}
	}
	for _, c := range []struct {
		role string
		in   Invocation
		want Kind
	}{
		{"clinician", Invocation{Type: "Patient", Query: "profile=http://x/named", Body: []byte(`{"resourceType":"Patient","name":[{"text":"a"}],"maritalStatus":{"coding":[{"system":"urn:s","code":"S"}]}}`)}, Unprocessable},
		{"clinician", Invocation{Type: "Patient", Query: "mode=profile", Body: []byte(patient)}, Malformed},
		{"clinician", Invocation{Type: "Patient", Query: "profile=http://x", Body: []byte(patient)}, Malformed},
		{"clinician", Invocation{Type: "Patient"}, Malformed},
		{"clinician", Invocation{Type: "Patient", Query: "mode=delete"}, Malformed},
		{"clinician", Invocation{Type: "Patient", ID: "p1", Query: "mode=create", Body: []byte(patient)}, Malformed},
		{"clinician", Invocation{Type: "Basic", Body: []byte(patient)}, Malformed},
		{"clinician", Invocation{Type: "Patient", ID: "none"}, NotFound},
		{"clinician", Invocation{Type: "AuditEvent", Body: []byte(patient)}, NotFound},
		{"nurse", Invocation{Type: "Patient", Query: "mode=create", Body: []byte(patient)}, Denied},
		{"nurse", Invocation{Type: "Patient", ID: "p1", Query: "mode=delete"}, Denied},
		{"admin", Invocation{Type: "Patient", Body: []byte(patient)}, Denied},
	} {
		c.in.Code = "validate"
		a, err := p.Operate(t.Context(), p.as(c.role), c.in)
		p.refused(a, err, c.want)
	}
	if p.stored() != 2 {
		t.Error("validation stored something")
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(1)
	p.put("Composition", "d", `{"resourceType":"Composition","id":"d","status":"final","type":{"text":"t"},"subject":{"reference":"Patient/p1"},"date":"2020","author":[{"reference":"Practitioner/dr"},{"reference":"Practitioner/gone"}],"title":"x","section":[{"entry":[{"reference":"Observation/o0"},{"reference":"Patient/p1"}]}]}`)
	in := Invocation{Code: "document", Type: "Composition", ID: "d"}
	body, err := p.operateAs("clinician", in)
	p.must(err)
	if got, _ := p.entries(body); !slices.Equal(got, []string{"Composition/d", "Patient/p1", "Practitioner/dr", "Observation/o0"}) {
		t.Errorf("%v", got)
	}
	for _, want := range []string{`"type":"document"`, `"identifier":{"system":"urn:ietf:rfc:3986","value":"urn:uuid:`, `"timestamp":"`} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("no %s", want)
		}
	}
	redacted, err := p.operateAs("researcher", in)
	p.must(err)
	if bytes.Contains(redacted, []byte("Muster")) {
		t.Errorf("%s", redacted)
	}
	before := p.stored()
	in.Query = "persist=true"
	for _, role := range []string{"researcher", "clerk", "nurse"} {
		a, err := p.Operate(t.Context(), p.as(role), in)
		p.refused(a, err, Denied)
	}
	if p.stored() != before {
		t.Error("something was stored")
	}
	a, err := p.Operate(t.Context(), p.as("clinician"), in)
	p.must(err)
	if p.stored() != before+1 || !strings.HasPrefix(a.Location(), "Bundle/") {
		t.Errorf("%d versions, location %s", p.stored()-before, a.Location())
	}
	for _, bad := range []string{"persist=x", "graph=http://x", "id=http://x"} {
		in.Query = bad
		a, err := p.Operate(t.Context(), p.as("clinician"), in)
		p.refused(a, err, Malformed)
	}
}

func TestServedOperationsAreDefined(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	served := 0
	for _, o := range Operations() {
		typ := "Patient"
		if o.Types != nil {
			typ = o.Types[0]
		}
		url := p.operationDefinition(o.Code, typ).URL
		id := url[strings.LastIndexByte(url, '/')+1:]
		a, err := p.Read(t.Context(), p.as("clinician"), "OperationDefinition", id)
		p.must(err)
		if !bytes.Contains(a.Body(), []byte(`"url":"`+url+`"`)) {
			t.Errorf("%s: %.200s", id, a.Body())
		}
		if strings.HasPrefix(url, "http://hl7.org/") { // others are this server's own
			served++
		}
	}
	if len(officialBodies()) != served {
		t.Errorf("%d definitions are embedded, %d operations served", len(officialBodies()), served)
	}
	a, err := p.Read(t.Context(), p.as("clinician"), "OperationDefinition", "Resource-graph")
	p.refused(a, err, NotFound)
	a, err = p.Read(t.Context(), p.as("admin"), "OperationDefinition", "Patient-everything")
	p.refused(a, err, Denied)
	for _, in := range []Invocation{{Code: "nonsense", Type: "Patient"}, {Code: "everything", Type: "Observation", ID: "x"}, {Code: "lastn", Type: "Observation", ID: "x"}, {Code: "meta", Type: "Nonsense", ID: "x"}} {
		a, err := p.Operate(t.Context(), p.as("clinician"), in)
		p.refused(a, err, NotFound)
	}
}
