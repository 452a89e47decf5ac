package compartment_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/compartment"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

func newTable(t testing.TB) *compartment.Table {
	t.Helper()
	table, err := compartment.New(compartment.Options{
		Definitions: definition.Default(),
		Bases:       []string{"https://ehr.example/fhir"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func parse(t testing.TB, s string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(s), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOwner(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	tests := []struct{ name, resource, want string }{
		{"patient owns itself", `{"resourceType":"Patient","id":"p1"}`, "patient p1"},
		{"subject", `{"resourceType":"Observation","subject":{"reference":"Patient/p1"}}`, "patient p1"},
		{"version in the reference", `{"resourceType":"Observation","subject":{"reference":"Patient/p1/_history/3"}}`, "patient p1"},
		{"own base", `{"resourceType":"Observation","subject":{"reference":"https://ehr.example/fhir/Patient/p1"}}`, "patient p1"},
		{"foreign base", `{"resourceType":"Observation","subject":{"reference":"https://other.example/fhir/Patient/p1"}}`, "self "},
		{"identifier only", `{"resourceType":"Observation","subject":{"identifier":{"value":"p1"}}}`, "self "},
		{"contained", `{"resourceType":"Observation","subject":{"reference":"#p1"}}`, "self "},
		{"no subject", `{"resourceType":"Observation"}`, "self "},
		{"subject is a group", `{"resourceType":"Observation","subject":{"reference":"Group/g"}}`, "self "},
		{"performer is no owner", `{"resourceType":"Observation","performer":[{"reference":"Patient/p1"}]}`, "self "},
		{"first path wins", `{"resourceType":"Coverage","policyHolder":{"reference":"Patient/parent"},"beneficiary":{"reference":"Patient/child"}}`, "patient child"},
		{"second path", `{"resourceType":"Coverage","policyHolder":{"reference":"Patient/parent"}}`, "patient parent"},
		{"the same patient twice", `{"resourceType":"Account","subject":[{"reference":"Patient/p1"},{"reference":"Patient/p1"}]}`, "patient p1"},
		{"several patients", `{"resourceType":"Account","subject":[{"reference":"Patient/p1"},{"reference":"Patient/p2"}]}`, "self "},
		{"one of several actors", `{"resourceType":"Appointment","participant":[{"actor":{"reference":"Practitioner/x"}},{"actor":{"reference":"Patient/p1"}}]}`, "patient p1"},
		{"group", `{"resourceType":"Group","member":[{"entity":{"reference":"Patient/p1"}}]}`, "self "},
		{"person", `{"resourceType":"Practitioner","id":"x"}`, "self "},
		{"document", `{"resourceType":"Bundle","type":"document","entry":[{"resource":{"resourceType":"Composition","subject":{"reference":"Patient/p1"}}}]}`, "patient p1"},
		{"document about nobody", `{"resourceType":"Bundle","type":"document","entry":[{"resource":{"resourceType":"Composition"}}]}`, "self "},
		{"another bundle", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Composition","subject":{"reference":"Patient/p1"}}}]}`, "self "},
		{"definition", `{"resourceType":"Questionnaire"}`, "type "},
		{"institution", `{"resourceType":"Organization"}`, "type "},
		{"unknown type", `{"resourceType":"Nonsense"}`, "self "},
		{"binary of a patient", `{"resourceType":"Binary","securityContext":{"reference":"Patient/p1"}}`, "patient p1"},
		{"binary of a document", `{"resourceType":"Binary","securityContext":{"reference":"DocumentReference/d"}}`, "self "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			kind, id := table.Owner(parse(t, tt.resource))
			if got := fmt.Sprint(kind, " ", id); got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestBinaryFollowsItsSecurityContext(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	ref, ok := table.Follows(parse(t, `{"resourceType":"Binary","securityContext":{"reference":"DocumentReference/d"}}`))
	if !ok || ref.Type != "DocumentReference" || ref.ID != "d" {
		t.Fatalf("got %v %v", ref, ok)
	}
	for _, s := range []string{
		`{"resourceType":"Binary"}`,
		`{"resourceType":"Binary","securityContext":{"reference":"Patient/p1"}}`,
		`{"resourceType":"Binary","securityContext":{"reference":"https://other.example/DocumentReference/d"}}`,
		`{"resourceType":"Observation","securityContext":{"reference":"DocumentReference/d"}}`,
	} {
		if ref, ok := table.Follows(parse(t, s)); ok {
			t.Errorf("%s follows %v", s, ref)
		}
	}
}

func TestPatients(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	tests := []struct {
		name, resource string
		want           []string
	}{
		{"itself", `{"resourceType":"Patient","id":"p1"}`, []string{"p1"}},
		{"itself and the linked", `{"resourceType":"Patient","id":"p1","link":[{"other":{"reference":"Patient/p2"}}]}`, []string{"p1", "p2"}},
		{"subject and performer", `{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"performer":[{"reference":"Practitioner/x"},{"reference":"Patient/p2"}]}`, []string{"p1", "p2"}},
		{"each once", `{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"performer":[{"reference":"Patient/p1"}]}`, []string{"p1"}},
		{"resolve filter", `{"resourceType":"Provenance","target":[{"reference":"Observation/o"},{"reference":"Patient/p1"}]}`, []string{"p1"}},
		{"group members", `{"resourceType":"Group","member":[{"entity":{"reference":"Patient/p1"}},{"entity":{"reference":"Patient/p2"}}]}`, []string{"p1", "p2"}},
		{"foreign", `{"resourceType":"Observation","subject":{"reference":"https://other.example/fhir/Patient/p1"}}`, nil},
		{"no member of the compartment", `{"resourceType":"Device","patient":{"reference":"Patient/p1"}}`, nil},
		{"not a compartment parameter", `{"resourceType":"Observation","focus":[{"reference":"Patient/p1"}]}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, table.Patients(parse(t, tt.resource))); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestOrgs(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	tests := []struct {
		resource string
		want     []string
	}{
		{`{"resourceType":"Patient","managingOrganization":{"reference":"Organization/o"}}`, []string{"o"}},
		{`{"resourceType":"Organization","id":"o","partOf":{"reference":"Organization/parent"}}`, []string{"o"}},
		{`{"resourceType":"Consent","organization":[{"reference":"Organization/a"},{"reference":"Organization/b"}]}`, []string{"a", "b"}},
		{`{"resourceType":"Observation","performer":[{"reference":"Organization/o"}]}`, nil},
		{`{"resourceType":"Claim","provider":{"reference":"Practitioner/x"}}`, nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, table.Orgs(parse(t, tt.resource))); diff != "" {
			t.Errorf("%s: %s", tt.resource, diff)
		}
	}
}

// A conflict with the owner table would put a record under a key that its
// compartment's patient does not have: whoever owns must also be a member.
func TestOwnerLiesInTheCompartmentOfItsResource(t *testing.T) {
	t.Parallel()
	table := newTable(t)
	outside := []string{
		"Binary", "BiologicallyDerivedProduct", "Contract", "Device", "GuidanceResponse", "Linkage",
		"MessageHeader", "Task", "VerificationResult", // no members of the Patient compartment in R4
	}
	for typ, paths := range table.OwnerPaths() {
		for _, path := range paths {
			r := withReference(t, typ, path, "Patient/p1")
			if kind, id := table.Owner(r); kind != compartment.Patient || id != "p1" {
				t.Errorf("%s.%v: owner %v %q", typ, path, kind, id)
			}
			member := slices.Contains(table.Patients(r), "p1")
			if member == slices.Contains(outside, typ) {
				t.Errorf("%s.%v: in the compartment: %v", typ, path, member)
			}
		}
	}
}

func BenchmarkOwnerAndPatients(b *testing.B) {
	table := newTable(b)
	r := parse(b, `{"resourceType":"Observation","status":"final","category":[{"text":"x"}],"code":{"text":"y"},"subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e1"}}`)
	b.ReportAllocs()
	for b.Loop() {
		table.Owner(r)
		table.Patients(r)
		table.Orgs(r)
	}
}
