package interaction

import (
	"bytes"
	"strings"
	"testing"
)

const known = `{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:mrn","value":"m4711"}],"active":true,"name":[{"family":"Muster"}],"telecom":[{"system":"phone","value":"1"}],"gender":"male","contact":[{"relationship":[{"text":"mother"}],"name":{"family":"Muster"}}],"communication":[{"language":{"text":"de"},"preferred":true}]}`

// reception reads everything and writes who a patient is.
func reception(t *testing.T) *shop {
	p := newShop(t)
	p.put("Patient", "p1", known)
	return p
}

// outside is what reception may not write: administrative.
func TestWriteOutsideTheOwnClassesIsRefusedWithItsPath(t *testing.T) {
	t.Parallel()
	p := reception(t)
	evil := strings.Replace(known, `"active":true`, `"active":false`, 1)
	patch := `[{"op":"replace","path":"/active","value":false}]`
	anew := strings.Replace(strings.Replace(evil, `"id":"p1",`, "", 1), "m4711", "m4712", 1)
	tx := func(method, url, body string) []byte {
		return []byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + body + `,"request":{"method":"` + method + `","url":"` + url + `"}}]}`)
	}
	c := p.as("reception")
	conditional := c
	conditional.IfNoneExist = "identifier=urn:mrn|m4712"
	for name, write := range map[string]func() (*Answer, error){
		"update": func() (*Answer, error) { return p.Update(t.Context(), c, "Patient", "p1", []byte(evil)) },
		"update as create": func() (*Answer, error) {
			return p.Update(t.Context(), c, "Patient", "p9", []byte(strings.Replace(evil, "p1", "p9", 1)))
		},
		"conditional update": func() (*Answer, error) {
			return p.UpdateWhere(t.Context(), c, "Patient", "identifier=urn:mrn|m4711", []byte(evil))
		},
		"conditional update that creates": func() (*Answer, error) {
			return p.UpdateWhere(t.Context(), c, "Patient", "identifier=urn:mrn|m4712", []byte(anew))
		},
		"create":             func() (*Answer, error) { return p.Create(t.Context(), c, "Patient", []byte(anew)) },
		"conditional create": func() (*Answer, error) { return p.Create(t.Context(), conditional, "Patient", []byte(anew)) },
		"patch": func() (*Answer, error) {
			return p.Patch(t.Context(), c, "Patient", "p1", JSONPatchMedia, []byte(patch))
		},
		"conditional patch": func() (*Answer, error) {
			return p.PatchWhere(t.Context(), c, "Patient", "identifier=urn:mrn|m4711", JSONPatchMedia, []byte(patch))
		},
		"$meta-add": func() (*Answer, error) {
			return p.Operate(t.Context(), c, Invocation{Code: "meta-add", Type: "Patient", ID: "p1", Body: []byte(`{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"x"}]}}]}`)})
		},
		"PUT in a transaction":  func() (*Answer, error) { return p.Bundle(t.Context(), c, tx("PUT", "Patient/p1", evil)) },
		"POST in a transaction": func() (*Answer, error) { return p.Bundle(t.Context(), c, tx("POST", "Patient", anew)) },
	} {
		before := p.stored()
		a, err := write()
		p.refused(a, err, Denied)
		if p.stored() != before {
			t.Errorf("%s was written", name)
		}
		if name != "$meta-add" && !strings.Contains(err.Error(), "Patient.active") {
			t.Errorf("%s: the refusal does not name the element: %v", name, err)
		}
	}
	batch := strings.Replace(string(tx("PUT", "Patient/p1", evil)), "transaction", "batch", 1)
	if a, err := p.Bundle(t.Context(), c, []byte(batch)); err != nil || !bytes.Contains(a.Body(), []byte(`"status":"403"`)) {
		t.Errorf("in a batch: %v", err)
	}
}

func TestWriteWithinTheOwnClassesLeavesTheRestAsItIs(t *testing.T) {
	t.Parallel()
	p := reception(t)
	c := p.as("reception")
	a, err := p.Update(t.Context(), c, "Patient", "p1", []byte(strings.Replace(known, "Muster", "Neu", 1)))
	p.must(err)
	if !bytes.Contains(a.Body(), []byte(`"Neu"`)) {
		t.Error("the answer lacks the change")
	}
	a, err = p.Patch(t.Context(), c, "Patient", "p1", JSONPatchMedia, []byte(`[{"op":"replace","path":"/telecom/0/value","value":"2"}]`))
	p.must(err)
	for _, want := range []string{`"Neu"`, `"value":"2"`, `"active":true`, `"preferred":true`, "m4711"} {
		if !bytes.Contains(a.Body(), []byte(want)) {
			t.Errorf("%s is gone", want)
		}
	}
}

