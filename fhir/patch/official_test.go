package patch

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// exceptions are official cases that fail, with the reason. A case that stands
// here and passes fails the test.
var exceptions = map[string]string{}

func official(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open("testdata/official/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// judge compares the outcome of a case with the list of exceptions.
func judge(t *testing.T, name string, problem string) {
	t.Helper()
	reason, excepted := exceptions[name]
	switch {
	case excepted && problem == "":
		t.Errorf("%s passes: remove it from the exceptions", name)
	case excepted:
		t.Logf("%s: %s (%s)", name, problem, reason)
	case problem != "":
		t.Errorf("%s: %s", name, problem)
	}
}

func value(t *testing.T, b []byte) fhir.Node {
	t.Helper()
	n, err := fhir.ParseValue(b, fhir.DefaultLimits)
	if err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return n
}

func same(a, b *fhir.Node) bool { return equal(a, b, &effort{work: maxWork}) }

func TestOfficialJSONPatchCases(t *testing.T) {
	t.Parallel()
	var cases []struct {
		Comment, Error       string
		Doc, Patch, Expected json.RawMessage
	}
	if err := json.Unmarshal(official(t, "json-patch-tests.json.gz"), &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 7 {
		t.Errorf("%d cases", len(cases))
	}
	for _, c := range cases {
		doc := value(t, c.Doc)
		p, err := ParseJSON(c.Patch, fhir.DefaultLimits)
		if err == nil {
			err = p.Apply(&doc)
		}
		problem := ""
		switch {
		case c.Error != "" && err == nil:
			problem = "applied, want an error: " + c.Error
		case c.Error == "" && err != nil:
			problem = err.Error()
		case c.Error == "":
			if want := value(t, c.Expected); !same(&doc, &want) {
				problem = "got " + string(doc.AppendJSON(nil))
			}
		}
		judge(t, c.Comment, problem)
	}
}

// element is any XML element of FHIR.
type element struct {
	XMLName  xml.Name
	Value    *string   `xml:"value,attr"`
	Children []element `xml:",any"`
}

type xmlCase struct {
	Name   string  `xml:"name,attr"`
	Input  element `xml:"input"`
	Diff   element `xml:"diff"`
	Output element `xml:"output"`
}

func TestOfficialFHIRPathPatchCases(t *testing.T) {
	t.Parallel()
	var doc struct {
		Cases []xmlCase `xml:"case"`
	}
	if err := xml.Unmarshal(official(t, "fhir-patch-tests.xml.gz"), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Cases) != 19 {
		t.Errorf("%d cases", len(doc.Cases))
	}
	for _, c := range doc.Cases {
		input, want := resource(t, c.Input), resource(t, c.Output)
		p, err := ParseParameters(resource(t, c.Diff), definition.Default())
		if err == nil {
			err = p.Apply(input.Root())
		}
		problem := ""
		if err != nil {
			problem = err.Error()
		} else if !same(input.Root(), want.Root()) {
			problem = "got " + string(input.AppendJSON(nil))
		}
		judge(t, c.Name, problem)
	}
}

// resource turns the one resource inside of an XML element into its JSON form.
func resource(t *testing.T, wrapper element) *fhir.Resource {
	t.Helper()
	e := wrapper.Children[0]
	var b bytes.Buffer
	b.WriteString(`{"resourceType":"` + e.XMLName.Local + `"`)
	members(t, &b, e, definition.Default().Type(e.XMLName.Local), true)
	b.WriteByte('}')
	r, err := fhir.Parse(b.Bytes(), fhir.DefaultLimits)
	if err != nil {
		t.Fatalf("%v: %s", err, b.Bytes())
	}
	return r
}

func members(t *testing.T, b *bytes.Buffer, e element, typ *definition.Type, comma bool) {
	var order []string
	groups := map[string][]element{}
	for _, c := range e.Children {
		if name := c.XMLName.Local; groups[name] == nil {
			order = append(order, name)
		}
		groups[c.XMLName.Local] = append(groups[c.XMLName.Local], c)
	}
	for _, name := range order {
		def, inner := typ.Lookup(name)
		if def == nil {
			t.Fatalf("%s has no %s", typ.Name, name)
		}
		if comma {
			b.WriteByte(',')
		}
		comma = true
		b.WriteString(`"` + name + `":`)
		if def.Repeats() {
			b.WriteByte('[')
		}
		for i, c := range groups[name] {
			if i > 0 {
				b.WriteByte(',')
			}
			if inner.Kind != definition.Primitive {
				b.WriteByte('{')
				members(t, b, c, inner, false)
				b.WriteByte('}')
			} else if primitiveKind(inner.Name) != fhir.String {
				b.WriteString(*c.Value)
			} else {
				s := fhir.NewString(*c.Value)
				b.Write(s.AppendJSON(nil))
			}
		}
		if def.Repeats() {
			b.WriteByte(']')
		}
	}
}
