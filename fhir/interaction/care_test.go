package interaction

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/repository"
)

func at(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }

const days = 24 * time.Hour

// relations are resources that make Practitioner/dr care for Patient/p2, or do
// not.
func relations() map[string]struct {
	text string
	want bool
} {
	member := `"participant":[{"member":{"reference":"Practitioner/dr"}}]`
	encounter := func(status, period string) string {
		return `{"resourceType":"Encounter","id":"r","status":"` + status + `","class":{"code":"AMB"},"subject":{"reference":"Patient/p2"},"participant":[{"individual":{"reference":"Practitioner/dr"}}]` + period + `}`
	}
	period := func(from, until time.Duration) string {
		return `,"period":{"start":"` + at(from) + `","end":"` + at(until) + `"}`
	}
	appointment := func(from time.Duration, status string) string {
		return `{"resourceType":"Appointment","id":"r","status":"` + status + `","start":"` + at(from) + `","end":"` + at(from+time.Hour) +
			`","participant":[{"actor":{"reference":"Patient/p2"},"status":"accepted"},{"actor":{"reference":"Practitioner/dr"},"status":"accepted"}]}`
	}
	request := func(status, performer string) string {
		return `{"resourceType":"ServiceRequest","id":"r","status":"` + status + `","intent":"order","subject":{"reference":"Patient/p2"},"performer":[{"reference":"` + performer + `"}]}`
	}
	type relation = struct {
		text string
		want bool
	}
	return map[string]relation{
		"member of the care team":       {`{"resourceType":"CareTeam","id":"r","status":"active","subject":{"reference":"Patient/p2"},` + member + `}`, true},
		"team by absolute reference":    {`{"resourceType":"CareTeam","id":"r","status":"active","subject":{"reference":"` + base + `/Patient/p2"},` + member + `}`, true},
		"inactive team":                 {`{"resourceType":"CareTeam","id":"r","status":"inactive","subject":{"reference":"Patient/p2"},` + member + `}`, false},
		"team of the past":              {`{"resourceType":"CareTeam","id":"r","status":"active","period":{"end":"2020-01-01"},"subject":{"reference":"Patient/p2"},` + member + `}`, false},
		"team with an unreadable end":   {`{"resourceType":"CareTeam","id":"r","status":"active","subject":{"identifier":{"value":"p2"}},` + member + `}`, false},
		"another server's practitioner": {`{"resourceType":"CareTeam","id":"r","status":"active","subject":{"reference":"Patient/p2"},"participant":[{"member":{"reference":"http://elsewhere.test/fhir/Practitioner/dr"}}]}`, false},
		"team by role":                  {`{"resourceType":"CareTeam","id":"r","status":"active","subject":{"reference":"Patient/p2"},"participant":[{"member":{"reference":"PractitionerRole/now"}}]}`, true},
		"team by a former role":         {`{"resourceType":"CareTeam","id":"r","status":"active","subject":{"reference":"Patient/p2"},"participant":[{"member":{"reference":"PractitionerRole/then"}}]}`, false},
		"team by a colleague's role":    {`{"resourceType":"CareTeam","id":"r","status":"active","subject":{"reference":"Patient/p2"},"participant":[{"member":{"reference":"PractitionerRole/other"}}]}`, false},
		"encounter under way":           {encounter("in-progress", `,"period":{"start":"`+at(-400*days)+`"}`), true},
		"encounter just finished":       {encounter("finished", period(-12*days, -10*days)), true},
		"encounter of long ago":         {encounter("finished", period(-100*days, -40*days)), false},
		"encounter next month":          {encounter("planned", period(30*days, 31*days)), false},
		"cancelled encounter":           {encounter("cancelled", period(-time.Hour, time.Hour)), false},
		"encounter entered in error":    {encounter("entered-in-error", period(-time.Hour, time.Hour)), false},
		"appointment tomorrow":          {appointment(days, "booked"), true},
		"appointment in a year":         {appointment(365*days, "booked"), false},
		"appointment a year ago":        {appointment(-365*days, "fulfilled"), false},
		"cancelled appointment":         {appointment(days, "cancelled"), false},
		"appointment not kept":          {appointment(-days, "noshow"), false},
		"request to perform":            {request("active", "Practitioner/dr"), true},
		"request to the role":           {request("active", "PractitionerRole/now"), true},
		"request that is done":          {request("completed", "Practitioner/dr"), false},
		"request to another":            {request("active", "Practitioner/other"), false},
	}
}

func (p *shop) mayRead(role, typ, id string) bool {
	p.t.Helper()
	_, err := p.Read(p.t.Context(), p.as(role), typ, id)
	if err != nil && failure(err).Kind != NotFound {
		p.t.Errorf("%s/%s: %v", typ, id, err)
	}
	return err == nil
}

// TestRelationships: each kind of relationship opens the compartment, at once
// when it is written and no longer when it is taken away.
func TestRelationships(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.put("PractitionerRole", "now", `{"resourceType":"PractitionerRole","id":"now","practitioner":{"reference":"Practitioner/dr"}}`)
	p.put("PractitionerRole", "then", `{"resourceType":"PractitionerRole","id":"then","active":false,"practitioner":{"reference":"Practitioner/dr"}}`)
	p.put("PractitionerRole", "other", `{"resourceType":"PractitionerRole","id":"other","practitioner":{"reference":"Practitioner/other"}}`)
	p.put("Practitioner", "other", `{"resourceType":"Practitioner","id":"other"}`)
	for name, r := range relations() {
		typ := strings.Split(r.text, `"`)[3]
		if p.mayRead("doctor", "Observation", "b0") {
			t.Fatalf("before %s: a stranger's observation is read", name)
		}
		p.put(typ, "r", r.text)
		if got := p.mayRead("doctor", "Observation", "b0"); got != r.want {
			t.Errorf("%s: reads %v", name, got)
		}
		if b := p.found("doctor", "Observation?_summary=count&code=c0"); *b.Total != map[bool]int{true: 2}[r.want] {
			t.Errorf("%s: counts %d", name, *b.Total)
		}
		if p.mayRead("doctor", "Observation", "b1") {
			t.Errorf("%s: opens another patient", name)
		}
		_, err := p.Delete(t.Context(), p.as("integration"), typ, "r")
		p.must(err)
	}
}

