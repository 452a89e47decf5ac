package interaction

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
)

const parametersMedia = "application/fhir+json"

// patchBy applies a JSON Patch as a role.
func (p *shop) patchBy(role, typ, id, patch string) (*Answer, error) {
	p.t.Helper()
	return p.Patch(p.t.Context(), p.as(role), typ, id, JSONPatchMedia, []byte(patch))
}

func pathPatch(kind, path, rest string) []byte {
	return []byte(`{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"` + kind +
		`"},{"name":"path","valueString":"` + path + `"}` + rest + `]}]}`)
}

func TestPatchKeepsTheBytesOfTheRest(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Observation", "o", `{"resourceType":"Observation","id":"o","status":"final","code":{"text":"a\u00e9"},"valueQuantity":{"value":1.00,"unit":"kg"}}`)
	a, err := p.patchBy("clinician", "Observation", "o", `[{"op":"replace","path":"/status","value":"amended"}]`)
	p.must(err)
	if !bytes.Contains(a.Body(), []byte(`"status":"amended","code":{"text":"a\u00e9"},"valueQuantity":{"value":1.00,"unit":"kg"}`)) || a.ETag() != `W/"2"` {
		t.Errorf("%s %s", a.Body(), a.ETag())
	}
	a, err = p.Patch(t.Context(), p.as("clinician"), "Observation", "o", parametersMedia, pathPatch("replace", "Observation.value.value", `,{"name":"value","valueDecimal":2.50}`))
	p.must(err)
	if !bytes.Contains(a.Body(), []byte(`{"value":2.50,"unit":"kg"}`)) {
		t.Errorf("%s", a.Body())
	}
	if ev := p.rec.last(); ev.Subtype != "patch" || ev.Action != 'U' || ev.Outcome != 'I' {
		t.Errorf("the last recorded event is %+v, want the intent", ev)
	}
}

func TestPatchUnderAMaskErasesNothingHidden(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	a, err := p.patchBy("clerk", "Patient", "p1", `[{"op":"replace","path":"/managingOrganization/reference","value":"Organization/o2"}]`)
	p.must(err)
	if bytes.Contains(a.Body(), []byte("m4711")) {
		t.Error("the answer shows what the mask hides")
	}
	full, err := p.Read(t.Context(), p.as("clinician"), "Patient", "p1")
	p.must(err)
	for _, want := range []string{"m4711", "Muster", "Organization/o2"} {
		if !bytes.Contains(full.Body(), []byte(want)) {
			t.Errorf("%s is gone: %s", want, full.Body())
		}
	}
	if bytes.Contains(full.Body(), []byte("REDACTED")) {
		t.Error("the tag of the redacted view was stored")
	}
}

// abuse 13: neither form may find out what is hidden, nor change it.
func TestPatchOfAHiddenElementIsRefused(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	for _, patch := range []string{
		`[{"op":"test","path":"/identifier/0/value","value":"m4711"}]`,
		`[{"op":"test","path":"/identifier/0/value","value":"wrong"}]`,
		`[{"op":"test","path":"/identifier/7","value":"wrong"}]`,
		`[{"op":"test","path":"/name/0/family","value":"Muster"}]`,
		`[{"op":"add","path":"/identifier/-","value":{"system":"urn:mrn","value":"1"}}]`,
		`[{"op":"add","path":"/identifier","value":[{"system":"urn:mrn","value":"1"}]}]`,
		`[{"op":"remove","path":"/identifier"}]`,
		`[{"op":"copy","from":"/identifier/0/value","path":"/gender"}]`,
		`[{"op":"move","from":"/name/0/family","path":"/gender"}]`,
		`[{"op":"add","path":"/_identifier","value":1}]`,
	} {
		a, err := p.patchBy("clerk", "Patient", "p1", patch)
		p.refused(a, err, Denied)
	}
	for _, body := range [][]byte{
		pathPatch("delete", "Patient.identifier[0]", ""), pathPatch("delete", "Patient.identifier[5]", ""),
		pathPatch("delete", "Patient.identifier.where(value='m4711')", ""), pathPatch("delete", "Patient.managingOrganization.where(%resource.identifier.value='m4711')", ""),
		pathPatch("replace", "Patient.identifier[0].value", `,{"name":"value","valueString":"1"}`),
		pathPatch("add", "Patient", `,{"name":"name","valueString":"identifier"},{"name":"value","valueIdentifier":{"value":"1"}}`),
		pathPatch("move", "Patient.name", `,{"name":"source","valueInteger":0},{"name":"destination","valueInteger":0}`),
	} {
		a, err := p.Patch(t.Context(), p.as("clerk"), "Patient", "p1", parametersMedia, body)
		p.refused(a, err, Denied)
	}
	if p.version("Patient", "p1") != 1 {
		t.Error("something was written")
	}
}

