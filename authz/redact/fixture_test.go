package redact

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
)

var table = sync.OnceValue(func() *field.Table {
	t, err := field.DefaultTable(definition.Default())
	if err != nil {
		panic(err)
	}
	return t
})

var redactor = sync.OnceValue(func() *Redactor { return New(definition.Default(), table()) })

// The researcher's mask, and one without the clinical class.
var (
	researcher = field.Set(field.Clinical, field.Limited, field.Administrative)
	clerk      = field.Set(field.Identifier, field.Contact, field.Demographic, field.Limited, field.Administrative)
)

func parse(t testing.TB, s string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(s), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// view is what a reader under the mask gets.
func view(res *fhir.Resource, visible field.ClassSet) *fhir.Resource {
	out := redactor().Filter(res, visible)
	redactor().Apply(out, visible)
	return out
}

func text(r *fhir.Resource) string { return string(r.AppendJSON(nil)) }

// corpus yields every official example and every Synthea resource.
func corpus(t testing.TB, use func(name string, r *fhir.Resource)) {
	t.Helper()
	for name, b := range fhirtest.Examples(t) {
		if r, err := fhir.Parse(b, fhir.DefaultLimits); err == nil && r.Type() != "Bundle" {
			use(name, r)
		}
	}
	for name, b := range fhirtest.Synthea(t) {
		var bundle struct {
			Entry []struct{ Resource json.RawMessage }
		}
		if err := json.Unmarshal(b, &bundle); err != nil {
			t.Fatal(err)
		}
		for _, e := range bundle.Entry {
			r, err := fhir.Parse(e.Resource, fhir.DefaultLimits)
			if err != nil {
				t.Fatal(name, err)
			}
			use(name+" "+r.Type(), r)
		}
	}
}

const patientJSON = `{"resourceType":"Patient","id":"p1","meta":{"versionId":"3","lastUpdated":"2020-01-01T00:00:00.000Z","profile":["urn:p"]},` +
	`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Ann Lee</div>"},` +
	`"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"text","valueString":"White"}]},{"url":"urn:unknown","valueString":"Secret1"}],` +
	`"identifier":[{"system":"urn:mrn","value":"MRN-1"}],"active":true,"name":[{"family":"Lee","given":["Ann",null],"_given":[null,{"extension":[{"url":"urn:u","valueString":"Secret2"}]}]}],` +
	`"telecom":[{"system":"phone","value":"555"}],"gender":"female","birthDate":"1980-05-01","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1980-05-01T10:00:00Z"}]},` +
	`"address":[{"line":["1 Road"],"city":"Bedford","state":"MA","country":"US"}],"contact":[{"name":{"family":"Kin"}}],` +
	`"generalPractitioner":[{"reference":"Practitioner/7"}],"link":[{"other":{"reference":"Patient/2","display":"Ann Old"},"type":"seealso"}]}`

const encounterJSON = `{"resourceType":"Encounter","id":"e1","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},` +
	`"subject":{"reference":"Patient/p1","display":"Ann Lee"},"participant":[{"individual":{"reference":"Practitioner/7"}}],"reasonCode":[{"text":"free words","coding":[{"code":"x"}]}]}`

var fhirTime = time.Date(2020, 1, 2, 3, 4, 5, 678000, time.UTC)
