package redact

import (
	"bytes"
	"testing"

	"github.com/fieldseal/fieldseal/authz/redact/redacttest"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
)

// TestTheReferenceNoticesPlantedDefects: a comparison that finds nothing is worth
// something only when it finds what is wrong.
func TestTheReferenceNoticesPlantedDefects(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it compares views one after the other: nothing for the race detector")
	}
	see := sealing(t)
	// changed is a view of which the tree was changed after the fact; whole is
	// the resource, nothing hidden.
	changed := func(change func(seen, whole *fhir.Node)) viewer {
		return func(r *fhir.Resource, visible field.ClassSet) []byte {
			b := see(r, visible)
			if b == nil {
				return nil
			}
			seen, whole := parse(t, string(b)), r.Clone()
			change(seen.Root(), whole.Root())
			return seen.AppendJSON(nil)
		}
	}
	restore := func(which func(*fhir.Node) bool) viewer {
		return changed(func(seen, whole *fhir.Node) {
			for i := range whole.Len() {
				if m := whole.At(i); which(m) && seen.Member(m.Name()) == nil {
					seen.Append(*m)
				}
			}
		})
	}
	named := func(name string) func(*fhir.Node) bool { return func(m *fhir.Node) bool { return m.Name() == name } }
	more := func(class field.Class) viewer {
		return func(r *fhir.Resource, visible field.ClassSet) []byte {
			if b := see(r, visible); b == nil || visible|field.Set(class) == field.AllClasses {
				return b
			}
			return see(r, visible|field.Set(class))
		}
	}
	for _, c := range []struct {
		name string
		see  viewer
	}{
		{"siblings are shown", restore(func(m *fhir.Node) bool { return m.Name()[0] == '_' })},
		{"contained resources are shown", restore(named("contained"))},
		{"extensions are shown", restore(named("extension"))},
		{"narratives are shown", restore(named("text"))},
		{"an element without a definition is shown", restore(func(m *fhir.Node) bool { return bytes.HasPrefix([]byte(m.Name()), []byte("unknown")) })},
		{"identifiers are shown", more(field.Identifier)},
		{"demographics are shown", more(field.Demographic)},
		{"limited elements are shown", more(field.Limited)},
		{"contacts are shown", more(field.Contact)},
		{"free text is shown", more(field.Narrative)},
		{"clinical elements are shown", more(field.Clinical)},
		{"unknown extensions are shown", more(field.Restricted)},
		{"the language of a resource is hidden", changed(func(seen, _ *fhir.Node) { seen.Remove("language") })},
		{"a visible sibling is hidden", changed(func(seen, _ *fhir.Node) { seen.Remove("_language") })},
		{"marks are forgotten", changed(func(seen, _ *fhir.Node) { fhir.DropMark(seen, "security", fhir.Redacted) })},
		{"members change places", changed(func(seen, _ *fhir.Node) {
			last := *seen.At(seen.Len() - 1)
			seen.RemoveAt(seen.Len() - 1)
			seen.Insert(0, last)
		})},
		{"decimals lose digits", func(r *fhir.Resource, visible field.ClassSet) []byte {
			return bytes.ReplaceAll(see(r, visible), []byte(":1.500"), []byte(":1.5"))
		}},
		{"required elements are lacking", func(r *fhir.Resource, visible field.ClassSet) []byte {
			return bytes.ReplaceAll(see(r, visible), []byte(`"valueCode":"masked"`), []byte(`"valueCode":"unknown"`))
		}},
		{"nothing is withheld", unwithheld(t)},
		{"what may be shown is withheld", func(r *fhir.Resource, visible field.ClassSet) []byte {
			if r.Type() == "Group" {
				return nil
			}
			return see(r, visible)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if d := differ(t, c.see, 5, 4, (*redacttest.Differences).Any); !d.Any() {
				t.Errorf("not noticed in %d views", d.Compared)
			}
		})
	}
}

// unwithheld shows what a hidden modifier element should withhold.
func unwithheld(t *testing.T) viewer {
	t.Helper()
	return func(r *fhir.Resource, visible field.ClassSet) []byte { return view(r, visible).AppendJSON(nil) }
}

// TestStandInsOfContainedPatientsStayWithThem: who does not see that a resource
// is contained saw the birth year of a contained patient.
func TestStandInsOfContainedPatientsStayWithThem(t *testing.T) {
	t.Parallel()
	r := parse(t, `{"resourceType":"Basic","id":"b","contained":[{"resourceType":"Patient","id":"c","birthDate":"1980-05-01"}],"code":{"text":"c"},"subject":{"reference":"#c"}}`)
	for _, b := range [][]byte{sealing(t)(r, field.Set(field.Limited, field.Clinical)), view(r, field.Set(field.Limited, field.Clinical)).AppendJSON(nil)} {
		if bytes.Contains(b, []byte("1980")) {
			t.Errorf("%s", b)
		}
	}
}

// TestExtensionsOfHiddenElementsStayWithThem: an element that held nothing but
// an extension was shown to who sees the extension's class and not the element's.
func TestExtensionsOfHiddenElementsStayWithThem(t *testing.T) {
	t.Parallel()
	r := parse(t, `{"resourceType":"Patient","id":"p","contact":[{"telecom":[{"extension":[{"url":"urn:x","valueString":"kin"}]}]}]}`)
	visible := field.AllClasses &^ field.Set(field.Contact)
	for _, b := range [][]byte{sealing(t)(r, visible), view(r, visible).AppendJSON(nil)} {
		if bytes.Contains(b, []byte("kin")) {
			t.Errorf("%s", b)
		}
	}
}

// TestHiddenModifierExtensionWithholdsTheResource: one inside of an element that
// has a class as a whole did not count.
func TestHiddenModifierExtensionWithholdsTheResource(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"referenceRange":[{"modifierExtension":[{"url":"urn:not","valueBoolean":true}],"text":"low"}]}`,
		`{"resourceType":"Observation","id":"o","status":"final","code":{"text":"c"},"component":[{"modifierExtension":[{"url":"urn:not","valueBoolean":true}],"code":{"text":"d"}}]}`,
	} {
		if b := sealing(t)(parse(t, body), field.AllClasses&^field.Set(field.Restricted)); b != nil {
			t.Errorf("%s", b)
		}
	}
}

// TestTheDeadAreNotShownAsLiving to who sees neither what is demographic nor
// what is limited: deceased[x] is a modifier element.
func TestTheDeadAreNotShownAsLiving(t *testing.T) {
	t.Parallel()
	for _, member := range []string{`"deceasedBoolean":true`, `"deceasedDateTime":"2020-01-01"`} {
		r := parse(t, `{"resourceType":"Patient","id":"p","active":true,`+member+`}`)
		if b := sealing(t)(r, field.Set(field.Administrative, field.Identifier)); b != nil {
			t.Errorf("%s", b)
		}
		if b := sealing(t)(r, field.Set(field.Administrative, field.Limited)); !bytes.Contains(b, []byte("deceased")) {
			t.Errorf("the stand-in is lacking: %s", b)
		}
	}
}
