package patch

import (
	"encoding/json"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

func FuzzJSONPatch(f *testing.F) {
	f.Add(`{"a":[1,2]}`, `[{"op":"add","path":"/a/1","value":{"x":1.0}},{"op":"move","from":"/a/0","path":"/b"},{"op":"test","path":"/b","value":1e0}]`)
	f.Add(`{"~":{"/":1}}`, `[{"op":"copy","from":"/~0/~1","path":"/~0/-"},{"op":"remove","path":"/~0"},{"op":"replace","path":"","value":[]}]`)
	f.Fuzz(func(t *testing.T, doc, patch string) {
		lim := fhir.Limits{MaxBytes: 1 << 16}
		root, err := fhir.ParseValue([]byte(doc), lim)
		if err != nil {
			return
		}
		p, err := ParseJSON([]byte(patch), lim)
		if err != nil {
			_ = err.Error()
			return
		}
		if err := p.Apply(&root); err != nil {
			_ = err.Error()
			return
		}
		if out := root.AppendJSON(nil); !json.Valid(out) {
			t.Errorf("%q with %q gave %q", doc, patch, out)
		}
	})
}

func FuzzFHIRPathPatch(f *testing.F) {
	reg := definition.Default()
	f.Add(`{"resourceType":"Patient","name":[{"given":["a"]}]}`, `{"resourceType":"Parameters","parameter":[`+
		operation("insert", "Patient.name[0].given", "index", `"valueInteger":1`, "value", `"valueString":"b"`)+`]}`)
	f.Add(`{"resourceType":"Patient","_birthDate":{"id":"x"}}`, `{"resourceType":"Parameters","parameter":[`+
		operation("add", "Patient.birthDate", "name", `"valueString":"extension"`, "value", `"part":[{"name":"url","valueUri":"u"}]`)+`,`+
		operation("move", "Patient.name", "source", `"valueInteger":0`, "destination", `"valueInteger":0`)+`]}`)
	f.Fuzz(func(t *testing.T, doc, params string) {
		lim := fhir.Limits{MaxBytes: 1 << 16}
		r, err := fhir.Parse([]byte(doc), lim)
		if err != nil {
			return
		}
		in, err := fhir.Parse([]byte(params), lim)
		if err != nil {
			return
		}
		p, err := ParseParameters(in, reg)
		if err != nil {
			_ = err.Error()
			return
		}
		if err := p.Apply(r.Root()); err != nil {
			_ = err.Error()
			return
		}
		if out := r.AppendJSON(nil); !json.Valid(out) {
			t.Errorf("%q with %q gave %q", doc, params, out)
		}
	})
}
