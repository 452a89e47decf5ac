package field

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
)

const patientJSON = `{"resourceType":"Patient","id":"p1","meta":{"versionId":"3","lastUpdated":"1970-01-01T00:00:01.000000Z"},` +
	`"text":{"status":"generated","div":"<div>Ann Lee</div>"},` +
	`"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"text","valueString":"White"}]},` +
	`{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"Maiden1"},{"url":"urn:unknown","valueString":"Secret1"}],` +
	`"identifier":[{"system":"urn:mrn","value":"MRN-1"}],"active":true,"name":[{"family":"Lee","given":["Ann",null],"_given":[null,{"extension":[{"url":"urn:u","valueString":"Secret2"}]}]}],` +
	`"telecom":[{"system":"phone","value":"555"}],"gender":"female","birthDate":"1980-05-01","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1980-05-01T10:00:00Z"}]},` +
	`"deceasedDateTime":"2020-03-04T05:06:07Z","address":[{"line":["1 Road"],"city":"Bedford","state":"MA","postalCode":"01730","country":"US"}],` +
	`"maritalStatus":{"text":"M"},"contact":[{"name":{"family":"Kin"},"telecom":[{"value":"556"}]}],"generalPractitioner":[{"reference":"Practitioner/7","display":"Dr. Who"}],` +
	`"link":[{"other":{"reference":"Patient/2","display":"Ann Old"},"type":"seealso"}]}`

func parse(t testing.TB, s string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(s), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAllClassesRoundTripByteExact(t *testing.T) {
	t.Parallel()
	keys := ownerKeys(t, newRing(t), [16]byte{1})
	for _, suite := range []Suite{SuiteDerived, SuiteDrawn} {
		t.Run(strconv.Itoa(int(suite)), func(t *testing.T) {
			c := newCipher(t, suite)
			h := Head{ID: "p1", Updated: 1_000_000}
			body, err := c.Seal(nil, binding("Patient"), keys, &h, parse(t, patientJSON))
			if err != nil {
				t.Fatal(err)
			}
			got, err := openAs(c, keys, binding("Patient"), body, AllClasses)
			if err != nil || string(got) != patientJSON {
				t.Fatalf("%v\n%s", err, got)
			}
			for _, word := range []string{"Ann Lee", "Secret1", "Secret2", "Maiden1", "Bedford"} { // too long to occur by chance
				if bytes.Contains(body, []byte(word)) {
					t.Errorf("%s is in the record", word)
				}
			}
			t.Logf("%d → %d, present %s, modifiers %s", len(patientJSON), len(body), h.Present, h.Modifiers)
		})
	}
}

func TestMaskedViews(t *testing.T) {
	t.Parallel()
	keys := ownerKeys(t, newRing(t), [16]byte{1})
	c := newCipher(t, SuiteDerived)
	h := Head{ID: "p1", Updated: 1_000_000}
	body, err := c.Seal(nil, binding("Patient"), keys, &h, parse(t, patientJSON))
	if err != nil {
		t.Fatal(err)
	}
	const head = `{"resourceType":"Patient","id":"p1","meta":{"versionId":"3","lastUpdated":"1970-01-01T00:00:01.000000Z"}`
	for _, row := range []struct {
		name    string
		visible ClassSet
		want    string
	}{
		{"none", 0, head + `}`},
		{"clinical", Set(Clinical), head + `}`},
		{"researcher", Set(Clinical, Limited, Administrative), head + `,"active":true,"gender":"female","birthDate":"1980","deceasedDateTime":"2020","address":[{"state":"MA","country":"US"}],` +
			`"generalPractitioner":[{"reference":"Practitioner/7","display":"Dr. Who"}],"link":[{"other":{"reference":"Patient/2"},"type":"seealso"}]}`},
		{"identifier", Set(Identifier), head + `,"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"Maiden1"}],"identifier":[{"system":"urn:mrn","value":"MRN-1"}],` +
			`"name":[{"family":"Lee","given":["Ann",null]}],"contact":[{"name":{"family":"Kin"}}],"link":[{"other":{"display":"Ann Old"}}]}`},
		{"limited and demographic", Set(Limited, Demographic), head + `,"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"text","valueString":"White"}]}],` +
			`"gender":"female","birthDate":"1980-05-01","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1980-05-01T10:00:00Z"}]},` +
			`"deceasedDateTime":"2020-03-04T05:06:07Z","address":[{"state":"MA","country":"US"}],"maritalStatus":{"text":"M"}}`},
		{"restricted without its element", Set(Restricted), head + `,"extension":[{"url":"urn:unknown","valueString":"Secret1"}]}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := openAs(c, keys, binding("Patient"), body, row.visible)
			if err != nil || string(got) != row.want {
				t.Errorf("%v\n got %s\nwant %s", err, got, row.want)
			}
			h, err := c.OpenHead(binding("Patient"), keys, body)
			if err != nil {
				t.Fatal(err)
			}
			if r, err := c.Open(binding("Patient"), keys, &h, body, row.visible); err != nil || string(r.AppendJSON(nil)) != string(got) {
				t.Errorf("tree differs: %v", err)
			}
		})
	}
}
