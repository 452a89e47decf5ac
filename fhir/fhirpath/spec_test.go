package fhirpath_test

import (
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// row is an expression with its results as "type text", joined by "; ", or
// "error" or "" for none. The clause is that of N1 (hl7.org/fhirpath/N1), of R4
// (fhirpath.html), or "later" for functions of later releases.
type row struct{ clause, expression, want string }

// sample is the resource that the rows are evaluated on.
const sample = `{"resourceType":"Patient","id":"p","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"},
"contained":[{"resourceType":"Organization","id":"o","name":"Org","partOf":{"reference":"#"}},
 {"resourceType":"Observation","id":"v","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]},"valueQuantity":{"value":5.40,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}}],
"extension":[{"url":"http://e.org/a","valueString":"x"},{"url":"http://e.org/n","extension":[{"url":"in","valueInteger":7}]}],
"modifierExtension":[{"url":"http://e.org/mod","valueBoolean":true}],
"active":true,"name":[{"use":"official","family":"Chalmers","given":["Peter","James"],"_given":[null,{"extension":[{"url":"http://e.org/g","valueCode":"q"}]}]},
 {"use":"usual","given":["Jim"]}],
"telecom":[{"system":"phone","value":"1","rank":1},{"system":"phone","value":"2","rank":2}],
"gender":"male","birthDate":"1974-12-25","_birthDate":{"id":"bd","extension":[{"url":"http://e.org/t","valueDateTime":"1974-12-25T14:35:45-05:00"}]},
"_language":{"extension":[{"url":"http://e.org/absent","valueCode":"unknown"}]},
"deceasedBoolean":false,"multipleBirthInteger":2,"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"}],"text":"Married"},
"managingOrganization":{"reference":"#o"},"generalPractitioner":[{"reference":"Practitioner/1"}]}`

func sampleResource(t testing.TB) *fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(sample), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// hold evaluates the rows on the sample, checked for its type.
func hold(t *testing.T, rows []row) {
	t.Helper()
	r := sampleResource(t)
	for _, tt := range rows {
		got := "error"
		c, err := evaluateStrict(t, r, tt.expression)
		if err == nil {
			got = strings.Join(show(c), "; ")
		}
		if got != tt.want {
			t.Errorf("%s: %s: %q %v, want %q", tt.clause, tt.expression, got, err, tt.want)
		}
	}
}

func TestLexicalElements(t *testing.T) {
	t.Parallel()
	hold(t, []row{
		{"4.1.1", "true", "boolean true"},
		{"4.1.2", "2147483647", "integer 2147483647"},
		{"4.1.2", "2147483648", "error"},
		{"4.1.2", "-2147483648", "integer -2147483648"},
		{"4.1.2", "-2147483649", "error"},
		{"4.1.2", "007", "integer 7"},
		{"4.1.4", "1.10", "decimal 1.10"},
		{"4.1.4", "1.", "error"},
		{"4.1.4", ".5", "error"},
		{"4.1.3", `'\'\"\` + "`" + `\\\/\f\n\r\t\u0041'`, "string '\"`\\/\f\n\r\tA"},
		{"4.1.3", `'\ud83d\ude00'.length()`, "integer 1"},
		{"4.1.3", `'\ud83d'`, "error"},
		{"4.1.3", `'\x'`, "error"},
		{"4.1.3", `'\u12'`, "error"},
		{"4.1.3", `'open`, "error"},
		{"4.1.5", "@2015-02-29", "error"},
		{"4.1.5", "@2016-02-29", "date 2016-02-29"},
		{"4.1.5", "@2015-13", "error"},
		{"4.1.5", "@215", "error"},
		{"4.1.6", "@T24:00", "error"},
		{"4.1.6", "@T14:34:28.123", "time 14:34:28.123"},
		{"4.1.6", "@T14:34:28Z", "error"},
		{"4.1.6", "@T14:34:28+10:00", "error"},
		{"4.1.7", "@2015T", "dateTime 2015"},
		{"4.1.7", "@2015-02-04T14", "dateTime 2015-02-04T14"},
		{"4.1.7", "@2015-02-04T14:34:28.1+10:30", "dateTime 2015-02-04T14:34:28.1+10:30"},
		{"4.1.7", "@2015-02-04T14:34:28+15:00", "error"},
		{"4.1.7", "@2015T14", "error"},
		{"4.1.8", "4 days", "Quantity 4 days"},
		{"4.1.8", "1 week", "Quantity 1 week"},
		{"4.1.8", "4.5 'mg'", "Quantity 4.5 'mg'"},
		{"4.1.8", "1 'month'", "Quantity 1 month"},
		{"4.3", "`name`.`given`.first()", "string Peter"},
		{"4.4", "{}", ""},
		{"10.1", "1+\t\r\n1", "integer 2"},
		{"10.2", "1 // one", "integer 1"},
		{"10.2", "1 /* one\n */ + 1", "integer 2"},
		{"10.2", "1 /* one", "error"},
		{"10.5", "text.div", "error"},
		{"10.5", "text.`div`.exists()", "boolean true"},
		{"10.5", "name.is", "error"},
		{"grammar", "", "error"},
		{"grammar", "1 1", "error"},
		{"grammar", "(1", "error"},
		{"grammar", "name.", "error"},
		{"grammar", "name[", "error"},
		{"grammar", "#", "error"},
		{"grammar", "nofunction()", "error"},
		{"grammar", "name.first(1)", "error"},
		{"grammar", "where()", "error"},
	})
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	hold(t, []row{
		{"6.8", "1+2*3+4", "integer 11"},
		{"6.8", "-7.combine(3)", "error"},
		{"6.8", "(-7).combine(3)", "integer -7; integer 3"},
		{"6.8", "1 | 2 = 1 | 2", "boolean true"},
		{"6.8", "1 > 2 is Boolean", "error"},
		{"6.8", "(1 | 1 is Integer).count()", "integer 2"},
		{"6.8", "true or true and false", "boolean true"},
		{"6.8", "true or false implies false", "boolean false"},
		{"6.8", "2 in (1 | 2) and true", "boolean true"},
		{"6.8", "1 < 2 = true", "boolean true"},
		{"6.8", "'a' & 'b' + 'c'", "string abc"},
		{"6.8", "7 - 2 - 1", "integer 4"},
		{"6.8", "- - 2", "integer 2"},
		{"6.8", "name[1].given", "string Jim"},
	})
}

func TestPaths(t *testing.T) {
	t.Parallel()
	hold(t, []row{
		{"3.1", "Patient.name.given", "string Peter; string James; string Jim"},
		{"3.1", "name.given", "string Peter; string James; string Jim"},
		{"3.1", "Observation.status", ""},
		{"3.1", "Encounter.name", "error"},
		{"9.2", "Patient.name.given1", "error"},
		{"R4 rules", "DomainResource.id", "id p"},
		{"R4 rules", "Resource.id", "id p"},
		{"R4 rules", "contained.id", "id o; id v"},
		{"R4 rules", "contained.name", "string Org"},
		{"R4 polymorphism", "deceased", "boolean false"},
		{"R4 polymorphism", "multipleBirth", "integer 2"},
		{"R4 polymorphism", "deceasedBoolean", "error"},
		{"R4 polymorphism", "contained.value.unit", "string mg"},
		{"R4 polymorphism", "contained.ofType(Observation).value.value", "decimal 5.40"},
		{"R4 functions", "birthDate.extension('http://e.org/t').value", "dateTime 1974-12-25T14:35:45-05:00"},
		{"R4 functions", "birthDate.id", "string bd"},
		{"R4 functions", "birthDate.value", "date 1974-12-25"},
		{"R4 functions", "language.extension.value", "code unknown"},
		{"R4 functions", "language.value", ""},
		{"R4 functions", "name.given.extension.value", "code q"},
		{"R4 functions", "name.given.where(extension.exists())", "string James"},
		{"R4 functions", "extension('http://e.org/n').extension('in').value", "integer 7"},
		{"R4 functions", "extension({})", ""},
		{"R4 functions", "hasValue()", "boolean false"},
		{"R4 functions", "birthDate.hasValue()", "boolean true"},
		{"R4 functions", "language.hasValue()", "boolean false"},
		{"R4 functions", "name.given.hasValue()", "boolean false"},
		{"R4 functions", "photo.hasValue()", "boolean false"},
		{"R4 functions", "active.getValue()", "boolean true"},
		{"R4 functions", "active.getValue().is(System.Boolean)", "boolean true"},
		{"R4 functions", "language.getValue()", ""},
		{"5.8.1", "name[1].children()", "code usual; string Jim"},
		{"5.8.1", "active.children()", ""},
		{"5.8.1", "birthDate.children().url", "uri http://e.org/t"},
		{"5.8.2", "maritalStatus.descendants()", "Coding ; string Married; uri http://terminology.hl7.org/CodeSystem/v3-MaritalStatus; code M"},
		{"5.8", "children().first()", "error"},
		{"5.8", "descendants()[0]", "error"},
		{"5.8", "children().ofType(boolean)", "boolean true; boolean false"},
		{"8", "%context.id = %resource.id", "boolean true"},
		{"8", "%ucum", "string http://unitsofmeasure.org"},
		{"8", "%`vs-x` | %'ext-y'", "string http://hl7.org/fhir/ValueSet/x; string http://hl7.org/fhir/StructureDefinition/y"},
		{"8", "%sct | %loinc", "string http://snomed.info/sct; string http://loinc.org"},
		{"8", "%nothing", "error"},
		{"R4 variables", "contained.select(%resource.id)", "id p; id p"},
		{"5.2", "$this.id", "id p"},
		{"5.2", "$index", "error"},
		{"7", "$total", "error"},
		{"5.2", "$that", "error"},
	})
}

// Elements know their place, which patches need.
func TestElementsKnowTheirPlace(t *testing.T) {
	t.Parallel()
	r := sampleResource(t)
	for _, tt := range []struct {
		expression, path, member string
		index                    int
	}{
		{"name[1].given", "Patient.name[1].given[0]", "given", 0},
		{"deceased", "Patient.deceased", "deceasedBoolean", -1},
		{"language", "Patient.language", "language", -1},
		{"contained[1].value.unit", "Patient.contained[1].value.unit", "unit", -1},
		{"name.given.extension", "Patient.name[0].given[1].extension[0]", "extension", 0},
	} {
		c, err := evaluateStrict(t, r, tt.expression)
		if err != nil || len(c) != 1 {
			t.Fatal(tt.expression, c, err)
		}
		e := c[0].(*fhirpath.Element)
		if e.Path() != tt.path || e.Name() != tt.member || e.Index() != tt.index {
			t.Errorf("%s: %s %s %d", tt.expression, e.Path(), e.Name(), e.Index())
		}
		again, err := evaluateStrict(t, r, e.Path())
		if err != nil || len(again) != 1 || again[0].(*fhirpath.Element).Node() != e.Node() {
			t.Errorf("%s finds another node: %v", e.Path(), err)
		}
		if n := e.Node(); n != nil && !holdsNode(e.Parent(), e, n) {
			t.Errorf("%s: the parent does not have it there", tt.expression)
		}
	}
}

func holdsNode(parent, e *fhirpath.Element, n *fhir.Node) bool {
	in := parent.Node()
	if parent.Definition().Name == "string" {
		in = parent.Sibling()
	}
	m := in.Member(e.Name())
	if e.Index() >= 0 {
		m = m.At(e.Index())
	}
	return m == n
}
