package validation

import (
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// refusal is one resource that breaks one rule.
type refusal struct{ rule, body, code, expression string }

// patient, observation and ext wrap members into an otherwise valid resource.
func patient(members string) string { return `{"resourceType":"Patient",` + members + `}` }
func observation(members string) string {
	return `{"resourceType":"Observation","status":"final","code":{"text":"x"},` + members + `}`
}
func ext(members string) string {
	return patient(`"extension":[{"url":"http://e.org/x"` + members + `}]`)
}
func div(inner string) string {
	inner = strings.ReplaceAll(inner, `"`, `\"`)
	return patient(`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">` + inner + `</div>"}`)
}

var refusals = []refusal{
	{"abuse 11: __proto__", patient(`"__proto__":{"bad":true}`), codeStructure, "Patient"},
	{"unknown element", patient(`"nickname":"bad"`), codeStructure, "Patient.nickname"},
	{"names are case sensitive", patient(`"BirthDate":"1980"`), codeStructure, "Patient.BirthDate"},
	{"unknown resource type", `{"resourceType":"Person2"}`, codeStructure, "Person2.resourceType"},
	{"abstract resource type", `{"resourceType":"DomainResource"}`, codeStructure, "DomainResource.resourceType"},
	{"a datatype is no resource", `{"resourceType":"HumanName"}`, codeStructure, "HumanName.resourceType"},
	{"resourceType inside a datatype", patient(`"name":[{"resourceType":"HumanName","text":"x"}]`), codeStructure, "Patient.name[0].resourceType"},
	{"required element missing", `{"resourceType":"Observation","status":"final"}`, codeRequired, "Observation.code"},
	{"required choice missing", `{"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"reference":"Patient/1"}}`, codeRequired, "MedicationRequest.medication"},
	{"required in a backbone element", patient(`"link":[{"type":"refer"}]`), codeRequired, "Patient.link[0].other"},
	{"scalar for a repeating element", patient(`"name":{"text":"bad"}`), codeStructure, "Patient.name"},
	{"array for a single element", patient(`"birthDate":["1980"]`), codeStructure, "Patient.birthDate"},
	{"empty array", patient(`"name":[]`), codeStructure, "Patient.name"},
	{"empty object", patient(`"name":[{}]`), codeStructure, "Patient.name[0]"},
	{"empty string", patient(`"language":""`), codeValue, "Patient.language"},
	{"null", patient(`"active":null`), codeStructure, "Patient.active"},
	{"null for an object", patient(`"name":[null]`), codeStructure, "Patient.name[0]"},
	{"string for a boolean", patient(`"active":"true"`), codeStructure, "Patient.active"},
	{"string for a number", patient(`"multipleBirthInteger":"2"`), codeStructure, "Patient.multipleBirth"},
	{"number for a string", patient(`"birthDate":1980`), codeStructure, "Patient.birthDate"},
	{"string for an object", patient(`"maritalStatus":"bad"`), codeStructure, "Patient.maritalStatus"},
	{"two types of a choice", patient(`"deceasedBoolean":true,"deceasedDateTime":"2020"`), codeStructure, "Patient.deceased"},
	{"two types of a choice by sibling", patient(`"deceasedBoolean":true,"_deceasedDateTime":{"extension":[{"url":"http://e.org","valueCode":"x"}]}`), codeStructure, "Patient.deceased"},
	{"bare choice name", patient(`"deceased":true`), codeStructure, "Patient.deceased"},
	{"type that the choice does not allow", patient(`"deceasedString":"bad"`), codeStructure, "Patient.deceasedString"},

	{"date: day not in the calendar", patient(`"birthDate":"1999-02-29"`), codeValue, "Patient.birthDate"},
	{"date with a time", patient(`"birthDate":"1999-02-28T10:00:00Z"`), codeValue, "Patient.birthDate"},
	{"dateTime without zone", patient(`"deceasedDateTime":"1999-02-28T10:00:00"`), codeValue, "Patient.deceased"},
	{"instant without seconds", patient(`"meta":{"lastUpdated":"2020-01-01T10:00Z"}`), codeValue, "Patient.meta.lastUpdated"},
	{"integer with a fraction", patient(`"multipleBirthInteger":1.0`), codeValue, "Patient.multipleBirth"},
	{"integer over 32 bits", patient(`"multipleBirthInteger":2147483648`), codeValue, "Patient.multipleBirth"},
	{"positiveInt zero", patient(`"telecom":[{"rank":0}]`), codeValue, "Patient.telecom[0].rank"},
	{"id over 64 characters", patient(`"id":"` + strings.Repeat("a", 65) + `"`), codeValue, "Patient.id"},
	{"id with an underscore", patient(`"id":"a_bad"`), codeValue, "Patient.id"},
	{"code with outer space", patient(`"language":" en"`), codeValue, "Patient.language"},
	{"uri with a space", patient(`"implicitRules":"http://e.org/a bad"`), codeValue, "Patient.implicitRules"},
	{"control character in a string", patient(`"name":[{"text":"a\u0001bad"}]`), codeValue, "Patient.name[0].text"},
	{"string over 1 MiB", patient(`"name":[{"text":"` + strings.Repeat("a", maxStringBytes+1) + `"}]`), codeTooLong, "Patient.name[0].text"},
	{"base64 with broken padding", `{"resourceType":"Binary","contentType":"text/plain","data":"YQ=bad=="}`, codeValue, "Binary.data"},

	{"sibling of an object", patient(`"_maritalStatus":{"id":"x"}`), codeStructure, "Patient.maritalStatus"},
	{"sibling must be an object", patient(`"birthDate":"1980","_birthDate":"bad"`), codeStructure, "Patient.birthDate"},
	{"sibling of a repeating element must be an array", patient(`"name":[{"given":["A"],"_given":{"id":"x"}}]`), codeStructure, "Patient.name[0].given"},
	{"sibling array of another length", patient(`"name":[{"given":["A"],"_given":[null,{"id":"x"}]}]`), codeStructure, "Patient.name[0].given"},
	{"null without sibling", patient(`"name":[{"given":["A",null]}]`), codeStructure, "Patient.name[0].given[1]"},
	{"null and null", patient(`"name":[{"given":["A",null],"_given":[{"id":"x"},null]}]`), codeStructure, "Patient.name[0].given[1]"},
	{"sibling with unknown member", patient(`"_birthDate":{"value":"bad"}`), codeStructure, "Patient.birthDate.value"},
	{"ele-1: sibling with an id only", patient(`"_birthDate":{"id":"x"}`), codeInvariant, "Patient.birthDate"},
	{"ele-1: id only", patient(`"maritalStatus":{"id":"x"}`), codeInvariant, "Patient.maritalStatus"},

	{"required code", patient(`"gender":"bad"`), codeCodeInvalid, "Patient.gender"},
	{"required code in another case", patient(`"gender":"Male"`), codeCodeInvalid, "Patient.gender"},
	{"required CodeableConcept", `{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"system":"http://e.org","code":"active"}]}}`, codeCodeInvalid, "AllergyIntolerance.clinicalStatus"},
	{"required CodeableConcept with text only", `{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/1"},"clinicalStatus":{"text":"bad"}}`, codeCodeInvalid, "AllergyIntolerance.clinicalStatus"},

	{"reference to a wrong type", observation(`"subject":{"reference":"Practitioner/1"}`), codeValue, "Observation.subject.reference"},
	{"declared type wrong", observation(`"subject":{"type":"Practitioner","display":"x"}`), codeValue, "Observation.subject.type"},
	{"declared and actual type differ", observation(`"subject":{"reference":"Patient/1","type":"Group"}`), codeValue, "Observation.subject.type"},
	{"reference to an unknown type", observation(`"subject":{"reference":"Bad/1"}`), codeValue, "Observation.subject.reference"},
	{"relative reference of another shape", observation(`"subject":{"reference":"bad"}`), codeValue, "Observation.subject.reference"},
	{"relative reference that climbs", observation(`"subject":{"reference":"../Patient/1"}`), codeValue, "Observation.subject.reference"},
	{"ref-1: no such contained resource", observation(`"subject":{"reference":"#bad"}`), codeNotFound, "Observation.subject.reference"},
	{"contained of a wrong type", observation(`"contained":[{"resourceType":"Practitioner","id":"p"}],"subject":{"reference":"#p"}`), codeValue, "Observation.subject.reference"},
	{"dom-2", observation(`"contained":[{"resourceType":"Patient","id":"p","contained":[{"resourceType":"Patient","id":"q","link":[{"type":"refer","other":{"reference":"#q"}}]}]}],"subject":{"reference":"#p"}`), codeInvariant, "Observation.contained[0].contained"},
	{"dom-3", observation(`"contained":[{"resourceType":"Patient","id":"p"}]`), codeInvariant, "Observation.contained[0]"},
	{"dom-4", observation(`"contained":[{"resourceType":"Patient","id":"p","meta":{"versionId":"1"}}],"subject":{"reference":"#p"}`), codeInvariant, "Observation.contained[0].meta"},
	{"dom-5", observation(`"contained":[{"resourceType":"Patient","id":"p","meta":{"security":[{"code":"R"}]}}],"subject":{"reference":"#p"}`), codeInvariant, "Observation.contained[0].meta"},
	{"same contained id twice", observation(`"contained":[{"resourceType":"Patient","id":"p"},{"resourceType":"Patient","id":"p"}],"subject":{"reference":"#p"}`), codeDuplicate, "Observation.contained[1].id"},
	{"contained without type", observation(`"contained":[{"id":"p"}],"subject":{"reference":"#p"}`), codeStructure, "Observation.contained[0].resourceType"},
	{"unknown element in contained", observation(`"contained":[{"resourceType":"Patient","id":"p","bad":1}],"subject":{"reference":"#p"}`), codeStructure, "Observation.contained[0].bad"},

	{"extension without url", patient(`"extension":[{"valueString":"bad"}]`), codeRequired, "Patient.extension[0].url"},
	{"ext-1: neither", ext(``), codeInvariant, "Patient.extension[0]"},
	{"ext-1: both", ext(`,"valueCode":"x","extension":[{"url":"a","valueCode":"x"}]`), codeInvariant, "Patient.extension[0]"},
	{"extension with two values", ext(`,"valueCode":"x","valueString":"bad"`), codeStructure, "Patient.extension[0].value"},
	{"extension value checked", ext(`,"valueDate":"bad"`), codeValue, "Patient.extension[0].value"},
	{"per-1 with dates", patient(`"name":[{"text":"x","period":{"start":"2020-05","end":"2020-04-30"}}]`), codeInvariant, "Patient.name[0].period"},
	{"per-1 with zones", patient(`"name":[{"text":"x","period":{"start":"2020-05-01T00:00:00+01:00","end":"2020-04-30T22:59:59Z"}}]`), codeInvariant, "Patient.name[0].period"},
	{"entry of a Bundle", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","gender":"bad"}}]}`, codeCodeInvalid, "Bundle.entry[0].resource.gender"},
	{"entry without type", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"id":"x"}}]}`, codeStructure, "Bundle.entry[0].resource.resourceType"},
	{"local reference out of its entry", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"#p"},"contained":[]}}]}`, codeNotFound, "Bundle.entry[0].resource.subject.reference"},
	{"content reference", `{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"group","item":[{"linkId":"2","type":"bad"}]}]}`, codeCodeInvalid, "Questionnaire.item[0].item[0].type"},
}