// The built-in registrar neither sees nor loses what is not its own.
func TestRegistrarCarriesForwardWhatItDoesNotSee(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", strings.Replace(known, `"active"`, `"extension":[{"url":"urn:unknown","valueString":"kept"}],"active"`, 1))
	c := p.as("registrar")
	seen, err := p.Read(t.Context(), c, "Patient", "p1")
	p.must(err)
	if bytes.Contains(seen.Body(), []byte("kept")) {
		t.Fatal("the registrar sees restricted elements")
	}
	_, err = p.Update(t.Context(), c, "Patient", "p1", bytes.Replace(seen.Body(), []byte("Muster"), []byte("Neu"), 1))
	p.must(err)
	full, err := p.Read(t.Context(), p.as("clinician"), "Patient", "p1")
	if p.must(err); !bytes.Contains(full.Body(), []byte("kept")) || !bytes.Contains(full.Body(), []byte("Neu")) {
		t.Errorf("stored is %s", full.Body())
	}
	a, err := p.Update(t.Context(), c, "Patient", "p1", bytes.Replace(seen.Body(), []byte(`"active"`), []byte(`"extension":[{"url":"urn:unknown","valueString":"evil"}],"active"`), 1))
	p.refused(a, err, Denied)
	a, err = p.Create(t.Context(), c, "Observation", []byte(`{"resourceType":"Observation","status":"final","code":{"text":"c"}}`))
	p.refused(a, err, Denied)
	a, err = p.Delete(t.Context(), c, "Patient", "p1")
	p.refused(a, err, Denied)
}

func TestDeviceSendsObservationsAndNothingElse(t *testing.T) {
	t.Parallel()
	p := reception(t)
	c := p.as("device")
	body := []byte(`{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":1}}`)
	a, err := p.Create(t.Context(), c, "Observation", body)
	p.must(err)
	if a.Body() != nil {
		t.Error("who may not read gets a representation")
	}
	p.put("Observation", "o", string(body))
	a, err = p.Update(t.Context(), c, "Observation", "o", body)
	p.refused(a, err, Denied)
	a, err = p.Read(t.Context(), c, "Observation", "o")
	p.refused(a, err, Denied)
	a, err = p.Create(t.Context(), c, "Patient", []byte(known))
	p.refused(a, err, Denied)
	c.IfNoneExist = "code=x"
	a, err = p.Create(t.Context(), c, "Observation", body)
	p.refused(a, err, Denied)
}

// A deletion would take what the caller may not write, and does not even see.
func TestDeletionNeedsEveryClass(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", known)
	a, err := p.Delete(t.Context(), p.as("clerk"), "Patient", "p1")
	p.refused(a, err, Denied)
	a, err = p.DeleteWhere(t.Context(), p.as("clerk"), "Patient", "_id=p1")
	p.refused(a, err, Denied)
	a, err = p.Bundle(t.Context(), p.as("clerk"), []byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/p1"}}]}`))
	p.refused(a, err, Denied)
	if _, err = p.Delete(t.Context(), p.as("clerk"), "Patient", "unknown"); err != nil || p.version("Patient", "p1") != 1 {
		t.Errorf("version %d, %v", p.version("Patient", "p1"), err)
	}
}

// A label that narrows reading, not writing, still must not be removed by whom
// it keeps from reading.
func TestRemovedLabelDoesNotWidenReading(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	label := `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},`
	text := `{"resourceType":"Basic","id":"b1",` + label + `"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">secret</div>"},"code":{"coding":[{"code":"x"}]}}`
	p.put("Basic", "b1", text)
	a, err := p.Update(t.Context(), p.as("porter"), "Basic", "b1", []byte(`{"resourceType":"Basic","id":"b1","code":{"coding":[{"code":"x"}]}}`))
	p.refused(a, err, Denied)
	if p.version("Basic", "b1") != 1 {
		t.Error("the label was removed")
	}
}
