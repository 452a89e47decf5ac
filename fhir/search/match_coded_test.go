package search_test

import "testing"

var conditions = []string{
	`"id":"poodle","code":{"coding":[{"system":"urn:animals","code":"poodle","display":"A toy poodle"}],"text":"Müller's dog"}`,
	`"id":"dog","code":{"coding":[{"system":"urn:other","code":"dog"},{"system":"urn:animals","code":"Dog"}]}`,
	`"id":"animal","code":{"coding":[{"system":"urn:animals","code":"animal"}]}`,
	`"id":"nosys","code":{"coding":[{"code":"poodle"}]}`,
	`"id":"text","code":{"text":"poodle"}`,
	`"id":"none"`,
}

// R4 search.html#token and #modifiers on a CodeableConcept.
func TestMatchToken(t *testing.T) {
	t.Parallel()
	runRows(t, "Condition", conditions, []row{
		{"code", "code=poodle", "poodle nosys"},
		{"system and code", "code=urn:animals|poodle", "poodle"},
		{"no system", "code=|poodle", "nosys"},
		{"system", "code=urn:animals|", "poodle dog animal"},
		{"case makes no difference when in doubt", "code=DOG", "dog"},
		{"case makes no difference when in doubt", "code=urn:animals|dog", "dog"},
		{"system is exact", "code=URN:animals|poodle", ""},
		{"alternatives", "code=animal,dog", "dog animal"},
		{"not: no value among it", "code:not=poodle", "dog animal text none"},
		{"not: none of the alternatives", "code:not=poodle,animal", "dog text none"},
		{"not with system", "code:not=urn:animals|poodle", "dog animal nosys text none"},
		{"missing", "code:missing=true", "none"},
		{"present", "code:missing=false", "poodle dog animal nosys text"},
		{"text of the coding", "code:text=a toy", "poodle"},
		{"text of the concept, folded", "code:text=MULLER", "poodle"},
		{"text alone", "code:text=poo", "text"},
		{"in", "code:in=urn:vs:dogs", "poodle"},
		{"not-in", "code:not-in=urn:vs:dogs", "dog animal nosys text none"},
		{"below", "code:below=urn:animals|dog", "poodle dog"},
		{"below of a code alone", "code:below=animal", "poodle animal"},
		{"above", "code:above=urn:animals|dog", "dog animal"},
		{"above", "code:above=urn:animals|poodle", "poodle animal"},
		{"of no system nothing is derived", "code:below=|poodle", "nosys"},
	})
}

// Elements of type code have an implied system; booleans are tokens.
func TestMatchCodeElement(t *testing.T) {
	t.Parallel()
	runRows(t, "Patient", []string{
		`"id":"m","gender":"male","active":true`,
		`"id":"f","gender":"female","active":false,"deceasedBoolean":true`,
		`"id":"d","deceasedDateTime":"2020"`,
	}, []row{
		{"code", "gender=male", "m"},
		{"implied system", "gender=http://hl7.org/fhir/administrative-gender|male", "m"},
		{"other system", "gender=urn:x|male", ""},
		{"no system of its own", "gender=|male", "m"},
		{"defined codes are case sensitive", "gender=Male", ""},
		{"any code of the system", "gender=http://hl7.org/fhir/administrative-gender|", "m f"},
		{"not", "gender:not=male", "f d"},
		{"not with both", "gender:not=male,female", "d"},
		{"boolean", "active=true", "m"},
		{"boolean false", "active=false", "f"},
		{"boolean not", "active:not=true", "f d"},
		{"boolean expression", "deceased=true", "f d"},
		{"id", "_id=m,d", "m d"},
		{"id is case sensitive", "_id=M", ""},
	})
}

