package search_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/search"
)

var update = flag.Bool("update", false, "write the golden files")

var loadClasses = sync.OnceValues(func() (*field.Table, error) { return field.DefaultTable(definition.Default()) })

var loadCatalog = sync.OnceValues(func() (*search.Catalog, error) {
	classes, err := loadClasses()
	if err != nil {
		return nil, err
	}
	return search.NewCatalog(definition.Default(), classes)
})

func catalog(t testing.TB) *search.Catalog {
	t.Helper()
	c, err := loadCatalog()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Every official parameter compiles for every type that it applies to. Three
// have no expression, and are not offered.
func TestEveryOfficialParameterCompiles(t *testing.T) {
	t.Parallel()
	c, reg := catalog(t), definition.Default()
	pairs, seen := 0, map[string]bool{}
	for _, typ := range reg.ResourceTypes() {
		list := c.Parameters(typ)
		if !slices.IsSortedFunc(list, func(a, b *search.Parameter) int { return strings.Compare(a.Code, b.Code) }) {
			t.Errorf("%s: not sorted", typ)
		}
		for _, sp := range reg.SearchParameters(typ) {
			pairs, seen[sp.URL] = pairs+1, true
			p := c.Parameter(typ, sp.Code)
			if none := sp.Code == "_text" || sp.Code == "_content" || sp.Code == "_query"; none != (p == nil) {
				t.Errorf("%s.%s: found %v", typ, sp.Code, p != nil)
			}
			if p != nil && (p.Kind.String() != sp.Type || p.Resource != typ || p.URL != sp.URL || len(p.Components) != len(sp.Components)) {
				t.Errorf("%s.%s: %s of %s", typ, sp.Code, p.Kind, p.Resource)
			}
		}
		for _, code := range []string{"_id", "_lastUpdated", "_profile", "_security", "_source", "_tag"} {
			if c.Parameter(typ, code) == nil {
				t.Errorf("%s.%s: not offered", typ, code)
			}
		}
	}
	if pairs != 3008 || len(seen) != 1375 {
		t.Errorf("%d parameters, %d of types", len(seen), pairs)
	}
	if c.Parameter("Patient", "nonsense") != nil || c.Parameter("Nonsense", "_id") != nil || c.Parameters("Nonsense") != nil {
		t.Error("an unknown parameter was found")
	}
}

// describe is one line of the golden file.
func describe(p *search.Parameter) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s.%s %s", p.Resource, p.Code, p.Kind)
	if p.Single {
		b.WriteString(" single")
	}
	if p.Instant {
		b.WriteString(" instant")
	}
	if p.Covering != "" {
		fmt.Fprintf(&b, " covered-by:%s", p.Covering)
	}
	if n := len(p.Targets); n > 20 {
		fmt.Fprintf(&b, " to:%d types", n)
	} else if n > 0 {
		fmt.Fprintf(&b, " to:%s", strings.Join(p.Targets, ","))
	}
	for _, q := range p.Components {
		fmt.Fprintf(&b, " (%s %s)", q.Code, q.Kind)
	}
	fmt.Fprintf(&b, " [%s]", p.Classes)
	if base := p.Needs(search.NoModifier); base != p.Classes {
		fmt.Fprintf(&b, " plain[%s]", base)
	}
	for _, path := range p.Paths {
		b.WriteString(" " + strings.TrimPrefix(path, p.Resource+"."))
	}
	return b.String()
}

// What every parameter reads, needs and finds is reviewed in diffs of this
// file.
func TestParametersAgainstGolden(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	var b bytes.Buffer
	common := map[string]string{}
	for _, typ := range definition.Default().ResourceTypes() {
		for _, p := range c.Parameters(typ) {
			line := describe(p)
			if p.Code[0] == '_' { // once for all types, unless one differs
				rest := strings.TrimPrefix(line, typ)
				if common[p.Code] == rest {
					continue
				}
				common[p.Code] = rest
			}
			b.WriteString(line + "\n")
		}
	}
	file := filepath.Join("testdata", "parameters.golden")
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("go test ./fhir/search -update writes it anew:\n%s", diff)
	}
}

