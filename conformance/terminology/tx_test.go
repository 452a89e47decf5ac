package terminology

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/fieldseal/fieldseal/fhir"
)

// The test cases of the HL7 terminology ecosystem (testdata/SOURCE.txt). They
// are written for the operations $expand, $validate-code and $lookup; here the
// question that each of them asks is put to this package's methods.
//
//go:embed testdata/tx-tests.tar.zst
var txArchive []byte

type txSuite struct {
	Name  string   `json:"name"`
	Mode  string   `json:"mode"`
	Setup []string `json:"setup"`
	Tests []txTest `json:"tests"`
}

type txTest struct {
	Name      string `json:"name"`
	Operation string `json:"operation"`
	Request   string `json:"request"`
	Response  string `json:"response"`
	Profile   string `json:"profile"`
}

// notApplicable tells why a test asks for something that no method answers.
// A test that no row names must pass.
var notApplicable = []struct{ suite, test, reason string }{
	{"language2", "", "checks displays in languages; displays are not part of membership"},
	{"translate", "", "ConceptMap $translate"},
	{"batch", "", "the operation $batch-validate-code; its single questions are those of the other suites"},
	{"search", "", "the text filter of $expand"},
	{"compare", "", "compares value sets ($related)"},
	{"related2", "", "compares value sets ($related)"},
	{"sct-ecl", "", "needs SNOMED CT content"},
	{"snomed", "", "needs SNOMED CT content"},
	{"omop", "", "needs OMOP content"},
	{"UCUM", "", "needs the UCUM grammar"},
	{"icd-11", "", "needs ICD-11 content"},
	{"tx.fhir.org", "", "needs LOINC or SNOMED CT content"},
	{"simple-cases", "simple-expand-child-of", "the operator child-of came with R5"},
	{"validation", "validation-simple-coding-no-system", "a Coding without a system; here no system means an element of type code"},
	{"version", "coding-v10-vs1w", wildcard},
	{"version", "codeableconcept-vnn-vs1w", wildcard},
	{"version", "code-v10-vs1w", wildcard},
	{"version", "code-vnn-vs1w", wildcard},
	{"version", "vs-expand-v-w", wildcard},
	{"overload", "expand-exclude-versioned", "the expansion parameter versionsMatch"},
	{"fragment", "fragment-expansion", fragment},
	{"fragment", "validation-fragment-code-bad-code", fragment},
	{"fragment", "validation-fragment-coding-bad-code", fragment},
	{"fragment", "validation-fragment-codeableconcept-bad-code", fragment},
	{"big", "big-echo-zero-fifty-limit", "a page of a large expansion"},
	{"big", "big-echo-fifty-fifty-limit", "a page of a large expansion"},
	{"default-valueset-version", "indirect-expand-zero-pinned", "parameters that override versions"},
	{"default-valueset-version", "indirect-expand-zero-pinned-wrong", "parameters that override versions"},
	{"bugs", "", "mode tx.fhir.org: needs the content of that server"},
}

const (
	wildcard = "wildcards in versions came after R4"
	fragment = "the suite accepts or lists what a fragment does not decide; here it is ErrNotSupported (TestFragmentNeverGuesses)"
)

type txFiles map[string]*fhir.Resource

func readTx(t *testing.T) ([]txSuite, txFiles) {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(txArchive))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var cases struct {
		Suites []txSuite `json:"suites"`
	}
	files := txFiles{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return cases.Suites, files
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
		if h.Name == "test-cases.json" {
			if err := json.Unmarshal(b, &cases); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if files[h.Name], err = fhir.Parse(b, fhir.Limits{}); err != nil {
			t.Fatalf("%s: %v", h.Name, err)
		}
	}
}

func TestTerminologyEcosystem(t *testing.T) {
	t.Parallel()
	suites, files := readTx(t)
	ran, skipped := 0, map[string]int{}
	for _, suite := range suites {
		source := &memory{}
		for _, name := range suite.Setup {
			if r := files[name]; r != nil && (r.Type() == "CodeSystem" || r.Type() == "ValueSet") {
				source.put(r)
			}
		}
		for _, test := range suite.Tests {
			c := txCase{T: t, name: suite.Name + "/" + test.Name, files: files, test: test, source: source}
			if reason := c.skip(suite); reason != "" {
				skipped[reason]++
				continue
			}
			ran++
			c.run()
		}
	}
	total := ran
	for reason, n := range skipped {
		t.Log(n, reason)
		total += n
	}
	if ran != 189 || total != 470 {
		t.Errorf("%d of %d tests ran, want 189 of 470", ran, total)
	}
}

type txCase struct {
	*testing.T
	name   string
	files  txFiles
	test   txTest
	source *memory
}

// skip is why the test is not applicable, or empty.
func (c *txCase) skip(suite txSuite) string {
	for _, row := range notApplicable {
		if row.suite == suite.Name && (row.test == "" || row.test == c.test.Name) {
			return row.reason
		}
	}
	if c.test.Profile != "" {
		return "parameters that override versions"
	}
	if c.files[c.test.Request] == nil || c.files[c.test.Response] == nil {
		return "not in the public half"
	}
	if c.param("useSupplement") != nil {
		return "the parameter useSupplement"
	}
	if c.issue("invalid-display") {
		return "checks a display, which is not part of membership"
	}
	return ""
}

// param is the value of a request parameter, nil when there is none.
func (c *txCase) param(name string) *fhir.Node { return param(c.files[c.test.Request], name) }

