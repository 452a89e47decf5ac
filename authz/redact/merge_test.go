package redact

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/simplepath"
)

// put merges an update of the stored resource: the caller's view after edit.
func put(t *testing.T, stored string, visible field.ClassSet, edit func(string) string) (string, error) {
	t.Helper()
	s := parse(t, stored)
	body := edit(text(view(s, visible)))
	got, err := redactor().Merge(s, parse(t, body), visible)
	if text(s) != stored {
		t.Error("Merge changed the stored resource")
	}
	if err != nil {
		return "", err
	}
	return text(got), nil
}

func same(s string) string { return s }

func without(part string) func(string) string {
	return func(s string) string { return strings.Replace(s, part, "", 1) }
}

func replace(a, b string) func(string) string {
	return func(s string) string { return strings.Replace(s, a, b, 1) }
}

func TestUpdateUnderMaskNeverErasesHiddenElements(t *testing.T) {
	t.Parallel()
	got, err := put(t, patientJSON, researcher, replace(`"gender":"female"`, `"gender":"other"`))
	want := strings.NewReplacer(`"gender":"female"`, `"gender":"other"`, `"versionId":"3","lastUpdated":"2020-01-01T00:00:00.000Z",`, ``).Replace(patientJSON)
	if err != nil || got != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
	got, err = put(t, patientJSON, researcher, func(string) string {
		return `{"resourceType":"Patient","id":"p1","link":[{"other":{"reference":"Patient/2"},"type":"seealso"}]}`
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range []string{"Ann", "Secret1", "Secret2", "MRN-1", "555", "1980-05-01", "1 Road", "Kin", "Ann Old", "birthTime"} {
		if !strings.Contains(got, kept) {
			t.Errorf("%s is lost: %s", kept, got)
		}
	}
	for _, gone := range []string{"gender", "generalPractitioner", "active"} {
		if strings.Contains(got, gone) {
			t.Errorf("%s was visible and left out, but stays", gone)
		}
	}
}

// Reading and putting back changes nothing, for every resource and mask.
func TestPutBackUnchangedKeepsEverything(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 8))
	n := 0
	corpus(t, func(name string, r *fhir.Resource) {
		r.SetMeta("1", fhirTime)
		want := bare(r)
		for _, visible := range []field.ClassSet{researcher, clerk, field.ClassSet(rng.Uint32()) & field.AllClasses, 0} {
			if visible == field.AllClasses {
				continue
			}
			got, err := redactor().Merge(r, view(r, visible), visible)
			if err != nil {
				t.Fatalf("%s under %v: %v\n%s", name, visible, err, text(view(r, visible)))
			}
			if !equal(got.Root(), want.Root()) {
				t.Fatalf("%s under %v:\n got %s\nwant %s", name, visible, text(got), text(want))
			}
			n++
		}
	})
	if n < 1000 {
		t.Errorf("only %d", n)
	}
}

func TestBodyWithHiddenElementIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ part, path string }{
		{`"name":[{"family":"Evil"}],`, "Patient.name"},
		{`"birthDate":"1980-05-01","active"`, "Patient.birthDate"},
		{`"text":{"status":"generated","div":"<div>x</div>"},`, "Patient.text"},
		{`"extension":[{"url":"urn:unknown","valueString":"x"}],`, "Patient.extension"},
		{`"telecom":[{"value":"1"}],`, "Patient.telecom"},
		{`"unknownElement":1,`, "Patient.unknownElement"},
		{`"contained":[{"resourceType":"Patient","id":"x","name":[{"family":"Evil"}]}],`, "Patient.contained[0].name"},
		{`"_gender":{"extension":[{"url":"urn:x","valueString":"x"}]},`, "Patient._gender"},
		{`"maritalStatus":{"text":"M"},`, "Patient.maritalStatus"},
		{`"deceasedDateTime":"2020-01-01",`, "Patient.deceasedDateTime"},
	} {
		edit := func(s string) string {
			if name := strings.SplitN(c.part, `"`, 3)[1]; name == "birthDate" {
				return strings.Replace(s, `"birthDate":"1980"`, `"birthDate":"1980-05-01"`, 1)
			}
			return strings.Replace(s, `"active"`, c.part+`"active"`, 1)
		}
		_, err := put(t, patientJSON, researcher, edit)
		var ee *ElementError
		if !errors.Is(err, ErrHidden) || !errors.As(err, &ee) || !strings.HasPrefix(ee.Path, c.path) {
			t.Errorf("%s: %v", c.path, err)
			continue
		}
		for _, value := range []string{"Evil", "05-01", "urn:x"} {
			if strings.Contains(err.Error(), value) {
				t.Errorf("the error holds a value: %v", err)
			}
		}
	}
}

