package interaction

import (
	"bytes"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir/model"
)

const patient = `{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:mrn","value":"m4711"}],"name":[{"family":"Muster"}],"managingOrganization":{"reference":"Organization/o1"}}`

func TestAnswerNeedsGrantAndReceipt(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	g, err := p.Decider.Decide(t.Context(), p.as("clinician").Subject, authz.Request{Action: authz.Read, Type: "Patient"})
	p.must(err)
	receipt := audit.NewReceipt(7)
	for name, try := range map[string]func() (*Answer, error){
		"no grant":   func() (*Answer, error) { return p.release(p.as("clinician"), authz.Grant{}, receipt, Answer{}) },
		"no receipt": func() (*Answer, error) { return p.release(p.as("clinician"), g, audit.Receipt{}, Answer{}) },
		"no traits":  func() (*Answer, error) { return p.release(Call{}, g, receipt, Answer{}) },
		"no parts":   func() (*Answer, error) { return p.assemble(model.BatchResponse, audit.Receipt{}, nil) },
		"failures alone": func() (*Answer, error) {
			return p.assemble(model.BatchResponse, audit.Receipt{}, []entryResult{{err: authz.ErrDenied}})
		},
		"a part is absent": func() (*Answer, error) { return p.assemble(model.BatchResponse, receipt, []entryResult{{}}) },
		"unrecorded part": func() (*Answer, error) {
			return p.assemble(model.BatchResponse, receipt, []entryResult{{answer: &Answer{}}})
		},
		"unrecorded repeat": func() (*Answer, error) { return repeat(audit.Receipt{}, result{}) },
	} {
		if a, err := try(); a != nil || err == nil {
			t.Errorf("%s: released", name)
		}
	}
	if a, err := p.release(p.as("clinician"), g, receipt, Answer{status: 200}); err != nil || a.Receipt() != 7 {
		t.Errorf("with both: %v", err)
	}
}

func TestNoDisclosureWithoutReceipt(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	c := p.as("clinician")
	bundle := []byte(`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/p1"}}]}`)
	for name, ask := range map[string]func() (*Answer, error){
		"read":      func() (*Answer, error) { return p.Read(t.Context(), c, "Patient", "p1") },
		"vread":     func() (*Answer, error) { return p.VRead(t.Context(), c, "Patient", "p1", "1") },
		"history":   func() (*Answer, error) { return p.History(t.Context(), c, "Patient", "p1", "") },
		"search":    func() (*Answer, error) { return p.Search(t.Context(), c, "Patient", "identifier=m4711") },
		"batch":     func() (*Answer, error) { return p.Bundle(t.Context(), c, bundle) },
		"not found": func() (*Answer, error) { return p.Read(t.Context(), c, "Patient", "none") },
		"denied":    func() (*Answer, error) { return p.Read(t.Context(), p.as("admin"), "Patient", "p1") },
	} {
		t.Run(name, func(t *testing.T) {
			p.rec.fail(always)
			a, err := ask()
			p.refused(a, err, Unavailable)
			p.rec.fail(nil)
		})
	}
}

func TestNoCommitWithoutIntent(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	before, c := p.stored(), p.as("integration")
	for name, write := range map[string]func() (*Answer, error){
		"create": func() (*Answer, error) { return p.Create(t.Context(), c, "Patient", []byte(patient)) },
		"update": func() (*Answer, error) { return p.Update(t.Context(), c, "Patient", "p1", []byte(patient)) },
		"delete": func() (*Answer, error) { return p.Delete(t.Context(), c, "Patient", "p1") },
		"transaction": func() (*Answer, error) {
			return p.Bundle(t.Context(), c, []byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Basic","code":{"text":"x"}},"request":{"method":"POST","url":"Basic"}}]}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p.rec.fail(func(e audit.Event) bool { return e.Outcome == audit.Intent })
			a, err := write()
			p.refused(a, err, Unavailable)
			p.rec.fail(nil)
		})
	}
	if after := p.stored(); after != before {
		t.Errorf("%d versions were committed without an intent", after-before)
	}
}

func TestUnreachableKMSIsUnavailable(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	c := p.as("clinician")
	p.kms.SetDown(true)
	if _, err := p.Read(t.Context(), c, "Patient", "p1"); err != nil {
		t.Fatalf("keys are cached, yet: %v", err)
	}
	p.clock.Advance(24 * time.Hour)
	a, err := p.Read(t.Context(), c, "Patient", "p1")
	p.refused(a, err, Unavailable)
	a, err = p.Create(t.Context(), p.as("integration"), "Patient", []byte(patient))
	p.refused(a, err, Unavailable)
}

func TestDenialIsRecorded(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	a, err := p.Read(t.Context(), p.as("admin"), "Patient", "p1")
	p.refused(a, err, Denied)
	e := p.rec.last()
	if e.Outcome != audit.MinorFailure || e.Reason != "denied" || e.Agent.Subject != "user:demo-admin" || len(e.Entities) != 1 ||
		e.Entities[0].ID != "p1" || e.Entities[0].Classes != 0 {
		t.Errorf("the denial was recorded as %+v", e)
	}
}

func TestReadNamesVersionPatientAndClasses(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	a, err := p.Read(t.Context(), p.as("researcher"), "Patient", "p1")
	p.must(err)
	if bytes.Contains(a.Body(), []byte("m4711")) || bytes.Contains(a.Body(), []byte("Muster")) {
		t.Error("a researcher sees identifiers or names")
	}
	en := p.rec.last().Entities[0]
	if en.Version != 1 || len(en.Patients) != 1 || en.Patients[0] != audit.Owner(p.Vault.PatientOwner("p1")) || en.Classes == 0 || en.Classes&2 != 0 {
		t.Errorf("recorded %+v", en)
	}
}

func TestNotModifiedDisclosesNoClasses(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	c := p.as("clinician")
	c.IfNoneMatch = `W/"1"`
	a, err := p.Read(t.Context(), c, "Patient", "p1")
	p.must(err)
	if a.Status() != 304 || a.Body() != nil || p.rec.last().Entities[0].Classes != 0 {
		t.Errorf("status %d, recorded %+v", a.Status(), p.rec.last().Entities[0])
	}
}
