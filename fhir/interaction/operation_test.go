package interaction

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
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
