package fhirpath_test

import (
	"archive/tar"
	"bytes"
	_ "embed" // the suite
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

//go:embed testdata/suite.tar.zst
var suiteArchive []byte

//go:embed testdata/suite-exceptions.txt
var suiteExceptions string

// suite unpacks the archive: file name to content.
var suite = sync.OnceValues(func() (map[string][]byte, error) {
	z, err := zstd.NewReader(bytes.NewReader(suiteArchive))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
})

type suiteTest struct {
	Name       string `xml:"name,attr"`
	Input      string `xml:"inputfile,attr"`
	Predicate  bool   `xml:"predicate,attr"`
	Expression struct {
		Text    string `xml:",chardata"`
		Invalid string `xml:"invalid,attr"`
	} `xml:"expression"`
	Outputs []struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	} `xml:"output"`
}

// input is the resource of a test, nil when it has none.
func input(t testing.TB, name string) *fhir.Resource {
	t.Helper()
	if name == "" {
		return nil
	}
	files, err := suite()
	if err != nil {
		t.Fatal(err)
	}
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".xml"), ".json")
	r, err := fhir.Parse(files["input-json/"+name+".json"], fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestSuite runs HL7's tests. A test is passed when it gives the outputs in
// their order, or an error where one is expected.
func TestSuite(t *testing.T) {
	t.Parallel()
	files, err := suite()
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Groups []struct {
			Name  string      `xml:"name,attr"`
			Tests []suiteTest `xml:"test"`
		} `xml:"group"`
	}
	if err := xml.Unmarshal(files["tests-fhir-r4.shared.xml"], &doc); err != nil {
		t.Fatal(err)
	}
	exceptions := readExceptions(t)
	count := 0
	for _, g := range doc.Groups {
		for _, test := range g.Tests {
			count++
			id := g.Name + "/" + test.Name
			fault := runSuiteTest(t, test)
			_, listed := exceptions[id]
			delete(exceptions, id)
			switch {
			case fault != "" && !listed:
				t.Errorf("%s: %s: %s", id, test.Expression.Text, fault)
			case fault == "" && listed:
				t.Errorf("%s passes, and is listed as an exception", id)
			}
		}
	}
	if count != 479 {
		t.Errorf("%d tests, want 479", count)
	}
	for id := range exceptions {
		t.Errorf("%s is listed and not in the suite", id)
	}
}

// readExceptions reads lines "group/test: reason".
func readExceptions(t *testing.T) map[string]string {
	t.Helper()
	list := map[string]string{}
	for line := range strings.Lines(suiteExceptions) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		id, reason, ok := strings.Cut(line, ": ")
		if !ok || reason == "" {
			t.Fatalf("an exception without a reason: %s", line)
		}
		list[id] = reason
	}
	return list
}

func runSuiteTest(t *testing.T, test suiteTest) string {
	got, err := evaluateStrict(t, input(t, test.Input), test.Expression.Text)
	if test.Expression.Invalid != "" {
		if err == nil {
			return fmt.Sprintf("%v instead of an error", show(got))
		}
		return ""
	}
	if err != nil {
		return err.Error()
	}
	var want, have []string
	for _, o := range test.Outputs {
		want = append(want, o.Type+" "+strings.TrimLeft(o.Text, "@T"))
	}
	for i, item := range got {
		typ, text := fhirpath.FHIRType(item), strings.TrimLeft(fhirpath.Text(item), "T")
		if i < len(test.Outputs) && test.Outputs[i].Type == "" {
			typ = ""
		}
		have = append(have, typ+" "+text)
	}
	if test.Predicate {
		have = []string{fmt.Sprintf("boolean %v", len(got) > 0)}
	}
	if !slices.Equal(want, have) {
		return fmt.Sprintf("%q, want %q", have, want)
	}
	return ""
}

func show(c fhirpath.Collection) []string {
	var out []string
	for _, item := range c {
		out = append(out, fhirpath.FHIRType(item)+" "+fhirpath.Text(item))
	}
	return out
}

// evaluateStrict compiles for the type of the resource and evaluates.
func evaluateStrict(t testing.TB, r *fhir.Resource, expression string) (fhirpath.Collection, error) {
	t.Helper()
	var c fhirpath.Context
	if r == nil {
		e, err := fhirpath.Compile(expression)
		if err != nil {
			return nil, err
		}
		return e.Evaluate(t.Context(), c)
	}
	c.Focus = fhirpath.Root(r)
	e, err := fhirpath.CompileFor(r.Type(), expression)
	if err != nil {
		return nil, err
	}
	return e.Evaluate(t.Context(), c)
}