// A permit is decided by Classes: each must hold the classes of all Paths, and
// no parameter may read nothing.
func TestClassesHoldEveryPath(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	classes, err := loadClasses()
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range definition.Default().ResourceTypes() {
		for _, p := range c.Parameters(typ) {
			if len(p.Paths) == 0 || p.Classes == 0 || p.Needs(search.NoModifier) == 0 {
				t.Errorf("%s.%s reads nothing", typ, p.Code)
			}
			for _, path := range p.Paths {
				if !p.Classes.Contains(classes.ElementClasses(path)) {
					t.Errorf("%s.%s: %s is %s, the parameter %s", typ, p.Code, path, classes.ElementClasses(path), p.Classes)
				}
			}
			for m := search.NoModifier; m <= search.IdentifierModifier; m++ {
				if !p.Classes.Contains(p.Needs(m)) || !p.Needs(m).Contains(p.Needs(search.NoModifier)) {
					t.Errorf("%s.%s:%s needs %s of %s", typ, p.Code, m, p.Needs(m), p.Classes)
				}
			}
		}
	}
}

func TestPlainReferenceNeedsNoNames(t *testing.T) {
	t.Parallel()
	p := catalog(t).Parameter("Encounter", "patient")
	if p.Needs(search.NoModifier).Has(field.Identifier) {
		t.Error("comparing a reference needs the patient's name")
	}
	for _, m := range []search.Modifier{search.Text, search.IdentifierModifier, search.Missing} {
		if !p.Needs(m).Has(field.Identifier) {
			t.Errorf(":%s needs no permit for the name", m)
		}
	}
}

func TestDerivedFacts(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	covering := map[string]string{
		"Observation.patient": "subject", "Observation.subject": "", "Condition.patient": "subject", "Observation.code": "",
		"Observation.combo-code": "", "Patient.phone": "telecom", "Patient.email": "telecom", "Appointment.patient": "actor",
		"Patient.family": "", "Encounter.practitioner": "participant", "CodeSystem.url": "system",
	}
	for name, want := range covering {
		typ, code, _ := strings.Cut(name, ".")
		if got := c.Parameter(typ, code).Covering; got != want {
			t.Errorf("%s is covered by %q, want %q", name, got, want)
		}
	}
	single := map[string]bool{
		"Patient.birthdate": true, "Patient.deceased": true, "Patient.gender": true, "Observation.date": false, "Observation.subject": true,
		"Patient.name": false, "Observation.code": false, "Encounter.date": true, "Condition.onset-date": true, "Bundle.composition": true,
		"Observation.code-value-quantity": true, "Observation.component-code-value-quantity": false, "Location.near": true,
	}
	for name, want := range single {
		typ, code, _ := strings.Cut(name, ".")
		if got := c.Parameter(typ, code).Single; got != want {
			t.Errorf("%s is single: %v", name, got)
		}
	}
	for name, want := range map[string]bool{"Patient.birthdate": true, "Patient._lastUpdated": true, "Encounter.date": false, "Observation.date": false, "Patient.name": false} {
		typ, code, _ := strings.Cut(name, ".")
		if got := c.Parameter(typ, code).Instant; got != want {
			t.Errorf("%s is instant: %v", name, got)
		}
	}
	for name, want := range map[string][]string{
		"Observation.patient":        {"Patient"},
		"Observation.subject":        {"Device", "Group", "Location", "Patient"},
		"AllergyIntolerance.patient": {"Patient"},
		"Bundle.composition":         {"Composition"},
		"Encounter.service-provider": {"Organization"},
	} {
		typ, code, _ := strings.Cut(name, ".")
		if diff := cmp.Diff(want, c.Parameter(typ, code).Targets); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