func TestCreateWithHiddenElementIsRefused(t *testing.T) {
	t.Parallel()
	r := redactor()
	if err := r.CheckChange(nil, parse(t, patientJSON), researcher); !errors.Is(err, ErrUnwritable) {
		t.Error(err)
	}
	if err := r.CheckChange(nil, parse(t, patientJSON), field.AllClasses); err != nil {
		t.Error(err)
	}
	if err := r.CheckChange(nil, parse(t, `{"resourceType":"Patient","id":"p","active":true,"gender":"male","meta":{"profile":["urn:p"]}}`), researcher); err != nil {
		t.Error(err)
	}
	if err := r.CheckChange(nil, parse(t, `{"resourceType":"Patient","active":true}`), 0); !errors.Is(err, ErrUnwritable) {
		t.Error("the empty mask may write")
	}
}

func TestStandInPutBackDoesNotOverwriteItsSource(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(string) string{"put back": same, "left out": without(`"birthDate":"1980",`)} {
		got, err := put(t, patientJSON, researcher, edit)
		if err != nil || !strings.Contains(got, `"birthDate":"1980-05-01","_birthDate"`) || !strings.Contains(got, `"line":["1 Road"]`) {
			t.Errorf("%s: %v %s", name, err, got)
		}
	}
	for _, edit := range []func(string) string{replace(`"birthDate":"1980"`, `"birthDate":"1981"`), replace(`"state":"MA"`, `"state":"NY"`)} {
		if _, err := put(t, patientJSON, researcher, edit); !errors.Is(err, ErrHidden) {
			t.Errorf("a changed stand-in: %v", err)
		}
	}
}

