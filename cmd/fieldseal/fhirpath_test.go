package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// The batch answers each line; a fault of one does not end the others.
func TestFHIRPathBatch(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "patient.json")
	if err := os.WriteFile(file, []byte(`{"resourceType":"Patient","id":"p","active":true,"birthDate":"1974-12",`+
		`"name":[{"given":["Peter",null],"_given":[null,{"extension":[{"url":"http://e.org/u","valueCode":"x"}]}]}],"multipleBirthInteger":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, line, want string }{
		{"number", `{"expression":"2 + 2"}`, `{"result":[{"type":"integer","value":4}]}`},
		{"exact decimal", `{"expression":"1.10 + 0.05"}`, `{"result":[{"type":"decimal","value":1.15}]}`},
		{"dates without @", `{"expression":"@2015-02T | @T12:30"}`, `{"result":[{"type":"dateTime","value":"2015-02"},{"type":"time","value":"12:30"}]}`},
		{"quantity", `{"expression":"1.5 'mg' | 2 weeks"}`, `{"result":[{"type":"Quantity","value":{"value":1.5,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}},` +
			`{"type":"Quantity","value":{"value":2,"unit":"week"}}]}`},
		{"empty", `{"expression":"{}"}`, `{"result":[]}`},
		{"element", `{"expression":"name.given | birthDate | id","context":"FILE"}`,
			`{"result":[{"type":"string","value":"Peter"},{"type":"string","value":null},{"type":"date","value":"1974-12"},{"type":"id","value":"p"}]}`},
		{"complex", `{"expression":"name","context":"FILE"}`, `{"result":[{"type":"HumanName","value":{"given":["Peter",null],"_given":[null,{"extension":[{"url":"http://e.org/u","valueCode":"x"}]}]}}]}`},
		{"type", `{"expression":"1.type()"}`, `{"result":[{"type":"SimpleTypeInfo","value":{"namespace":"System","name":"Integer","baseType":"System.Any"}}]}`},
		{"value set of R4", `{"expression":"'male'.memberOf('http://hl7.org/fhir/ValueSet/administrative-gender')"}`, `{"result":[{"type":"boolean","value":true}]}`},
		{"valid resource", `{"expression":"conformsTo('http://hl7.org/fhir/StructureDefinition/Patient')","context":"FILE"}`, `{"result":[{"type":"boolean","value":true}]}`},
		{"unknown member", `{"expression":"Patient.nom","context":"FILE"}`, `{"error":`},
		{"unknown slice", `{"expression":"name.slice('http://e.org/p', 's')","context":"FILE"}`, `{"error":`},
		{"syntax", `{"expression":"1 +"}`, `{"error":`},
		{"no such file", `{"expression":"1","context":"FILE.not"}`, `{"error":`},
		{"no JSON", `1 + 1`, `{"error":`},
	} {
		p, err := newPathRunner()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		line := strings.ReplaceAll(tt.line, "FILE", file)
		if err := p.batch(t.Context(), strings.NewReader(line+"\n\n"+line+"\n"), &out); err != nil {
			t.Fatal(tt.name, err)
		}
		answers := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(answers) != 2 || answers[0] != answers[1] || answers[0] != tt.want && (!strings.HasSuffix(tt.want, ":") || !strings.HasPrefix(answers[0], tt.want)) {
			t.Errorf("%s: %q, want %s", tt.name, answers, tt.want)
		}
	}
}

// Profiles of files are known to conformsTo.
func TestFHIRPathKnowsTheProfilesOfFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"patient":        `{"resourceType":"Patient","name":[{"text":"a"}]}`,
		"nameless":       `{"resourceType":"Patient","active":true}`,
		"invalid":        `{"resourceType":"Patient","name":[{"text":"a"}],"colour":"red"}`,
		"defs/named":     `{"resourceType":"StructureDefinition","url":"http://x/named","type":"Patient","snapshot":{"element":[{"id":"Patient","path":"Patient"},{"id":"Patient.name","path":"Patient.name","min":1}]}}`,
		"defs/.index":    `{"files":[]}`,
		"defs/colours":   `{"resourceType":"ValueSet","url":"http://x/colours","status":"active","compose":{"include":[{"system":"urn:c","concept":[{"code":"red"}]}]}}`,
		"defs/untouched": `{"resourceType":"Basic"}`,
	} {
		file := filepath.Join(dir, name+".json")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := newPathRunner(filepath.Join(dir, "defs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ file, expression, want string }{
		{"patient", "conformsTo('http://x/named')", "true"},
		{"nameless", "conformsTo('http://x/named')", "false"},
		{"invalid", "conformsTo('http://x/named')", "false"},
		{"patient", "conformsTo('http://x/other')", "error"},
		{"patient", "'red'.memberOf('http://x/colours')", "true"},
	} {
		got, err := p.evaluate(t.Context(), tt.expression, filepath.Join(dir, tt.file+".json"))
		text := "error"
		if err == nil {
			text = string(fhirpath.AppendJSON(nil, got[0]))
		}
		if text != tt.want {
			t.Errorf("%s, %s: %s (%v), want %s", tt.file, tt.expression, text, err, tt.want)
		}
	}
	if _, err := newPathRunner(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there was read")
	}
}

// Errors name the expression's place, never a value of the resource.
func TestFHIRPathErrorsHoldNoValues(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "patient.json")
	if err := os.WriteFile(file, []byte(`{"resourceType":"Patient","name":[{"family":"Needle"},{"family":"Needle2"}],"gender":"Needle"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := newPathRunner()
	if err != nil {
		t.Fatal(err)
	}
	for _, expression := range []string{"name.family + 'x'", "gender + 1", "name.single()", "gender.memberOf('http://e.org/vs')", "-gender",
		"gender < 1", "gender.matches('(')", "name.family.toInteger()", "gender.resolve().x", "name.checkModifiers(1)", "@2020 + gender"} {
		if _, err := p.evaluate(t.Context(), expression, file); err != nil && strings.Contains(err.Error(), "Needle") {
			t.Errorf("%s: %v", expression, err)
		}
	}
}
