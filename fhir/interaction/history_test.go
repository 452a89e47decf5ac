package interaction

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
)

// bundleOf parses an answer's Bundle.
func (p *shop) bundleOf(a *Answer, err error) *fhir.Node {
	p.t.Helper()
	p.must(err)
	r, err := fhir.Parse(a.Body(), fhir.DefaultLimits)
	p.must(err)
	return r.Root()
}

// lines is one line per entry: method, status, version, family name.
func lines(b *fhir.Node) (out []string) {
	entries := b.Member("entry")
	for i := range entries.Len() {
		e := entries.At(i)
		var family string
		if names := e.Member("resource").Member("name"); names != nil {
			family = names.At(0).Member("family").Text()
		}
		out = append(out, strings.Join([]string{e.Member("request").Member("method").Text(), e.Member("response").Member("status").Text(),
			e.Member("resource").Member("meta").Member("versionId").Text(), family}, " "))
	}
	return out
}

func next(b *fhir.Node) string {
	links := b.Member("link")
	for i := range links.Len() {
		if links.At(i).Member("relation").Text() == "next" {
			u, _ := url.Parse(links.At(i).Member("url").Text())
			return u.RawQuery
		}
	}
	return ""
}

func named(family string) string {
	return strings.Replace(patient, "Muster", family, 1)
}

// TestHistoryOfAResource: every version, newest first, deletions included (R4
// http.html#history).
func TestHistoryOfAResource(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", named("A"))
	p.put("Patient", "p1", named("B"))
	_, err := p.Delete(t.Context(), p.as("integration"), "Patient", "p1")
	p.must(err)
	p.put("Patient", "p1", named("C"))
	b := p.bundleOf(p.History(t.Context(), p.as("clinician"), "Patient", "p1", ""))
	want := []string{"PUT 201 4 C", "DELETE 204  ", "PUT 200 2 B", "PUT 201 1 A"}
	if got := lines(b); fmt.Sprint(got) != fmt.Sprint(want) || b.Member("type").Text() != "history" {
		t.Errorf("%q, want %q", got, want)
	}
	if n := len(p.rec.last().Entities); n != len(want) {
		t.Errorf("the audit event names %d versions", n)
	}
}

// TestHistoryPages: the pages of a link hold every version once, whatever is
// written meanwhile, and the link is good for its caller alone.
func TestHistoryPages(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	for i := range 7 {
		p.put("Patient", "p1", named(fmt.Sprint("N", i)))
	}
	c := p.as("clinician")
	var got []string
	b := p.bundleOf(p.History(t.Context(), c, "Patient", "p1", "_count=3"))
	for pages := 1; ; pages++ {
		got = append(got, lines(b)...)
		link := next(b)
		if link == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		p.put("Patient", "p1", named("later"))
		a, err := p.History(t.Context(), p.as("nurse"), "Patient", "p1", link)
		p.refused(a, err, Malformed)
		a, err = p.History(t.Context(), c, "Patient", "p2", link)
		p.refused(a, err, Malformed)
		b = p.bundleOf(p.History(t.Context(), c, "Patient", "p1", link))
	}
	if len(got) != 7 || got[0] != "PUT 200 7 N6" || got[6] != "PUT 201 1 N0" {
		t.Errorf("%q", got)
	}
}

// TestHistoryJudgesEveryVersion: what a caller may not see now or could not
// see then is not in the history, and an invisible resource is an unknown one.
func TestHistoryJudgesEveryVersion(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	labelled := `{"resourceType":"Patient","id":"p1","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},` + patient[len(`{"resourceType":"Patient","id":"p1",`):]
	p.put("Patient", "p1", labelled)
	p.put("Patient", "p1", named("open"))
	text := string(must(p, func() (*Answer, error) {
		return p.History(t.Context(), p.as("researcher"), "Patient", "p1", "")
	}).Body())
	if strings.Contains(text, "open") || strings.Contains(text, "Muster") || strings.Contains(text, "m4711") || !strings.Contains(text, "REDACTED") {
		t.Errorf("a researcher's history: %s", text)
	}
	for role, want := range map[string]Kind{"admin": Denied, "privacy-officer": Denied} {
		a, err := p.History(t.Context(), p.as(role), "Patient", "p1", "")
		p.refused(a, err, want)
	}
	p.put("Patient", "p2", strings.Replace(patient, `"p1"`, `"p2"`, 1))
	for _, id := range []string{"p2", "unknown"} { // the patient role is p1
		a, err := p.History(t.Context(), p.as("patient"), "Patient", id, "")
		p.refused(a, err, NotFound)
	}
}

func TestHistoryRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	for query, want := range map[string]Kind{"_count=0": Malformed, "_count=-1": Malformed, "_count=x": Malformed, "name=x": Malformed,
		"_page=forged": Malformed, "%zz": Malformed} {
		a, err := p.History(t.Context(), p.as("clinician"), "Patient", "p1", query)
		p.refused(a, err, want)
	}
	a, err := p.History(t.Context(), p.as("clinician"), "Patient", "a_b", "")
	p.refused(a, err, Malformed)
	a, err = p.History(t.Context(), p.as("clinician"), "Nothing", "p1", "")
	p.refused(a, err, NotFound)
}

func must(p *shop, ask func() (*Answer, error)) *Answer {
	p.t.Helper()
	a, err := ask()
	p.must(err)
	return a
}
