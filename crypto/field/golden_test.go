package field

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

var update = flag.Bool("update", false, "rewrite the files under testdata")

// TestClassTableIsAsReviewed: any change of a rule or a definition shows up
// in the diff of testdata/classes.golden.
func TestClassTableIsAsReviewed(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for _, r := range table().Rules() {
		class := r.Class.String()
		if r.Class == Group0 {
			class = "by its parts"
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", r.Path, r.Datatype, class, r.Source)
	}
	golden := filepath.Join("testdata", "classes.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != b.String() {
		t.Error("the class table changed; review it with go test ./crypto/field -run ClassTable -update and git diff")
	}
}

// restrictedByRule are the only elements that may be restricted.
var restrictedByRule = map[string]bool{"Endpoint.header": true, "Subscription.criteria": true, "Subscription.channel.header": true}

func TestEveryElementHasAClassByRule(t *testing.T) {
	t.Parallel()
	for _, r := range table().Rules() {
		if r.Source == "none" || r.Class == Restricted && !restrictedByRule[r.Path] {
			t.Errorf("%s (%s) falls to restricted", r.Path, r.Datatype)
		}
	}
	reg := definition.Default()
	for _, name := range reg.ResourceTypes() {
		if typ := reg.Type(name); !typ.Abstract {
			elements(t, table().types[name], typ, map[*walk]bool{})
		}
	}
}

// elements enumerates the definitions and demands a member for each.
func elements(t *testing.T, w *walk, typ *definition.Type, seen map[*walk]bool) {
	if seen[w] {
		return
	}
	seen[w] = true
	for _, e := range typ.Elements {
		for _, ref := range e.Types {
			m := w.member(jsonName(e, ref.Code))
			if m == nil {
				t.Errorf("%s is not in the table", e.Path)
				continue
			}
			if m.walk != nil && !m.walk.blanket {
				elements(t, m.walk, ref.Type, seen)
			}
		}
	}
}

func TestKnownPlacesOfNames(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]ClassSet{
		"Patient.name":                             Set(Identifier),
		"Patient.name.family":                      Set(Identifier),
		"Patient.identifier.value":                 Set(Identifier),
		"Patient.birthDate":                        Set(Demographic),
		"Patient.deceasedBoolean":                  Set(Demographic),
		"Patient.deceased[x]":                      Set(Demographic),
		"Patient.gender":                           Set(Limited),
		"Patient.address":                          Set(Contact),
		"Patient.address.city":                     Set(Contact),
		"Patient.telecom.value":                    Set(Contact),
		"Patient.text":                             Set(Narrative),
		"Patient.photo":                            Set(Identifier),
		"Patient.meta":                             Set(Administrative),
		"Patient.meta.lastUpdated":                 Set(Administrative),
		"Practitioner.name":                        Set(Identifier),
		"Organization.address":                     Set(Administrative),
		"Encounter.subject":                        Set(Administrative, Identifier),
		"Encounter.subject.reference":              Set(Administrative),
		"Encounter.subject.display":                Set(Identifier),
		"Encounter.serviceProvider":                Set(Administrative),
		"Encounter.location":                       Set(Clinical),
		"Encounter.location.location":              Set(Clinical),
		"Claim.patient.display":                    Set(Identifier),
		"CareTeam.name":                            Set(Identifier),
		"CareTeam.participant.member":              Set(Administrative, Identifier),
		"Observation.code":                         Set(Clinical),
		"Observation.valueQuantity":                Set(Clinical),
		"Observation.valueString":                  Set(Narrative),
		"Observation.value[x]":                     Set(Clinical, Narrative),
		"Observation.value":                        Set(Clinical, Narrative),
		"Observation.status":                       Set(Administrative),
		"Observation.note.text":                    Set(Narrative),
		"DocumentReference.content":                Set(Narrative, Administrative, Clinical),
		"Binary.data":                              Set(Narrative),
		"MedicationRequest.dosageInstruction.text": Set(Narrative),
		"ValueSet.url":                             Set(Administrative),
		"Patient.unheardOf":                        Set(Restricted),
		"Unheard.of":                               Set(Restricted),
	} {
		if got := table().ElementClasses(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestFaultyPolicyIsRefused(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string]string{
		"unknown class":        "version: 1\ndatatypes: {string: secret}",
		"unknown key":          "version: 1\nencrypt: [name]",
		"clear patient data":   "version: 1\nclear: [name]",
		"other version":        "version: 2",
		"unknown type":         "version: 1\nresources: [{types: [Pationt], datatypes: {string: clinical}}]",
		"misspelt path":        "version: 1\npaths: {Patient.nam: identifier}",
		"unknown derived form": "version: 1\nderived: {Patient: {birthDate: decade}}",
	} {
		if _, err := NewTable(definition.Default(), []byte(rules)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
