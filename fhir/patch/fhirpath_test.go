package patch

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// operation writes one operation as Parameters hold it; value is the member
// or members of the part that carries the value.
func operation(kind, path string, more ...string) string {
	s := `{"name":"operation","part":[{"name":"type","valueCode":"` + kind + `"},{"name":"path","valueString":"` + path + `"}`
	for i := 0; i+1 < len(more); i += 2 {
		s += `,{"name":"` + more[i] + `",` + more[i+1] + `}`
	}
	return s + `]}`
}

func applyPath(t *testing.T, doc string, operations ...string) (string, error) {
	t.Helper()
	r, err := fhir.Parse([]byte(doc), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	params, err := fhir.Parse([]byte(`{"resourceType":"Parameters","parameter":[`+strings.Join(operations, ",")+`]}`), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParseParameters(params, definition.Default())
	if err != nil {
		return "", err
	}
	if err := p.Apply(r.Root()); err != nil {
		return "", err
	}
	return string(r.AppendJSON(nil)), nil
}

func TestFHIRPathPatch(t *testing.T) {
	t.Parallel()
	const (
		patient = `{"resourceType":"Patient","multipleBirthInteger":2,"name":[{"family":"A","given":["x","y"],"_given":[null,{"id":"g"}]},{"given":["z"]}],"birthDate":"1970-01-01","_birthDate":{"id":"b"}}`
		obs     = `{"resourceType":"Observation","valueQuantity":{"value":1.00},"status":"final","component":[{"valueString":"a"}]}`
	)
	for _, c := range []struct{ name, doc, op, want string }{
		{"choice: add gives the JSON name", `{"resourceType":"Patient"}`, operation("add", "Patient", "name", `"valueString":"deceased"`, "value", `"valueBoolean":true`), `{"resourceType":"Patient","deceasedBoolean":true}`},
		{"choice: dateTime", `{"resourceType":"Patient"}`, operation("add", "Patient", "name", `"valueString":"deceased"`, "value", `"valueDateTime":"2020"`), `{"resourceType":"Patient","deceasedDateTime":"2020"}`},
		{"choice: another type in the same place", obs, operation("replace", "Observation.value", "value", `"valueString":"n/a"`), strings.Replace(obs, `"valueQuantity":{"value":1.00}`, `"valueString":"n/a"`, 1)},
		{"choice: below", obs, operation("replace", "Observation.value.value", "value", `"valueDecimal":1.50`), strings.Replace(obs, "1.00", "1.50", 1)},
		{"choice: delete", patient, operation("delete", "Patient.multipleBirth"), strings.Replace(patient, `"multipleBirthInteger":2,`, "", 1)},
		{"index over all", patient, operation("delete", "Patient.name.given[2]"), strings.Replace(patient, `,{"given":["z"]}`, ",{}", 1)},
		{"primitive list: siblings stay aligned on delete", patient, operation("delete", "Patient.name[0].given[0]"), strings.Replace(patient, `"given":["x","y"],"_given":[null,{"id":"g"}]`, `"given":["y"],"_given":[{"id":"g"}]`, 1)},
		{"primitive list: an empty sibling list goes", patient, operation("delete", "Patient.name[0].given[1]"), strings.Replace(patient, `"given":["x","y"],"_given":[null,{"id":"g"}]`, `"given":["x"]`, 1)},
		{"primitive list: siblings stay aligned on insert", patient, operation("insert", "Patient.name[0].given", "index", `"valueInteger":0`, "value", `"valueString":"w"`), strings.Replace(patient, `"given":["x","y"],"_given":[null,{"id":"g"}]`, `"given":["w","x","y"],"_given":[null,null,{"id":"g"}]`, 1)},
		{"primitive list: siblings move along", patient, operation("move", "Patient.name[0].given", "source", `"valueInteger":1`, "destination", `"valueInteger":0`), strings.Replace(patient, `"given":["x","y"],"_given":[null,{"id":"g"}]`, `"given":["y","x"],"_given":[{"id":"g"},null]`, 1)},
		{"primitive list: add with an extension", patient, operation("add", "Patient.name[1]", "name", `"valueString":"given"`, "value", `"valueString":"q","_valueString":{"id":"e"}`), strings.Replace(patient, `{"given":["z"]}`, `{"given":["z","q"],"_given":[null,{"id":"e"}]}`, 1)},
		{"primitive: a new value has no old extension", patient, operation("replace", "Patient.birthDate", "value", `"valueDate":"1971"`), strings.Replace(patient, `"birthDate":"1970-01-01","_birthDate":{"id":"b"}`, `"birthDate":"1971"`, 1)},
		{"primitive: delete takes the sibling", patient, operation("delete", "Patient.birthDate"), strings.Replace(patient, `,"birthDate":"1970-01-01","_birthDate":{"id":"b"}`, "", 1)},
		{"primitive: an extension of its own", `{"resourceType":"Patient","gender":"male"}`, operation("add", "Patient.gender", "name", `"valueString":"extension"`, "value", `"part":[{"name":"url","valueUri":"http://x"},{"name":"value","valueString":"v"}]`),
			`{"resourceType":"Patient","gender":"male","_gender":{"extension":[{"url":"http://x","valueString":"v"}]}}`},
		{"backbone from nested parts", `{"resourceType":"Patient"}`, operation("add", "Patient", "name", `"valueString":"contact"`, "value",
			`"part":[{"name":"name","valueHumanName":{"text":"a"}},{"name":"telecom","valueContactPoint":{"value":"1"}},{"name":"telecom","valueContactPoint":{"value":"2"}},{"name":"gender","valueCode":"male"}]`),
			`{"resourceType":"Patient","contact":[{"name":{"text":"a"},"telecom":[{"value":"1"},{"value":"2"}],"gender":"male"}]}`},
		{"backbone: choice inside", obs, operation("add", "Observation", "name", `"valueString":"component"`, "value", `"part":[{"name":"code","valueCodeableConcept":{"text":"c"}},{"name":"value","valueInteger":3}]`),
			strings.Replace(obs, `[{"valueString":"a"}]`, `[{"valueString":"a"},{"code":{"text":"c"},"valueInteger":3}]`, 1)},
		{"contained resource", `{"resourceType":"Patient"}`, operation("add", "Patient", "name", `"valueString":"contained"`, "value", `"resource":{"resourceType":"Organization","id":"o"}`), `{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o"}]}`},
		{"inside of a contained resource", `{"resourceType":"Patient","contained":[{"resourceType":"Organization","name":"a"}]}`, operation("replace", "Patient.contained[0].name", "value", `"valueString":"b"`), `{"resourceType":"Patient","contained":[{"resourceType":"Organization","name":"b"}]}`},
		{"expression: where", patient, operation("delete", "Patient.name.where(family='A').given.first()"), strings.Replace(patient, `"given":["x","y"],"_given":[null,{"id":"g"}]`, `"given":["y"],"_given":[{"id":"g"}]`, 1)},
		{"expression: a list", patient, operation("insert", "Patient.name.where(family.exists()).given", "index", `"valueInteger":2`, "value", `"valueString":"w"`), strings.Replace(patient, `"given":["x","y"],"_given":[null,{"id":"g"}]`, `"given":["x","y","w"],"_given":[null,{"id":"g"},null]`, 1)},
		{"expression: ofType", obs, operation("replace", "Observation.value.ofType(Quantity).value", "value", `"valueDecimal":1.50`), strings.Replace(obs, "1.00", "1.50", 1)},
		{"expression: the resource", `{"resourceType":"Patient"}`, operation("add", "%resource", "name", `"valueString":"active"`, "value", `"valueBoolean":true`), `{"resourceType":"Patient","active":true}`},
		{"expression: an extension of a primitive", `{"resourceType":"Patient","gender":"male","_gender":{"extension":[{"url":"http://x","valueString":"v"}]}}`, operation("replace", "Patient.gender.extension('http://x').value", "value", `"valueString":"w"`),
			`{"resourceType":"Patient","gender":"male","_gender":{"extension":[{"url":"http://x","valueString":"w"}]}}`},
		{"delete of nothing is no error", patient, operation("delete", "Patient.maritalStatus"), patient},
	} {
		if got, err := applyPath(t, c.doc, c.op); err != nil || got != c.want {
			t.Errorf("%s:\n got  %s %v\n want %s", c.name, got, err, c.want)
		}
	}
}

func TestFHIRPathPatchRefuses(t *testing.T) {
	t.Parallel()
	const doc = `{"resourceType":"Patient","gender":"male","name":[{"family":"A"},{"family":"B"}],"maritalStatus":{"text":"x"}}`
	name, gender := `"valueString":"name"`, `"valueString":"gender"`
	for _, c := range []struct {
		name, op string
		err      error
	}{
		{"replace of nothing", operation("replace", "Patient.birthDate", "value", `"valueDate":"1970"`), ErrTarget},
		{"add below nothing", operation("add", "Patient.contact[0]", "name", gender, "value", `"valueCode":"male"`), ErrTarget},
		{"add of what is there", operation("add", "Patient", "name", gender, "value", `"valueCode":"male"`), ErrTarget},
		{"add of an unknown element", operation("add", "Patient", "name", `"valueString":"colour"`, "value", `"valueCode":"red"`), ErrTarget},
		{"several elements", operation("replace", "Patient.name.family", "value", `"valueString":"C"`), ErrTarget},
		{"delete of several", operation("delete", "Patient.name"), ErrTarget},
		{"delete of the resource", operation("delete", "Patient"), ErrTarget},
		{"another type's path", operation("delete", "Observation.status"), nil},
		{"insert beyond", operation("insert", "Patient.name", "index", `"valueInteger":3`, "value", `"valueHumanName":{"family":"C"}`), ErrTarget},
		{"insert into what does not repeat", operation("insert", "Patient.maritalStatus", "index", `"valueInteger":0`, "value", `"valueCodeableConcept":{}`), ErrTarget},
		{"move beyond", operation("move", "Patient.name", "source", `"valueInteger":0`, "destination", `"valueInteger":2`), ErrTarget},
		{"another type", operation("replace", "Patient.maritalStatus", "value", `"valueCoding":{"code":"x"}`), ErrValue},
		{"a number for a code", operation("replace", "Patient.gender", "value", `"valueInteger":1`), ErrValue},
		{"a choice without the type", operation("add", "Patient", "name", `"valueString":"deceased"`, "value", `"valueQuantity":{"value":1}`), ErrValue},
		{"no value", operation("add", "Patient", "name", name, "value", `"id":"x"`), ErrValue},
		{"needs a name", operation("add", "Patient", "value", `"valueCode":"male"`), ErrMalformed},
		{"needs a value", operation("replace", "Patient.gender"), ErrMalformed},
		{"needs an index", operation("insert", "Patient.name", "value", `"valueString":"x"`), ErrMalformed},
		{"negative index", operation("insert", "Patient.name", "index", `"valueInteger":-1`, "value", `"valueString":"x"`), ErrMalformed},
		{"unknown type", operation("erase", "Patient.name"), ErrMalformed},
		{"expression: no element", operation("delete", "Patient.name.count()"), ErrTarget},
		{"expression: a part of a list", operation("move", "Patient.name.where(family='B')", "source", `"valueInteger":0`, "destination", `"valueInteger":0`), ErrTarget},
		{"expression: fails", operation("delete", "Patient.name.single()"), ErrTarget},
		{"expression: syntax", operation("delete", "Patient.name.where("), ErrMalformed},
		{"expression: values are not shown", operation("replace", "Patient.name.where(family='male')", "value", `"valueString":"x"`), ErrTarget},
		{"no path", operation("delete", ""), ErrMalformed},
		{"a part twice", operation("delete", "Patient.name", "path", `"valueString":"Patient.gender"`), ErrMalformed},
		{"an operation named otherwise", `{"name":"op","part":[]}`, ErrMalformed},
	} {
		_, err := applyPath(t, doc, c.op)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if err != nil && strings.Contains(err.Error(), "male") {
			t.Errorf("%s: the error holds a value: %v", c.name, err)
		}
	}
	many := make([]string, MaxOperations+1)
	for i := range many {
		many[i] = operation("delete", "Patient.gender")
	}
	if _, err := applyPath(t, doc, many...); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many operations: %v", err)
	}
}

func TestParsePath(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"Patient", "Patient.contact[0].name.text", "name[1].given[0]", "Patient.`contact`[12]"} {
		if steps, ok := parsePath(s); !ok || pathString(steps) != strings.ReplaceAll(s, "`", "") {
			t.Errorf("%s: %v %v", s, steps, ok)
		}
	}
	for _, s := range []string{"", ".", "Patient.", ".name", "[0]", "Patient[", "Patient[-1]", "Patient[01]", "Patient[x]", "a b", "_id", "Patient..name", "Patient.name[0]x", "Patient[0]name"} {
		if _, ok := parsePath(s); ok {
			t.Errorf("%q is accepted", s)
		}
	}
}
