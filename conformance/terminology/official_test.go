package terminology

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

//go:embed testdata/expansions.tsv.zst
var expansions []byte

func newService(t testing.TB, source Source) *Service {
	t.Helper()
	s, err := New(Options{Source: source})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// digest is the form of the generator's digests.
func digest(list []Concept) string {
	var lines []string
	for _, c := range list {
		if c.Abstract {
			continue
		}
		lines = append(lines, c.System+"|"+c.Code)
	}
	slices.Sort(lines)
	lines = slices.Compact(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return fmt.Sprintf("%d\t%x", len(lines), sum[:6])
}

const (
	extraParents = "the publisher's tool ignored the child property, by which v3 gives a concept further parents"
	olderTable   = "built from an older table than the one published with it"
	withAbstract = "lists abstract concepts, unlike all others"
)

// deviations are official expansions that differ from the definitions of the
// same release, with the reason.
var deviations = map[string]string{
	"http://hl7.org/fhir/ValueSet/detectedissue-category":          extraParents,
	"http://hl7.org/fhir/ValueSet/diagnostic-service-sections":     olderTable,
	"http://hl7.org/fhir/ValueSet/observation-interpretation":      olderTable,
	"http://hl7.org/fhir/ValueSet/patient-contactrelationship":     olderTable,
	"http://hl7.org/fhir/ValueSet/referencerange-meaning":          withAbstract,
	"http://hl7.org/fhir/ValueSet/relatedperson-relationshiptype":  olderTable,
	"http://hl7.org/fhir/ValueSet/security-labels":                 olderTable,
	"http://terminology.hl7.org/ValueSet/v2-0487":                  olderTable,
	"http://terminology.hl7.org/ValueSet/v2-0916":                  olderTable,
	"http://terminology.hl7.org/ValueSet/v3-ActCode":               extraParents,
	"http://terminology.hl7.org/ValueSet/v3-ActPharmacySupplyType": extraParents,
}

// unanswered are value sets with an official expansion that the published
// definitions alone do not give.
var unanswered = map[string]error{
	"http://dicom.nema.org/medical/dicom/current/output/chtml/part16/sect_CID_29.html": ErrNotFound,     // not in the bundles
	"http://hl7.org/fhir/ValueSet/appointment-cancellation-reason":                     ErrNotSupported, // content is example
	"http://hl7.org/fhir/ValueSet/insuranceplan-type":                                  ErrNotSupported,
	"http://hl7.org/fhir/ValueSet/program":                                             ErrNotSupported,
	"http://hl7.org/fhir/ValueSet/service-category":                                    ErrNotSupported,
	"http://hl7.org/fhir/ValueSet/service-type":                                        ErrNotSupported,
	"http://hl7.org/fhir/ValueSet/task-code":                                           ErrNotSupported, // names version 3.6.0
}

var foreign = regexp.MustCompile(`"http://(snomed\.info/sct|loinc\.org)": not supported`)

func TestOfficialExpansions(t *testing.T) {
	t.Parallel()
	z, err := zstd.NewReader(bytes.NewReader(expansions))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	raw, err := z.DecodeAll(expansions, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, nil)
	equal, rules := 0, 0
	for line := range strings.Lines(string(raw)) {
		url, want, _ := strings.Cut(strings.TrimSpace(line), "\t")
		list, err := s.Enumerate(t.Context(), url, 0)
		switch {
		case unanswered[url] != nil:
			if !errors.Is(err, unanswered[url]) {
				t.Errorf("%s: %v, want %v", url, err, unanswered[url])
			}
		case errors.Is(err, ErrNotSupported) && foreign.MatchString(err.Error()):
			rules++
		case err != nil:
			t.Errorf("%s: %v", url, err)
		case (digest(list) == want) == (deviations[url] != ""):
			t.Errorf("%s: %s, want %s (deviation: %q)", url, digest(list), want, deviations[url])
		case deviations[url] == "":
			equal++
		}
	}
	if equal != 483 || rules != 18 {
		t.Errorf("%d expansions equal the official ones and %d need SNOMED CT or LOINC, want 483 and 18", equal, rules)
	}
}

// Required bindings have the same codes in the registry of definitions.
func TestRequiredBindingsAgreeWithDefinitions(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	seen := map[string]bool{}
	for _, ty := range definition.Default().Types() {
		for _, e := range ty.Elements {
			if e.Binding == nil || e.Binding.Codes == nil || seen[e.Binding.ValueSet] {
				continue
			}
			seen[e.Binding.ValueSet] = true
			agree(t, s, e.Binding)
		}
	}
	if len(seen) < 200 {
		t.Errorf("only %d required bindings compared", len(seen))
	}
}

func agree(t *testing.T, s *Service, b *definition.Binding) {
	t.Helper()
	list, err := s.Enumerate(t.Context(), b.ValueSet, 0)
	if errors.Is(err, ErrNotSupported) {
		t.Logf("%v", err)
		return
	}
	if err != nil {
		t.Error(err)
		return
	}
	count := 0
	for _, system := range b.Codes.Systems() {
		count += len(b.Codes.Codes(system))
	}
	listed := 0
	for _, c := range list {
		if b.Codes.Has(c.System, c.Code) {
			listed++
		} else if !c.Abstract {
			t.Errorf("%s: the registry lacks %s", b.ValueSet, c.Code)
		}
		if in, err := s.Contains(t.Context(), b.ValueSet, "", c.Code); err != nil || !in {
			t.Errorf("%s: %s without a system: %v, %v", b.ValueSet, c.Code, in, err)
		}
	}
	if listed != count {
		t.Errorf("%s: %d codes of the registry are listed, want %d", b.ValueSet, listed, count)
	}
}
