package interaction

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestUpdateUnderAMaskErasesNothingHidden(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	clerk := p.as("clerk")
	seen, err := p.Read(t.Context(), clerk, "Patient", "p1")
	p.must(err)
	if bytes.Contains(seen.Body(), []byte("m4711")) {
		t.Fatal("the clerk sees identifiers")
	}
	clerk.IfMatch = seen.ETag()
	a, err := p.Update(t.Context(), clerk, "Patient", "p1", bytes.Replace(seen.Body(), []byte("Organization/o1"), []byte("Organization/o2"), 1))
	p.must(err)
	if bytes.Contains(a.Body(), []byte("m4711")) {
		t.Error("the answer shows what the mask hides")
	}
	full, err := p.Read(t.Context(), p.as("clinician"), "Patient", "p1")
	p.must(err)
	for _, want := range []string{"m4711", "Muster", "Organization/o2"} {
		if !bytes.Contains(full.Body(), []byte(want)) {
			t.Errorf("%s is gone", want)
		}
	}
	if bytes.Contains(full.Body(), []byte("REDACTED")) {
		t.Error("the tag of the redacted view was stored")
	}
}

func TestMaskedCallerCannotWriteHiddenElements(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	clerk := p.as("clerk")
	a, err := p.Create(t.Context(), clerk, "Patient", []byte(patient))
	p.refused(a, err, Denied)
	a, err = p.Update(t.Context(), clerk, "Patient", "p1", []byte(patient))
	p.refused(a, err, Denied)
	p.put("Patient", "p1", patient)
	forged := []byte(strings.Replace(patient, "m4711", "0815", 1))
	a, err = p.Update(t.Context(), clerk, "Patient", "p1", forged)
	p.refused(a, err, Denied)
	_, err = p.Delete(t.Context(), p.as("integration"), "Patient", "p1")
	p.must(err)
	a, err = p.Update(t.Context(), clerk, "Patient", "p1", forged) // bringing it back
	p.refused(a, err, Denied)
}

func TestRemovedLabelDoesNotRevealHiddenNarrative(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	label := `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},`
	text := `{"resourceType":"Basic","id":"b1",` + label + `"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">secret</div>"},"code":{"coding":[{"code":"x"}]}}`
	p.put("Basic", "b1", text)
	scribe := p.as("scribe")
	seen, err := p.Read(t.Context(), scribe, "Basic", "b1")
	p.must(err)
	if bytes.Contains(seen.Body(), []byte("secret")) {
		t.Fatal("the narrative is not hidden")
	}
	a, err := p.Update(t.Context(), scribe, "Basic", "b1", []byte(`{"resourceType":"Basic","id":"b1","code":{"coding":[{"code":"x"}]}}`))
	p.refused(a, err, Denied)
	if p.version("Basic", "b1") != 1 {
		t.Error("the label was removed")
	}
}

func TestSearchByHiddenElementIsRefused(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	for _, query := range []string{"identifier=urn:mrn|m4711", "identifier=nothing"} {
		a, err := p.Search(t.Context(), p.as("clerk"), "Patient", query)
		p.refused(a, err, Denied)
	}
	clerk := p.as("clerk")
	clerk.IfNoneExist = "identifier=urn:mrn|m4711"
	a, err := p.Create(t.Context(), clerk, "Patient", []byte(`{"resourceType":"Patient","gender":"male"}`))
	p.refused(a, err, Denied)
}

func TestReassignNeedsItsAction(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	obs := `{"resourceType":"Observation","id":"x","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p1"}}`
	moved := []byte(strings.Replace(obs, "p1", "p2", 1))
	p.put("Observation", "x", obs)
	a, err := p.Update(t.Context(), p.as("clinician"), "Observation", "x", moved)
	p.refused(a, err, Denied)
	p.put("Observation", "x", string(moved))
}

func TestInvisibleAndUnknownAreOne(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p2", strings.NewReplacer(`"p1"`, `"p2"`, "Organization/o1", "Organization/o9").Replace(patient))
	ward := p.as("ward")
	for _, id := range []string{"p2", "none"} {
		body := []byte(strings.Replace(patient, `"p1"`, `"`+id+`"`, 1))
		a, err := p.Update(t.Context(), ward, "Patient", id, body) // update-as-create is not for the ward
		p.refused(a, err, NotFound)
		a, err = p.Read(t.Context(), ward, "Patient", id)
		p.refused(a, err, NotFound)
		a, err = p.History(t.Context(), ward, "Patient", id, "")
		p.refused(a, err, NotFound)
		if a, err = p.Delete(t.Context(), ward, "Patient", id); err != nil || a.Status() != 204 || a.ETag() != "" {
			t.Errorf("delete %s: %v", id, err)
		}
	}
	if p.version("Patient", "p2") != 1 {
		t.Error("an invisible resource was deleted")
	}
}

