package terminology

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"encoding/json"
	"io"
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