// TestRelatedSearchLooksAtNobodyElse: a search is narrowed in the index to the
// patients cared for, so that a page costs what they have, not what the hospital
// has.
func TestRelatedSearchLooksAtNobodyElse(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.put("CareTeam", "r", relations()["member of the care team"].text)
	c := p.as("doctor")
	x := p.newFinder(c, within{})
	e, err := p.Catalog.ParseConditions("Observation", "status=final")
	p.must(err)
	n := 0
	p.must(x.find(t.Context(), e, 0, "", func() int { return candidatePage }, func(hit, string) bool { n++; return true }))
	if n != 3 || x.checked != 3 {
		t.Errorf("%d matches of %d candidates, want 3 of 3", n, x.checked)
	}
}

// TestNobodysCircleIsEmpty: a subject whose reference is no practitioner, is no
// reference or is missing is related to nobody.
func TestNobodysCircleIsEmpty(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.put("CareTeam", "r", `{"resourceType":"CareTeam","id":"r","status":"active","subject":{"reference":"Patient/p2"},"participant":[{"member":{"reference":"Patient/p1"}},{"member":{"reference":"Organization/o1"}}]}`)
	for _, who := range []string{"", "Patient/p1", "Organization/o1", "dr", "Practitioner/dr/_history/1/x", "#x"} {
		c, err := p.circleOf(t.Context(), who)
		if err != nil || len(c.patients) != 0 {
			t.Errorf("%q: %v, %v", who, c.patients, err)
		}
	}
}

// failing is a store that cannot be searched for care teams.
type failing struct{ repository.Store }

func (f failing) Find(ctx context.Context, q repository.Query) (repository.Page, error) {
	if q.Type == "CareTeam" {
		return repository.Page{}, repository.ErrFull
	}
	return f.Store.Find(ctx, q)
}

// TestUnknownRelationshipDenies: when the index does not answer, what needs an
// answer is denied as an outage. "Not found", and a page without what may be
// there, would be untrue.
func TestUnknownRelationshipDenies(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.put("CareTeam", "r", relations()["member of the care team"].text)
	working := p.Store
	p.Store = failing{working}
	a, err := p.Read(t.Context(), p.as("doctor"), "Observation", "b0")
	p.refused(a, err, Unavailable)
	a, err = p.Search(t.Context(), p.as("doctor"), "Observation", "")
	p.refused(a, err, Unavailable)
	a, err = p.History(t.Context(), p.as("doctor"), "Observation", "b0", "")
	p.refused(a, err, Unavailable)
	b, err := p.Bundle(t.Context(), p.as("doctor"), []byte(`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Observation/b0"}}]}`))
	if err != nil || !strings.Contains(string(b.Body()), `"status":"503`) {
		t.Errorf("an entry of a batch: %v", err)
	}
	if list := b.Troubles(); len(list) != 1 || !errors.Is(list[0], repository.ErrFull) {
		t.Errorf("nobody who runs the server learns of it: %v", list)
	}
	p.Store = working
	if !p.mayRead("doctor", "Observation", "b0") {
		t.Error("an error was remembered")
	}
}

// BenchmarkPage is a page of 100 resources of several patients: for a role
// without conditions, and under relationship, consent and label (asked: 300 µs
// more).
func BenchmarkPage(b *testing.B) {
	for _, role := range []string{"integration", "doctor"} {
		b.Run(role, func(b *testing.B) {
			p := newShop(b)
			for i := range 10 {
				id := fmt.Sprintf("n%d", i)
				p.put("Patient", id, `{"resourceType":"Patient","id":"`+id+`"}`)
				p.put("CareTeam", "t"+id, `{"resourceType":"CareTeam","id":"t`+id+`","status":"active","subject":{"reference":"Patient/`+id+`"},"participant":[{"member":{"reference":"Practitioner/dr"}}]}`)
				p.put("Consent", "c"+id, consentOf(id, `"provision":{"type":"permit","provision":[{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Condition"}]}]}`))
			}
			for i := range 100 {
				p.put("Observation", fmt.Sprintf("o%d", i), fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/n%d"}}`, i, i%10))
			}
			c := p.as(role)
			g, err := p.Decider.Decide(b.Context(), c.Subject, authz.Request{Action: authz.Search, Type: "Observation"})
			p.must(err)
			x := p.newFinder(c, within{})
			e, err := p.Catalog.ParseConditions("Observation", "status=final")
			p.must(err)
			var hits []hit
			p.must(x.find(b.Context(), e, 0, "", func() int { return candidatePage }, func(h hit, _ string) bool { hits = append(hits, h); return true }))
			if len(hits) != 100 {
				b.Fatal(len(hits))
			}
			for b.Loop() { // the decisions of a page
				for _, h := range hits {
					if p.visible(b.Context(), g, h.stored) == 0 {
						b.Fatal("not visible")
					}
				}
			}
		})
	}
}
