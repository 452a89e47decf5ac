package interaction

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func (p *shop) putBinary(id, context string) {
	p.t.Helper()
	p.put("Binary", id, string(BinaryResource(id, "text/plain", context, []byte("secret"))))
}

// TestExtensionsOfABinaryStayHidden: a Binary holds few classes by its definition,
// and was shown whole to who sees these.
func TestExtensionsOfABinaryStayHidden(t *testing.T) {
	t.Parallel()
	p := newShopWith(t, shopOptions{rows: "role, role:archivist, sees what a Binary holds\np, role:archivist, Binary, read|search, identifier|narrative|clinical|administrative, *, all_patients, allow\n"})
	p.put("Binary", "b", `{"resourceType":"Binary","id":"b","contentType":"text/plain","_contentType":{"extension":[{"url":"urn:x","valueString":"unclassed"}]},"data":"c2VjcmV0"}`)
	a, err := p.Read(t.Context(), p.as("archivist"), "Binary", "b")
	p.must(err)
	if bytes.Contains(a.Body(), []byte("unclassed")) || !bytes.Contains(a.Body(), []byte("REDACTED")) {
		t.Errorf("%s", a.Body())
	}
}

// A Binary is for those who may read what its securityContext names (R4
// binary.html#security).
func TestBinaryIsJudgedAsItsSecurityContext(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	p.put("Patient", "p2", strings.NewReplacer(`"p1"`, `"p2"`, "Organization/o1", "Organization/o9").Replace(patient))
	p.put("DocumentReference", "mine", `{"resourceType":"DocumentReference","id":"mine","status":"current","subject":{"reference":"Patient/p1"},"custodian":{"reference":"Organization/o1"},"content":[{"attachment":{"title":"x"}}]}`)
	p.put("DocumentReference", "labelled", `{"resourceType":"DocumentReference","id":"labelled","meta":`+restricted+`,"status":"current","subject":{"reference":"Patient/p2"},"content":[{"attachment":{"title":"x"}}]}`)
	for id, context := range map[string]string{"b-mine": "DocumentReference/mine", "b-p1": base + "/Patient/p1", "b-p2": "Patient/p2", "b-labelled": "DocumentReference/labelled", "b-none": "", "b-gone": "Patient/gone", "b-chain": "Binary/b-p1"} {
		p.putBinary(id, context)
	}
	for _, c := range []struct {
		role, id string
		seen     bool
	}{
		{"clinician", "b-mine", true}, {"clinician", "b-p2", true}, {"clinician", "b-none", true}, {"clinician", "b-gone", true}, {"clinician", "b-labelled", true},
		{"patient", "b-mine", true}, {"patient", "b-p1", true}, {"patient", "b-p2", false}, {"patient", "b-labelled", false}, {"patient", "b-none", false}, {"patient", "b-gone", false}, {"patient", "b-chain", false},
		{"ward", "b-mine", true}, {"ward", "b-p1", true}, {"ward", "b-p2", false}, {"ward", "b-none", false}, {"ward", "b-chain", false},
	} {
		a, err := p.Read(t.Context(), p.as(c.role), "Binary", c.id)
		if c.seen {
			if err != nil || !bytes.Contains(a.Body(), []byte(`"data":"c2VjcmV0"`)) {
				t.Errorf("%s %s: %v", c.role, c.id, err)
			}
			continue
		}
		p.refused(a, err, NotFound)
		a, err = p.VRead(t.Context(), p.as(c.role), "Binary", c.id, "1")
		p.refused(a, err, NotFound)
		a, err = p.History(t.Context(), p.as(c.role), "Binary", c.id, "")
		p.refused(a, err, NotFound)
		if found, err := p.Search(t.Context(), p.as(c.role), "Binary", "_id="+c.id); err == nil && bytes.Contains(found.Body(), []byte("c2Vj")) {
			t.Errorf("%s finds %s", c.role, c.id)
		}
	}
	// The nurse sees no narrative under a restricted label, the researcher none.
	for role, id := range map[string]string{"nurse": "b-labelled", "researcher": "b-mine"} {
		a, err := p.Read(t.Context(), p.as(role), "Binary", id)
		p.must(err)
		if _, _, err := a.Content(); !errors.Is(err, ErrHiddenContent) || bytes.Contains(a.Body(), []byte("c2Vj")) {
			t.Errorf("%s: %v %s", role, err, a.Body())
		}
	}
	a, err := p.Read(t.Context(), p.as("nurse"), "Binary", "b-mine")
	p.must(err)
	if media, data, err := a.Content(); media != "text/plain" || string(data) != "secret" || err != nil {
		t.Errorf("%s %s %v", media, data, err)
	}
}

func TestBinaryCannotBeHungOnAHiddenContext(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	p.put("Patient", "p2", strings.NewReplacer(`"p1"`, `"p2"`, "Organization/o1", "Organization/o9").Replace(patient))
	ward := p.as("ward")
	_, err := p.Create(t.Context(), ward, "Binary", BinaryResource("", "text/plain", "Patient/p1", []byte("x")))
	p.must(err)
	for _, context := range []string{"Patient/p2", "Patient/none", ""} {
		a, err := p.Create(t.Context(), ward, "Binary", BinaryResource("", "text/plain", context, []byte("x")))
		p.refused(a, err, Denied)
	}
	p.putBinary("b", "Patient/p2")
	a, err := p.Update(t.Context(), ward, "Binary", "b", BinaryResource("b", "text/plain", "Patient/p1", []byte("x")))
	p.refused(a, err, NotFound)
	// Another patient's keys: the action reassign.
	a, err = p.Update(t.Context(), p.as("clinician"), "Binary", "b", BinaryResource("b", "text/plain", "Patient/p1", []byte("x")))
	p.refused(a, err, Denied)
}

// A label that the context gets later holds for the Binary at once.
func TestBinaryFollowsLaterLabelsOfItsContext(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	p.putBinary("b", "Patient/p1")
	a, err := p.Read(t.Context(), p.as("nurse"), "Binary", "b")
	p.must(err)
	if _, _, err := a.Content(); err != nil {
		t.Error(err)
	}
	p.put("Patient", "p1", strings.Replace(patient, `"identifier"`, `"meta":`+restricted+`,"identifier"`, 1))
	a, err = p.Read(t.Context(), p.as("nurse"), "Binary", "b")
	p.must(err)
	if _, _, err := a.Content(); !errors.Is(err, ErrHiddenContent) {
		t.Errorf("%v", err)
	}
	_, err = p.Delete(t.Context(), p.as("clinician"), "Binary", "b")
	p.must(err)
	a, err = p.Read(t.Context(), p.as("clinician"), "Binary", "b")
	p.refused(a, err, Gone)
	a, err = p.Read(t.Context(), p.as("patient"), "Binary", "b")
	p.refused(a, err, NotFound)
}