// Identifiers are case sensitive (R4 datatypes.html#Identifier); :of-type needs
// all three parts.
func TestMatchIdentifier(t *testing.T) {
	t.Parallel()
	runRows(t, "Patient", []string{
		`"id":"mr","identifier":[{"system":"urn:h","value":"A1","type":{"coding":[{"system":"urn:v2","code":"MR"}],"text":"Record"}}]`,
		`"id":"ss","identifier":[{"system":"urn:s","value":"A1","type":{"coding":[{"system":"urn:v2","code":"SS"}]}}]`,
		`"id":"lower","identifier":[{"system":"urn:h","value":"a1"}]`,
		`"id":"plain","identifier":[{"value":"A1"}]`,
		`"id":"odd","identifier":[{"system":"urn:h","value":"x,y|z$\\"}]`,
	}, []row{
		{"value", "identifier=A1", "mr ss plain"},
		{"system and value", "identifier=urn:h|A1", "mr"},
		{"no system", "identifier=|A1", "plain"},
		{"system", "identifier=urn:h|", "mr lower odd"},
		{"of-type", "identifier:of-type=urn:v2|MR|A1", "mr"},
		{"of-type with another type", "identifier:of-type=urn:v2|XX|A1", ""},
		{"text of the type", "identifier:text=rec", "mr"},
		{"escaped", `identifier=urn:h|x%5C,y%5C|z%5C$%5C%5C`, "odd"},
	})
}

// R4 search.html#string.
func TestMatchString(t *testing.T) {
	t.Parallel()
	runRows(t, "Patient", []string{
		`"id":"eve","name":[{"family":"Chalmers","given":["Eve"]}]`,
		`"id":"evelyn","name":[{"given":["Evelyn"]}]`,
		`"id":"severine","name":[{"given":["Severine"]}]`,
		`"id":"accent","name":[{"family":"Élan","text":"Dr. Élan"}]`,
		`"id":"van","name":[{"family":"van den Berg"}],"address":[{"line":["1 High St"],"city":"Ulm"}]`,
		`"id":"obrien","name":[{"family":"O'Brien-Smith"}]`,
		`"id":"none"`,
	}, []row{
		{"starts with or equals", "name=eve", "eve evelyn"},
		{"contains", "name:contains=eve", "eve evelyn severine"},
		{"exact", "name:exact=Eve", "eve"},
		{"exact has case", "name:exact=eve", ""},
		{"exact is the whole string", "name:exact=Ev", ""},
		{"accents", "family=elan", "accent"},
		{"accents in the query", "name=%C3%89V", "eve evelyn"},
		{"exact has accents", "family:exact=Elan", ""},
		{"exact has accents", "family:exact=%C3%89lan", "accent"},
		{"each part from its beginning", "name=berg", ""},
		{"each part from its beginning", "name=Van  Den", "van"},
		{"contains crosses words", "name:contains=den b", "van"},
		{"punctuation", "family=obrien smith", "obrien"},
		{"parts of an address", "address=ulm", "van"},
		{"parts of an address", "address=1 high", "van"},
		{"one part only", "address-city=1 high", ""},
		{"alternatives", "given=Eve,Sev", "eve evelyn severine"},
		{"missing", "name:missing=true", "none"},
		{"missing part", "family:missing=true", "evelyn severine none"},
	})
}

// R4 search.html#reference.
func TestMatchReference(t *testing.T) {
	t.Parallel()
	runRows(t, "Observation", []string{
		`"id":"p","subject":{"reference":"Patient/23","display":"Eve"}`,
		`"id":"g","subject":{"reference":"Group/23"}`,
		`"id":"own","subject":{"reference":"` + ownBase + `/Patient/23"}`,
		`"id":"version","subject":{"reference":"Patient/23/_history/2"}`,
		`"id":"far","subject":{"reference":"https://far.example/Patient/23"}`,
		`"id":"urn","subject":{"reference":"urn:uuid:0a1b2c3d-0000-4000-8000-000000000001"}`,
		`"id":"logical","subject":{"type":"Patient","identifier":{"system":"urn:h","value":"A1"}}`,
		`"id":"none"`,
	}, []row{
		{"type and id", "subject=Patient/23", "p own version"},
		{"id alone", "subject=23", "p g own version"},
		{"type as modifier", "subject:Patient=23", "p own version"},
		{"type as modifier and in the value", "subject:Group=Group/23", "g"},
		{"own base", "subject=" + ownBase + "/Patient/23", "p own version"},
		{"other server", "subject=https://far.example/Patient/23", "far"},
		{"urn", "subject=urn:uuid:0a1b2c3d-0000-4000-8000-000000000001", "urn"},
		{"no such target", "subject=Practitioner/23", ""},
		{"one target only", "patient=23", "p own version"},
		{"identifier", "subject:identifier=urn:h|A1", "logical"},
		{"identifier is case sensitive", "subject:identifier=a1", ""},
		{"id is case sensitive", "encounter=X", ""},
		{"alternatives", "subject=Group/23,https://far.example/Patient/23", "g far"},
		{"missing", "subject:missing=true", "none"},
	})
}

