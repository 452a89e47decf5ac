package redact

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/conformance/validation"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

const marks = `"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"REDACTED"}],` +
	`"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]`

const maskedExtension = `{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}`

func TestResearcherView(t *testing.T) {
	t.Parallel()
	want := `{"resourceType":"Patient","id":"p1","meta":{"versionId":"3","lastUpdated":"2020-01-01T00:00:00.000Z","profile":["urn:p"],` + marks + `},` +
		`"active":true,"gender":"female","birthDate":"1980","address":[{"state":"MA","country":"US"}],` +
		`"generalPractitioner":[{"reference":"Practitioner/7"}],"link":[{"other":{"reference":"Patient/2"},"type":"seealso"}]}`
	if got := text(view(parse(t, patientJSON), researcher)); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestFullMaskChangesNothing(t *testing.T) {
	t.Parallel()
	corpus(t, func(name string, r *fhir.Resource) {
		if text(view(r, field.AllClasses)) != text(r) {
			t.Errorf("%s changed", name)
		}
	})
}

// Decision 17: the marks must not tell whether a hidden value exists.
func TestMarksDoNotTellWhetherAHiddenValueExists(t *testing.T) {
	t.Parallel()
	with := view(parse(t, `{"resourceType":"Patient","id":"a","active":true,"name":[{"family":"Lee"}]}`), researcher)
	without := view(parse(t, `{"resourceType":"Patient","id":"a","active":true}`), researcher)
	if text(with) != text(without) || !strings.Contains(text(with), "REDACTED") {
		t.Errorf("\n%s\n%s", text(with), text(without))
	}
}

func TestNarrativeIsDroppedWhenAnythingIsHidden(t *testing.T) {
	t.Parallel()
	const body = `{"resourceType":"Composition","id":"c","text":{"status":"generated","div":"<div>Ann</div>"},` +
		`"contained":[{"resourceType":"Patient","id":"x","text":{"status":"generated","div":"<div>Ann</div>"},"active":true}],` +
		`"section":[{"text":{"status":"generated","div":"<div>Ann</div>"}},{"title":"T","text":{"status":"generated","div":"<div>Ann</div>"}}]}`
	got := text(view(parse(t, body), field.AllClasses&^field.Set(field.Contact)))
	if strings.Contains(got, "Ann") {
		t.Error(got)
	}
	if !strings.Contains(got, `"section":[{"title":"T"}]`) {
		t.Errorf("the emptied section stays: %s", got)
	}
}

// Decision 18.
func TestHiddenRequiredElements(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, body, want string }{
		{"complex and reference", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"valueString":"v"}`,
			`"status":"final","code":` + maskedExtension + `}`},
		{"primitive", `{"resourceType":"Procedure","id":"p","status":"completed","subject":{"reference":"Patient/1","display":"A"},"note":[{"text":"words","time":"2020"}]}`,
			`"status":"completed","subject":{"reference":"Patient/1","display":"A"}}`},
		{"choice takes its first complex type", `{"resourceType":"MedicationRequest","id":"m","status":"active","intent":"order","medicationReference":{"extension":[{"url":"urn:unknown","valueString":"x"}]},"subject":{"reference":"Patient/1"}}`,
			`"subject":{"reference":"Patient/1"},"medicationCodeableConcept":` + maskedExtension + `}`},
	} {
		got := text(view(parse(t, c.body), clerk&^field.Set(field.Clinical)))
		if !strings.HasSuffix(got, c.want) {
			t.Errorf("%s:\n got %s\nwant …%s", c.name, got, c.want)
		}
	}
	got := text(view(parse(t, `{"resourceType":"Procedure","id":"p","status":"completed","subject":{"reference":"Patient/1"},"note":[{"text":"words","time":"2020"}]}`), researcher))
	if !strings.HasSuffix(got, `"note":[{"time":"2020","_text":`+maskedExtension+`}]}`) {
		t.Errorf("hidden required primitive: %s", got)
	}
	got = text(view(parse(t, `{"resourceType":"Procedure","id":"p","status":"completed","subject":{"display":"Ann"}}`), researcher))
	if !strings.HasSuffix(got, `"subject":`+maskedExtension+`}`) {
		t.Errorf("hidden required reference: %s", got)
	}
}

func TestHiddenModifierWithholdsTheResource(t *testing.T) {
	t.Parallel()
	h := field.Head{Modifiers: field.Set(field.Clinical)}
	if !Withheld(h, clerk) || Withheld(h, researcher) || Withheld(field.Head{}, 0) || !Withheld(h, 0) {
		t.Error("modifiers and masks")
	}
}

// What the cipher opens under a mask and what Filter leaves of the full tree
// are the same bytes, before and after Apply, for every mask tried.
func TestOpenedUnderMaskEqualsFilteredTree(t *testing.T) {
	t.Parallel()
	cipher, err := field.NewCipher(field.Options{Table: table(), Suite: field.SuiteDerived, Tenant: [16]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyringtest.NewRing(t).EnsureOwner(t.Context(), [16]byte{7})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	compared := 0
	corpus(t, func(name string, r *fhir.Resource) {
		r.SetMeta("1", fhirTime)
		b := field.Binding{Tenant: [16]byte{1}, Type: r.Type(), Key: [16]byte{2}, Version: 1}
		h := field.Head{ID: r.ID(), Updated: fhirTime.UnixMicro()}
		body, err := cipher.Seal(nil, b, keys, &h, r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range 6 {
			visible := field.ClassSet(rng.Uint32())&field.AllClasses | field.Set(field.Administrative)
			head, err := cipher.OpenHead(b, keys, body)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			opened, err := cipher.Open(b, keys, &head, body, visible)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			filtered := redactor().Filter(r, visible)
			if text(opened) != text(filtered) {
				t.Fatalf("%s under %v:\nopened   %s\nfiltered %s", name, visible, text(opened), text(filtered))
			}
			redactor().Apply(opened, visible)
			redactor().Apply(filtered, visible)
			if text(opened) != text(filtered) {
				t.Fatalf("%s under %v differ after Apply", name, visible)
			}
			compared++
		}
	})
	if compared < 1000 {
		t.Errorf("only %d comparisons", compared)
	}
}

// A valid resource is valid after redaction, under the demo masks and random
// ones, unless it would be withheld.
func TestRedactedOutputValidates(t *testing.T) {
	t.Parallel()
	v := validation.New(definition.Default())
	rng := rand.New(rand.NewPCG(5, 6))
	failures, checked := 0, 0
	corpus(t, func(name string, r *fhir.Resource) {
		if v.Validate(r).HasErrors() {
			return
		}
		for _, visible := range []field.ClassSet{researcher, clerk, field.AllClasses &^ field.Set(field.Narrative),
			field.ClassSet(rng.Uint32())&field.AllClasses | field.Set(field.Administrative)} {
			checked++
			out := view(r, visible)
			if issues := v.Validate(out); issues.HasErrors() && failures < 10 {
				failures++
				t.Errorf("%s under %v: %v\n%s", name, visible, issues, text(out))
			}
		}
	})
	if checked < 1000 {
		t.Errorf("only %d checked", checked)
	}
}

func TestETagFollowsMaskAndVisibleBytes(t *testing.T) {
	t.Parallel()
	key := secret.New([]byte("0123456789abcdef0123456789abcdef"))
	a := ETag(key, researcher, []byte("body"))
	if a != ETag(key, researcher, []byte("body")) || a == ETag(key, clerk, []byte("body")) || a == ETag(key, researcher, []byte("bodx")) ||
		!strings.HasPrefix(a, `W/"r`) || a == ETag(secret.New(make([]byte, 32)), researcher, []byte("body")) {
		t.Error(a)
	}
}

func BenchmarkApplyResearcher(b *testing.B) {
	res := redactor().Filter(parse(b, patientJSON), researcher)
	b.ReportAllocs()
	for b.Loop() {
		redactor().Apply(res.Clone(), researcher)
	}
}

func BenchmarkFilter(b *testing.B) {
	res := parse(b, patientJSON)
	b.ReportAllocs()
	for b.Loop() {
		redactor().Filter(res, researcher)
	}
}