func param(r *fhir.Resource, name string) *fhir.Node {
	for p := range items(r.Root().Member("parameter")) {
		if p.Member("name").Text() != name {
			continue
		}
		for i := range p.Len() {
			if m := p.At(i); strings.HasPrefix(m.Name(), "value") || m.Name() == "resource" {
				return m
			}
		}
	}
	return nil
}

// issue reports whether the expected response has an issue of the kind.
func (c *txCase) issue(code string) bool {
	return strings.Contains(string(c.files[c.test.Response].AppendJSON(nil)), strconv.Quote(code))
}

func (c *txCase) run() {
	s := newService(c, c.source)
	switch c.test.Operation {
	case "expand":
		c.expand(s)
	case "validate-code":
		c.validate(s)
	case "cs-validate-code":
		system := c.param("url").Text()
		code := c.param("code").Text()
		if coding := c.param("coding"); coding != nil {
			system, code = coding.Member("system").Text(), coding.Member("code").Text()
		}
		_, err := s.Lookup(c.Context(), system, code)
		c.result(err == nil, err)
	case "lookup":
		c.lookup(s)
	default:
		c.Errorf("%s: no row for operation %s", c.name, c.test.Operation)
	}
}

// valueSet is the canonical that the request names; a value set in the request
// is stored first.
func (c *txCase) valueSet() string {
	if n := c.param("valueSet"); n != nil {
		n := n.Clone()
		if n.Member("url") == nil {
			n.Set("url", fhir.NewString("urn:request"))
		}
		r, err := fhir.NewResource(n)
		if err != nil {
			c.Fatal(err)
		}
		c.source.put(r)
		return n.Member("url").Text()
	}
	return join(c.param("url").Text(), c.param("valueSetVersion").Text())
}

func (c *txCase) expand(s *Service) {
	list, err := s.Enumerate(c.Context(), c.valueSet(), 1000)
	response := c.files[c.test.Response]
	if response.Type() == "OperationOutcome" {
		if err == nil {
			c.Errorf("%s: %d codes, want an error", c.name, len(list))
		}
		return
	}
	if err != nil {
		c.Errorf("%s: %v", c.name, err)
		return
	}
	var got, want []string
	for _, con := range list {
		if !con.Inactive || !isTrue(c.param("activeOnly")) {
			got = append(got, con.System+"|"+con.Code)
		}
	}
	flatten(response.Root().Member("expansion").Member("contains"), &want)
	slices.Sort(got)
	slices.Sort(want)
	if c.param("count") != nil { // a page: its codes are some of all
		for _, w := range want {
			if !slices.Contains(got, w) {
				c.Errorf("%s: lacks %s", c.name, w)
			}
		}
		return
	}
	if !slices.Equal(got, want) {
		c.Errorf("%s: %v, want %v", c.name, got, want)
	}
}

func flatten(list *fhir.Node, into *[]string) {
	for n := range items(list) {
		*into = append(*into, n.Member("system").Text()+"|"+n.Member("code").Text())
		flatten(n.Member("contains"), into)
	}
}

// validate asks for each coding; a CodeableConcept is valid when one of its
// codings is in the value set and none names a code that does not exist.
func (c *txCase) validate(s *Service) {
	url := c.valueSet()
	var codings []*fhir.Node
	if n := c.param("coding"); n != nil {
		codings = append(codings, n)
	}
	concept := c.param("codeableConcept")
	if concept != nil {
		for coding := range items(concept.Member("coding")) {
			codings = append(codings, coding)
		}
	}
	if n := c.param("code"); n != nil {
		coding := fhir.NewObject(n.Named("code"), c.param("system").Named("system"))
		if v := c.param("systemVersion"); v != nil {
			coding.Append(v.Named("version"))
		}
		codings = append(codings, &coding)
	}
	valid, unknown, first := false, false, error(nil)
	for _, coding := range codings {
		system := join(coding.Member("system").Text(), coding.Member("version").Text())
		in, err := s.Contains(c.Context(), url, system, coding.Member("code").Text())
		con, missing := s.Lookup(c.Context(), system, coding.Member("code").Text())
		unknown = unknown || concept != nil && errors.Is(missing, ErrNotFound)
		if missing == nil {
			in = in && !(con.Inactive && isTrue(c.param("activeOnly"))) && !(con.Abstract && isFalse(c.param("abstract")))
		}
		valid = valid || in
		if first == nil {
			first = err
		}
	}
	if valid {
		first = nil
	}
	c.result(valid && !unknown, first)
}

// result compares with the expected answer. An undecided question is what a
// server reports as a false result with an issue about what is missing.
func (c *txCase) result(got bool, err error) {
	response := c.files[c.test.Response]
	if response.Type() == "OperationOutcome" {
		if err == nil {
			c.Errorf("%s: %v, want an error", c.name, got)
		}
		return
	}
	want := isTrue(param(response, "result"))
	switch {
	case err != nil && (want || !open(err) && !errors.Is(err, ErrInvalid)):
		c.Errorf("%s: %v, want %v", c.name, err, want)
	case err == nil && got != want:
		c.Errorf("%s: %v, want %v", c.name, got, want)
	}
}

func (c *txCase) lookup(s *Service) {
	con, err := s.Lookup(c.Context(), c.param("system").Text(), c.param("code").Text())
	response := c.files[c.test.Response]
	if err != nil {
		c.Errorf("%s: %v", c.name, err)
		return
	}
	want := Concept{
		System: con.System, Version: param(response, "version").Text(), Code: param(response, "code").Text(),
		Display: param(response, "display").Text(), Abstract: isTrue(param(response, "abstract")), Inactive: con.Inactive,
	}
	if con != want {
		c.Errorf("%s: %+v, want %+v", c.name, con, want)
	}
}