// acceptances are resources that a stricter reading might refuse wrongly.
var acceptances = []struct{ rule, body string }{
	{"resource with nothing but its type", `{"resourceType":"Parameters"}`},
	{"partial date", patient(`"birthDate":"1980-05"`)},
	{"leap second and 24 digits", observation(`"effectiveInstant":"2016-12-31T23:59:60.123456789Z","valueQuantity":{"value":123456789012345678.123456}`)},
	{"leap day", patient(`"birthDate":"2000-02-29"`)},
	{"sibling instead of a required value", `{"resourceType":"Observation","_status":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]},"code":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}}`},
	{"null with a sibling", patient(`"name":[{"given":["A",null],"_given":[null,{"extension":[{"url":"http://e.org/x","valueCode":"x"}]}]}]`)},
	{"sibling id beside a value", patient(`"gender":"male","_gender":{"id":"g"}`)},
	{"choice value with its own sibling", patient(`"deceasedBoolean":true,"_deceasedBoolean":{"id":"g"}`)},
	{"masked required concept", `{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/1"},"clinicalStatus":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}}`},
	{"translation beside a required code", `{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/1"},"clinicalStatus":{"coding":[{"system":"http://e.org","code":"a"},{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]}}`},
	{"unknown system in an extensible binding", patient(`"maritalStatus":{"coding":[{"system":"http://e.org","code":"x"}]}`)},
	{"MIME type of one's own", patient(`"photo":[{"contentType":"application/x-own","title":"x"}]`)},
	{"reference by identifier", observation(`"subject":{"identifier":{"system":"http://e.org","value":"1"}}`)},
	{"absolute, versioned, urn and conditional references", observation(`"performer":[{"reference":"http://e.org/fhir/Patient/1"},{"reference":"Patient/1/_history/2"},{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"},{"reference":"Practitioner?identifier=http://e.org|1"}]`)},
	{"contained resource that refers to its container", observation(`"contained":[{"resourceType":"Provenance","id":"p","target":[{"reference":"#"}],"recorded":"2020-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]}]`)},
	{"contained value set used by a canonical", `{"resourceType":"Questionnaire","status":"draft","contained":[{"resourceType":"ValueSet","id":"v","status":"draft"}],"item":[{"linkId":"1","type":"choice","answerValueSet":"#v"}]}`},
	{"unknown extension with nested ones", ext(`,"extension":[{"url":"a","valueReference":{"reference":"Patient/1"}}]`)},
	{"period in another zone", patient(`"name":[{"text":"x","period":{"start":"2020-05-01T00:30:00+02:00","end":"2020-04-30T23:00:00Z"}}]`)},
	{"period of mixed precision", patient(`"name":[{"text":"x","period":{"start":"2020-05-01T10:00:00Z","end":"2020-05-01"}}]`)},
	{"lines of base64", `{"resourceType":"Binary","contentType":"text/plain","data":"YWJj\r\nYQ=="}`},
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	v := New(definition.Default())
	for _, c := range refusals {
		r, err := fhir.Parse([]byte(c.body), fhir.Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.rule, err)
			continue
		}
		found := false
		issues := v.Validate(r)
		for _, is := range issues {
			found = found || is.Code == c.code && is.Expression[0] == c.expression
		}
		if !found {
			t.Errorf("%s: no %s at %s: %+v", c.rule, c.code, c.expression, issues)
		}
	}
}

func TestAcceptances(t *testing.T) {
	t.Parallel()
	v := New(definition.Default())
	for _, c := range acceptances {
		r, err := fhir.Parse([]byte(c.body), fhir.Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.rule, err)
			continue
		}
		if issues := v.Validate(r); issues != nil {
			t.Errorf("%s: %v", c.rule, issues)
		}
	}
}