// An element that is partly hidden cannot be changed: an index would count
// items that the caller does not see.
func TestPatchAcrossPartlyHiddenElementsIsRefused(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", strings.Replace(patient, `"managingOrganization"`, `"contact":[{"name":{"family":"Hidden"}},{"name":{"family":"Two"},"gender":"male"}],"managingOrganization"`, 1))
	for _, patch := range []string{
		`[{"op":"remove","path":"/contact/0"}]`,
		`[{"op":"replace","path":"/contact/0/gender","value":"female"}]`,
	} {
		a, err := p.patchBy("clerk", "Patient", "p1", patch)
		p.refused(a, err, Denied)
	}
}

func TestPatchNeedsUpdateAndRead(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	const patch = `[{"op":"replace","path":"/gender","value":"other"}]`
	for _, role := range []string{"nurse", "researcher", "patient", "admin", "privacy-officer"} {
		a, err := p.patchBy(role, "Patient", "p1", patch)
		p.refused(a, err, Denied)
	}
	for _, id := range []string{"none", "p9"} {
		p.put("Patient", "p9", strings.NewReplacer(`"p1"`, `"p9"`, "Organization/o1", "Organization/o9").Replace(patient))
		a, err := p.patchBy("ward", "Patient", id, patch)
		p.refused(a, err, NotFound)
	}
}

func TestPatchFailures(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	for _, c := range []struct {
		name, patch string
		want        Kind
	}{
		{"no JSON", `[`, Malformed},
		{"no patch", `{}`, Malformed},
		{"failed test", `[{"op":"test","path":"/gender","value":"x"}]`, Unprocessable},
		{"missing target", `[{"op":"remove","path":"/photo"}]`, Unprocessable},
		{"invalid result", `[{"op":"add","path":"/colour","value":"red"}]`, Unprocessable},
		{"empty list", `[{"op":"add","path":"/photo","value":[]}]`, Unprocessable},
		{"another id", `[{"op":"replace","path":"/id","value":"p2"}]`, Unprocessable},
		{"no id", `[{"op":"remove","path":"/id"}]`, Unprocessable},
		{"another type", `[{"op":"replace","path":"/resourceType","value":"Person"}]`, Unprocessable},
		{"no object", `[{"op":"replace","path":"","value":1}]`, Unprocessable},
	} {
		a, err := p.patchBy("clinician", "Patient", "p1", c.patch)
		t.Log(c.name)
		p.refused(a, err, c.want)
	}
	a, err := p.Patch(t.Context(), p.as("clinician"), "Patient", "p1", parametersMedia, []byte(patient))
	p.refused(a, err, Malformed)
	_, err = p.Delete(t.Context(), p.as("clinician"), "Patient", "p1")
	p.must(err)
	a, err = p.patchBy("clinician", "Patient", "p1", `[]`)
	p.refused(a, err, Gone)
	a, err = p.patchBy("clinician", "AuditEvent", "a1", `[]`)
	p.refused(a, err, Denied)
}

func TestPatchCannotForgeServerMeta(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	a, err := p.patchBy("clinician", "Patient", "p1", `[{"op":"replace","path":"/meta/versionId","value":"99"},{"op":"replace","path":"/meta/lastUpdated","value":"1999-01-01T00:00:00Z"}]`)
	p.must(err)
	if !bytes.Contains(a.Body(), []byte(`"versionId":"2"`)) || bytes.Contains(a.Body(), []byte(`"1999`)) {
		t.Errorf("%s", a.Body())
	}
}

func TestConcurrentPatchesLoseNothing(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	const writers = 8
	call := p.as("clinician")
	ctx := context.WithoutCancel(t.Context())
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			_, err := p.Patch(ctx, call, "Patient", "p1", JSONPatchMedia, fmt.Appendf(nil, `[{"op":"add","path":"/identifier/-","value":{"value":"w%d"}}]`, i))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	a, err := p.Read(ctx, call, "Patient", "p1")
	p.must(err)
	for i := range writers {
		if !bytes.Contains(a.Body(), fmt.Appendf(nil, `"w%d"`, i)) {
			t.Errorf("the patch of writer %d is lost", i)
		}
	}
	call.IfMatch = `W/"1"`
	stale, err := p.Patch(ctx, call, "Patient", "p1", JSONPatchMedia, []byte(`[]`))
	p.refused(stale, err, Precondition)
}

// The patch of a Bundle's entry: Parameters, or a Binary.
func TestPatchInAResource(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	binary := `{"resourceType":"Binary","contentType":"` + JSONPatchMedia + `","data":"` + base64.StdEncoding.EncodeToString([]byte(`[{"op":"remove","path":"/a"}]`)) + `"}`
	for body, want := range map[string]bool{
		binary: true, string(pathPatch("delete", "Patient.name", "")): true,
		strings.Replace(binary, "json-patch", "xml-patch", 1): false, strings.Replace(binary, `"data":"`, `"data":"!`, 1): false, patient: false,
	} {
		r, err := fhir.Parse([]byte(body), fhir.DefaultLimits)
		p.must(err)
		if _, err := p.alterationOf(r); (err == nil) != want {
			t.Errorf("%s: %v", body, err)
		}
	}
	if _, err := p.alterationOf(nil); err == nil {
		t.Error("nothing is a patch")
	}
}