// R4 search.html#uri: whole, case sensitive; hierarchies by path segment.
func TestMatchURI(t *testing.T) {
	t.Parallel()
	runRows(t, "ValueSet", []string{
		`"id":"root","url":"http://acme.org/fhir"`,
		`"id":"vs","url":"http://acme.org/fhir/ValueSet/123"`,
		`"id":"history","url":"http://acme.org/fhir/ValueSet/123/_history/5"`,
		`"id":"neighbour","url":"http://acme.org/fhirx"`,
		`"id":"urn","url":"urn:oid:1.2.3"`,
		`"id":"none","meta":{"profile":["http://acme.org/p|1.0"]}`,
	}, []row{
		{"whole", "url=http://acme.org/fhir", "root"},
		{"case", "url=http://acme.org/FHIR", ""},
		{"urn", "url=urn:oid:1.2.3", "urn"},
		{"below", "url:below=http://acme.org/fhir", "root vs history"},
		{"below with a slash", "url:below=http://acme.org/fhir/", "root vs history"},
		{"above", "url:above=http://acme.org/fhir/ValueSet/123/_history/5", "root vs history"},
		{"above", "url:above=http://acme.org/fhir/ValueSet", "root"},
		{"profile of any version", "_profile=http://acme.org/p", "none"},
		{"profile of one version", "_profile=http://acme.org/p|1.0", "none"},
		{"profile of another version", "_profile=http://acme.org/p|2.0", ""},
		{"missing", "url:missing=true", "none"},
	})
}

// A canonical is a reference with a version (R4 references.html#canonical).
func TestMatchCanonicalReference(t *testing.T) {
	t.Parallel()
	runRows(t, "QuestionnaireResponse", []string{
		`"id":"v1","questionnaire":"http://acme.org/q|1"`,
		`"id":"v2","questionnaire":"http://acme.org/q|2"`,
		`"id":"plain","questionnaire":"http://acme.org/q"`,
		`"id":"own","questionnaire":"` + ownBase + `/Questionnaire/1"`,
	}, []row{
		{"any version", "questionnaire=http://acme.org/q", "v1 v2 plain"},
		{"one version", "questionnaire=http://acme.org/q|1", "v1"},
		{"below the own base", "questionnaire=" + ownBase + "/Questionnaire/1", "own"},
		{"escaped bar", `questionnaire=http://acme.org/q%5C|2`, "v2"},
	})
}

// R4 search.html#composite: both parts on one element.
func TestMatchComposite(t *testing.T) {
	t.Parallel()
	const ucum = `"system":"http://unitsofmeasure.org","code":"mm[Hg]"`
	code := func(c string) string { return `"code":{"coding":[{"system":"http://loinc.org","code":"` + c + `"}]}` }
	bp := func(sys, dia string) string {
		return `"component":[{` + code("8480-6") + `,"valueQuantity":{"value":` + sys + `,` + ucum + `}},{` + code("8462-4") + `,"valueQuantity":{"value":` + dia + `,` + ucum + `}}]`
	}
	runRows(t, "Observation", []string{
		`"id":"high",` + bp("150", "95"),
		`"id":"low",` + bp("110", "70"),
		`"id":"single",` + code("8480-6") + `,"valueQuantity":{"value":150,` + ucum + `}`,
	}, []row{
		{"same component", "component-code-value-quantity=8480-6$gt140", "high"},
		{"not across components", "component-code-value-quantity=8462-4$gt100", ""},
		{"on the resource", "code-value-quantity=http://loinc.org|8480-6$150", "single"},
		{"unit", "code-value-quantity=8480-6$150|http://unitsofmeasure.org|mm[Hg]", "single"},
		{"either place", "combo-code-value-quantity=8480-6$gt140", "high single"},
		{"alternatives", "component-code-value-quantity=8480-6$lt120,8462-4$gt90", "high low"},
	})
}
