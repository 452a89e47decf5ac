package interaction

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

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
