package redact

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
)

const chart = `{"resourceType":"Patient","id":"p","meta":{"versionId":"3","lastUpdated":"2020-01-01T00:00:00Z","tag":[{"code":"t"}]},` +
	`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},` +
	`"extension":[{"url":"urn:unknown","valueString":"secret"}],` +
	`"identifier":[{"system":"urn:mrn","value":"1"}],"active":true,"name":[{"family":"Old"}],"telecom":[{"system":"phone","value":"1"}],` +
	`"gender":"male","birthDate":"1980-05-01","contact":[{"relationship":[{"text":"mother"}],"name":{"family":"M"},"telecom":[{"system":"phone","value":"2"}]}],` +
	`"generalPractitioner":[{"reference":"Practitioner/a","display":"Dr A"}]}`

// A role that reads everything and writes some classes: what it leaves alone
// may come back, what it changes must be among its classes. The error names the
// element, never a value.
func TestOnlyWritableElementsChange(t *testing.T) {
	t.Parallel()
	identity := field.Set(field.Identifier, field.Demographic, field.Limited, field.Contact)
	for _, tt := range []struct {
		name, old, new string // replaced in chart
		writable       field.ClassSet
		path           string // of the refused element; empty: allowed
	}{
		{"nothing", "", "", 0, ""},
		{"what the server sets", `"versionId":"3"`, `"versionId":"4"`, 0, ""},
		{"order of members", `"system":"urn:mrn","value":"1"`, `"value":"1","system":"urn:mrn"`, 0, ""},
		{"a name", `"Old"`, `"New"`, identity, ""},
		{"a name without its class", `"Old"`, `"New"`, field.Set(field.Contact), "Patient.name"},
		{"a removed identifier", `"identifier":[{"system":"urn:mrn","value":"1"}],`, ``, field.Set(field.Contact), "Patient.identifier"},
		{"a phone", `"value":"1"}],"gender"`, `"value":"9"}],"gender"`, field.Set(field.Contact), ""},
		{"the phone of a contact", `"value":"2"`, `"value":"9"`, field.Set(field.Contact), ""},
		{"the name of a contact", `"family":"M"`, `"family":"N"`, field.Set(field.Contact), "Patient.contact[0].name"},
		{"a second contact", `"value":"2"}]}]`, `"value":"2"}]},{"name":{"family":"Evil"}}]`, field.Set(field.Contact), "Patient.contact[1]"},
		{"a removed contact", `,"contact":[{"relationship":[{"text":"mother"}],"name":{"family":"M"},"telecom":[{"system":"phone","value":"2"}]}]`, ``, field.Set(field.Contact), "Patient.contact"},
		{"active", `"active":true`, `"active":false`, identity, "Patient.active"},
		{"a tag", `"code":"t"`, `"code":"u"`, identity, "Patient.meta"},
		{"the target of a reference", `Practitioner/a`, `Practitioner/b`, field.Set(field.Administrative), ""},
		{"the narrative", `>x<`, `>y<`, identity | field.Set(field.Narrative), "Patient.text"},
		{"a removed narrative", `"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"},`, ``, identity, "Patient.text"},
		{"an unknown extension", `"secret"`, `"evil"`, identity, "Patient.extension"},
		{"another form of a choice", `"gender"`, `"deceasedBoolean":true,"gender"`, field.Set(field.Contact), "Patient.deceasedBoolean"},
		{"a sibling", `"gender"`, `"_gender":{"id":"evil"},"gender"`, field.Set(field.Contact), "Patient._gender"},
	} {
		if !strings.Contains(chart, tt.old) {
			t.Fatalf("%s: the chart has no %s", tt.name, tt.old)
		}
		err := redactor().CheckChange(parse(t, chart), parse(t, strings.Replace(chart, tt.old, tt.new, 1)), tt.writable)
		var e *ElementError
		switch {
		case tt.path == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.path != "" && (!errors.As(err, &e) || !errors.Is(err, ErrUnwritable) || !strings.HasPrefix(e.Path, tt.path)):
			t.Errorf("%s: %v, want %s", tt.name, err, tt.path)
		case err != nil && (strings.Contains(err.Error(), "vil") || strings.Contains(err.Error(), "Dr ")):
			t.Errorf("%s: the error holds a value: %v", tt.name, err)
		}
	}
}