func TestWritesOutsideTheOwnOrganizationAreDenied(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	ward := p.as("ward")
	away := []byte(strings.Replace(patient, "Organization/o1", "Organization/o9", 1))
	a, err := p.Update(t.Context(), ward, "Patient", "p1", away)
	p.refused(a, err, Denied)
	a, err = p.Create(t.Context(), ward, "Patient", away)
	p.refused(a, err, Denied)
	if _, err = p.Create(t.Context(), ward, "Patient", []byte(patient)); err != nil {
		t.Error(err)
	}
}

// TestAStandInIsNoOracleForItsSource: of a patient whose birth date is hidden by
// its label alone the year shows; by asking which dates lie before or after it
// nobody finds month and day, in matches, counts and order.
func TestAStandInIsNoOracleForItsSource(t *testing.T) {
	t.Parallel()
	p := newShopWith(t, shopOptions{rows: `
role, role:mixed, sees all but demographics and contacts of restricted patients
p, role:mixed, record, read|search, identifier|limited|narrative|clinical|administrative|restricted, *, all_patients, allow
p, role:mixed, record, read|search, demographic|contact, *, not_restricted_label, allow
`})
	for _, text := range []string{
		`{"resourceType":"Patient","id":"spring","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"gender":"male","birthDate":"1990-03-05","deceasedDateTime":"2020-03-05","address":[{"city":"Ulm","state":"BW","country":"DE"}]}`,
		`{"resourceType":"Patient","id":"open","gender":"male","birthDate":"1990-03-05","deceasedDateTime":"2020-03-05","address":[{"city":"Ulm","state":"BW","country":"DE"}]}`,
	} {
		p.put("Patient", strings.SplitN(text, `"`, 9)[7], text)
	}
	c := p.as("mixed")
	a, err := p.Read(t.Context(), c, "Patient", "spring")
	p.must(err)
	if !bytes.Contains(a.Body(), []byte(`"birthDate":"1990"`)) {
		t.Fatalf("%s", a.Body())
	}
	for _, q := range []string{"birthdate=lt1990-06-01", "birthdate=gt1990-01-01", "birthdate=1990", "birthdate=1990-03-05", "birthdate=ne1991", "death-date=lt2020-06-01", "address-state=BW", "birthdate=lt1990-06-01&gender=male"} {
		for _, shape := range []string{"", "&_summary=count", "&_total=accurate&_count=1", "&_sort=birthdate", "&_elements=gender"} {
			a, err := p.ask(c, "Patient?"+q+shape)
			p.must(err)
			var b searchset
			p.must(json.Unmarshal(a.Body(), &b))
			if got := b.ids("match"); b.Total != nil && *b.Total != 1 || !strings.HasSuffix(shape, "count") && !slices.Equal(got, []string{"Patient/open"}) {
				t.Errorf("%s%s finds %v", q, shape, got)
			}
		}
		if b := p.foundAs(c, "Observation?subject:Patient."+q[:strings.IndexByte(q+"&", '&')]); len(b.Entry) != 0 {
			t.Errorf("a chain over %s finds %v", q, b.ids("match"))
		}
	}
	for q, want := range map[string]int{"deceased=true": 2, "deceased=false": 0} { // the year of death shows it
		for _, shape := range []string{"", "&_summary=count", "&_total=accurate&_sort=birthdate"} {
			if b := p.foundAs(c, "Patient?"+q+shape); b.Total != nil && *b.Total != want || shape == "" && len(b.ids("match")) != want {
				t.Errorf("%s%s finds %v", q, shape, b.ids("match"))
			}
		}
	}
	order := p.foundAs(c, "Patient?_sort=birthdate,gender")
	if got := order.ids("match"); !slices.Equal(got, []string{"Patient/open", "Patient/spring"}) {
		t.Errorf("the order %v reads what is hidden, or what stands in for it", got)
	}
}