func TestPartlyHiddenElementMustComeBackUnchanged(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(string) string{
		"item changed":      replace(`"type":"seealso"`, `"type":"refer"`),
		"item added":        replace(`"link":[`, `"link":[{"other":{"reference":"Patient/9"},"type":"refer"},`),
		"element left out":  without(`,"link":[{"other":{"reference":"Patient/2"},"type":"seealso"}]`),
		"reference changed": replace(`Patient/2`, `Patient/3`),
	} {
		_, err := put(t, patientJSON, researcher, edit)
		if !errors.Is(err, ErrPartlyHidden) || !strings.Contains(err.Error(), "Patient.link") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := put(t, encounterJSON, researcher, replace("Patient/p1", "Patient/p2"))
	if !errors.Is(err, ErrPartlyHidden) {
		t.Errorf("the hidden name of one patient would stand beside another's reference: %v", err)
	}
	_, err = put(t, patientJSON, researcher, replace(`"other":{"reference"`, `"other":{"display":"Evil","reference"`))
	if !errors.Is(err, ErrHidden) {
		t.Errorf("a hidden part inside: %v", err)
	}
}

func TestHiddenItemsStayWithTheirSiblings(t *testing.T) {
	t.Parallel()
	const stored = `{"resourceType":"Patient","id":"p","name":[{"given":["Ann","Bea"],"_given":[null,{"extension":[{"url":"urn:u","valueString":"Secret"}]}]}]}`
	if _, err := put(t, stored, field.AllClasses&^field.Set(field.Restricted), replace(`"Ann","Bea"`, `"Bea","Ann"`)); !errors.Is(err, ErrPartlyHidden) {
		t.Errorf("a hidden extension would move to another value: %v", err)
	}
}

func TestMarksAndPlaceholdersThatComeBackAreStripped(t *testing.T) {
	t.Parallel()
	const stored = `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"valueString":"v"}`
	got, err := put(t, stored, clerk, same)
	if err != nil || got != stored {
		t.Errorf("%v %s", err, got)
	}
	got, err = put(t, stored, clerk, without(`"code":`+maskedExtension+`,`))
	if err != nil || got != stored {
		t.Errorf("%v %s", err, got)
	}
	const labelled = `{"resourceType":"Patient","id":"p","meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]},"name":[{"family":"x"}]}`
	if got, err = put(t, labelled, researcher, same); err != nil || got != labelled {
		t.Errorf("a stored tag is lost: %v %s", err, got)
	}
}

func TestSecondFormOfAHiddenChoiceIsRefused(t *testing.T) {
	t.Parallel()
	const stored = `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"valueString":"v"}`
	if got, err := put(t, stored, researcher, replace(`"status"`, `"valueQuantity":{"value":1},"status"`)); err == nil {
		t.Errorf("value[x] stands twice: %s", got)
	}
}

func TestMergeRefusesAnotherType(t *testing.T) {
	t.Parallel()
	if _, err := redactor().Merge(parse(t, patientJSON), parse(t, encounterJSON), researcher); err == nil {
		t.Error("types differ")
	}
}

func TestFullMaskTakesTheBodyAsItIs(t *testing.T) {
	t.Parallel()
	in := parse(t, `{"resourceType":"Patient","id":"p1"}`)
	got, err := redactor().Merge(parse(t, patientJSON), in, field.AllClasses)
	if err != nil || got != in {
		t.Error(err)
	}
}

// Decision 16.
func TestPathClass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ, path string
		want      field.Class
	}{
		{"Patient", "name", field.Identifier}, {"Patient", "name.family", field.Identifier}, {"Patient", "birthDate", field.Demographic},
		{"Patient", "identifier", field.Identifier}, {"Patient", "active", field.Administrative}, {"Patient", "generalPractitioner", field.Administrative},
		{"Observation", "subject", field.Administrative}, {"Observation", "code", field.Clinical}, {"Observation", "valueQuantity", field.Clinical},
		{"Observation", "value", field.Restricted}, {"Patient", "nonsense", field.Restricted}, {"Nonsense", "name", field.Restricted},
	} {
		if got := redactor().PathClass(c.typ, simplepath.Path{Type: c.typ, Members: strings.Split(c.path, ".")}); got != c.want {
			t.Errorf("%s.%s: %v, want %v", c.typ, c.path, got, c.want)
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	stored := parse(b, patientJSON)
	in := view(stored, researcher)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := redactor().Merge(stored, in, researcher); err != nil {
			b.Fatal(err)
		}
	}
}

// A null that keeps a place beside a hidden sibling is the same as the one that
// the caller sends back, and what was marked twice is not marked then.
func TestPlacesOfSiblingsComeBackUnchanged(t *testing.T) {
	t.Parallel()
	const stored = `{"resourceType":"Patient","id":"p","active":true,"name":[{"text":"x"}],"communication":[{"language":{"coding":[{"code":"de"}]}}],"_gender":{"id":"a"},"identifier":[{"value":"1"}],"contact":[{"gender":"male"}],"generalPractitioner":[{"reference":"Practitioner/1"}],"address":[{"line":["a","b","c"],"_line":[null,{"id":"e","extension":[{"url":"urn:unknown","valueString":"s"}]},null]}]}`
	visible := field.AllClasses &^ field.Set(field.Restricted)
	got, err := put(t, stored, visible, replace(`"active":true`, `"active":false`))
	if want := strings.Replace(stored, `"active":true`, `"active":false`, 1); err != nil || got != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
	mark := `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`
	if got, err = put(t, patientJSON, researcher, replace(mark, mark+","+mark)); err != nil || strings.Contains(got, "SUBSETTED") {
		t.Errorf("a mark that came back twice stays: %v %s", err, got)
	}
}

// What is visible of a contained resource is judged as long as its type is known.
func TestContainedResourceOfAHiddenTypeIsHidden(t *testing.T) {
	t.Parallel()
	r := parse(t, `{"resourceType":"Patient","id":"p","contained":[{"resourceType":"Observation","id":"c","status":"final","code":{"text":"secret"}}],"extension":[{"url":"urn:x","valueReference":{"reference":"#c"}}]}`)
	if got := text(redactor().Filter(r, field.Set(field.Restricted))); strings.Contains(got, "secret") || strings.Contains(got, "final") {
		t.Error(got)
	}
}
