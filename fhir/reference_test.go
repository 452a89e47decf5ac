package fhir_test

import (
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
)

// R4 references.html#literal
func TestParseReference(t *testing.T) {
	t.Parallel()
	const uuid = "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"
	for _, c := range []struct {
		in   string
		want fhir.Reference
	}{
		{"Patient/1", fhir.Reference{Type: "Patient", ID: "1"}},
		{"Patient/1/_history/2", fhir.Reference{Type: "Patient", ID: "1", Version: "2"}},
		{"Patient/1#p", fhir.Reference{Type: "Patient", ID: "1", Fragment: "p"}},
		{"http://a.example/fhir/Patient/1", fhir.Reference{Base: "http://a.example/fhir", Type: "Patient", ID: "1"}},
		{"https://a.example/Patient/1/_history/2", fhir.Reference{Base: "https://a.example", Type: "Patient", ID: "1", Version: "2"}},
		{uuid, fhir.Reference{URN: uuid}},
		{"urn:oid:1.2.3", fhir.Reference{URN: "urn:oid:1.2.3"}},
		{"#p1", fhir.Reference{Fragment: "p1"}},
		{"#", fhir.Reference{}},
	} {
		got, ok := fhir.ParseReference(c.in)
		if !ok || got != c.want {
			t.Errorf("%s: %+v %v", c.in, got, ok)
		}
		if got.String() != c.in {
			t.Errorf("%s: String() = %s", c.in, got)
		}
	}
}

func TestParseReferenceRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "1", "Patient", "Patient/", "/Patient/1", "patient/1", "Patient/1/", "Patient/1/_history/", "Patient/_history/1",
		"Patient?identifier=a|b", "Practitioner?identifier=a", "Patient/a b", "Patient/../x", "ftp://a/Patient/1", "http:///Patient/1",
		"x/Patient/1", "//a/Patient/1", "urn:uuid:1", "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877bg", "urn:oid:", "urn:oid:1..2", "urn:x:y",
		"#a b", "Patient/1#", "http://a/Patient/1?x=y", "Patient/" + strings.Repeat("1", 65), "http://" + strings.Repeat("a", 5000) + "/Patient/1",
	} {
		if r, ok := fhir.ParseReference(s); ok {
			t.Errorf("%.60q accepted: %+v", s, r)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"Patient/1", "http://a/b/Patient/1/_history/2#c", "urn:oid:1.2", "#", "Patient?x=y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := fhir.ParseReference(s)
		if !ok {
			return
		}
		if r.String() != s {
			t.Fatalf("%q → %+v → %q", s, r, r.String())
		}
		if r.Type != "" && (!fhir.ValidID(r.ID) || r.Version != "" && !fhir.ValidID(r.Version)) {
			t.Fatalf("%q → %+v", s, r)
		}
	})
}

func TestWalkReferences(t *testing.T) {
	t.Parallel()
	r := parse(t, `{"resourceType":"X","subject":{"reference":"Patient/1"},"contained":[{"resourceType":"Y","a":[{"reference":"Patient/2"}]}],
		"extension":[{"url":"u","valueReference":{"reference":"Patient/3","display":"d"}}],
		"reference":{"reference":"Patient/4"},"instantiatesCanonical":["Patient/5"],"uri":"Patient/6"}`)
	var seen []string
	fhir.WalkReferences(r.Root(), func(ref *fhir.Node) {
		seen = append(seen, ref.Text())
		*ref = fhir.NewString("Group/9").Named(ref.Name())
	})
	if got := strings.Join(seen, " "); got != "Patient/1 Patient/2 Patient/3 Patient/4" {
		t.Error(got)
	}
	if n := strings.Count(string(r.AppendJSON(nil)), `"reference":"Group/9"`); n != 4 {
		t.Errorf("%d replaced", n)
	}
}
