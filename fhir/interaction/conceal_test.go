package interaction

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// concealed stores an observation in six versions; of them the second and third
// change what research does not see, the fourth changes what it sees, the fifth
// deletes it, and the sixth brings it back.
func concealed(t *testing.T) *shop {
	p := newShop(t)
	p.put("Patient", "p1", patient)
	for _, v := range []string{`"note":[{"text":"a"}],"valueString":"x"`, `"note":[{"text":"b"}],"valueString":"x"`, `"valueString":"x"`, `"valueInteger":4`} {
		p.put("Observation", "o", `{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"urn:s","code":"c"}]},"subject":{"reference":"Patient/p1"},`+
			strings.Replace(strings.Replace(v, `"valueString":"x"`, `"valueQuantity":{"value":1}`, 1), `"valueInteger":4`, `"valueQuantity":{"value":4}`, 1)+`}`)
	}
	_, err := p.Delete(t.Context(), p.as("integration"), "Observation", "o")
	p.must(err)
	p.put("Observation", "o", `{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"urn:s","code":"c"}]},"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":4}}`)
	return p
}

func TestHiddenChangeShowsNowhere(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	c := p.as("researcher")
	asked := map[string]func() (*Answer, error){
		"read":     func() (*Answer, error) { return p.Read(t.Context(), c, "Patient", "p1") },
		"history":  func() (*Answer, error) { return p.History(t.Context(), c, "Patient", "p1", "") },
		"search":   func() (*Answer, error) { return p.Search(t.Context(), c, "Patient", "_id=p1") },
		"sorted":   func() (*Answer, error) { return p.Search(t.Context(), c, "Patient", "_sort=_id") },
		"summary":  func() (*Answer, error) { return p.Search(t.Context(), c, "Patient", "_summary=true") },
		"elements": func() (*Answer, error) { return p.Search(t.Context(), c, "Patient", "_elements=meta") },
		"system":   func() (*Answer, error) { return p.SearchSystem(t.Context(), c, "_type=Patient") },
		"$meta": func() (*Answer, error) {
			return p.Operate(t.Context(), c, Invocation{Code: "meta", Type: "Patient", ID: "p1"})
		},
		"everything": func() (*Answer, error) {
			return p.Operate(t.Context(), c, Invocation{Code: "everything", Type: "Patient", ID: "p1"})
		},
		"batch": func() (*Answer, error) {
			return p.Bundle(t.Context(), c, []byte(`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/p1"}},{"request":{"method":"GET","url":"Patient/p1/_history"}}]}`))
		},
	}
	seen := func(name string) string {
		a, err := asked[name]()
		p.must(err)
		body := string(a.Body())
		if a.Streamed() {
			for chunk, err := range a.Chunks(t.Context()) {
				p.must(err)
				body += string(chunk)
			}
		}
		if _, err := p.Read(t.Context(), c, "Patient", "p1"); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(a.Status(), a.ETag(), a.LastModified(), a.Location(), body)
	}
	before := map[string]string{}
	for name := range asked {
		before[name] = seen(name)
		for _, trace := range []string{"versionId", "lastUpdated", "lastModified", `_history/`} {
			if strings.Contains(before[name], trace) {
				t.Errorf("%s tells %s", name, trace)
			}
		}
		if !strings.Contains(before[name], "+0000 UTC") || !strings.Contains(before[name], "0001-01-01") {
			t.Errorf("%s has a time", name)
		}
	}
	p.put("Patient", "p1", strings.Replace(patient, "Muster", "Changed", 1))
	for name := range asked {
		if after := seen(name); after != before[name] {
			t.Errorf("a hidden change shows in %s:\n%s\n%s", name, before[name], after)
		}
	}
}

func TestHistoryIsCollapsedToVisibleChanges(t *testing.T) {
	t.Parallel()
	p := concealed(t)
	for count, pages := range map[string]int{"": 1, "_count=1": 4} {
		var methods []string
		query, n := count, 0
		for ; n == 0 || query != ""; n++ {
			a, err := p.History(t.Context(), p.as("researcher"), "Observation", "o", query)
			p.must(err)
			var b struct {
				Total *int
				Link  []struct{ Relation, URL string }
				Entry []struct{ Request struct{ Method string } }
			}
			p.must(json.Unmarshal(a.Body(), &b))
			if n == 0 && (b.Total == nil || *b.Total != 4) {
				t.Errorf("total %v", b.Total)
			}
			for _, e := range b.Entry {
				methods = append(methods, e.Request.Method)
			}
			query = ""
			for _, l := range b.Link {
				if l.Relation == "next" {
					query = l.URL[strings.Index(l.URL, "?")+1:]
				}
			}
		}
		if got := strings.Join(methods, " "); got != "PUT DELETE PUT PUT" || n != pages {
			t.Errorf("%q: %s on %d pages", count, got, n)
		}
	}
	if a, err := p.History(t.Context(), p.as("integration"), "Observation", "o", ""); err != nil || bytes.Count(a.Body(), []byte("versionId")) != 5 {
		t.Errorf("others see %v, %v", a, err)
	}
}

// What asks for versions or their times is refused, with the same answer
// whatever is stored.
func TestConcealedTimesAreNoOracle(t *testing.T) {
	t.Parallel()
	p := concealed(t)
	c := p.as("researcher")
	for _, query := range []string{"_since=2020-01-01T00:00:00Z", "_at=2020", "_sort=_lastUpdated"} {
		a, err := p.History(t.Context(), c, "Observation", "o", query)
		p.refused(a, err, Denied)
	}
	for _, query := range []string{"_lastUpdated=gt2020", "_sort=-_lastUpdated", "_sort=date,_lastUpdated", "_lastUpdated:missing=true", "subject:Patient._lastUpdated=gt2020",
		"_has:Provenance:target:_lastUpdated=gt2020"} {
		a, err := p.Search(t.Context(), c, "Observation", query)
		p.refused(a, err, Denied)
	}
	for _, typ := range []string{"", "Observation"} {
		a, err := p.HistoryType(t.Context(), c, "Observation", "")
		if typ == "" {
			a, err = p.HistorySystem(t.Context(), c, "")
		}
		p.refused(a, err, Denied)
	}
	a, err := p.Operate(t.Context(), c, Invocation{Code: "everything", Type: "Patient", ID: "p1", Query: "_since=2020-01-01T00:00:00Z"})
	p.refused(a, err, Denied)
	for _, version := range []string{"1", "6", "7"} {
		a, err := p.VRead(t.Context(), c, "Observation", "o", version)
		p.refused(a, err, NotFound)
	}
	since := c
	since.IfModifiedSince = time.Now().Add(time.Hour)
	if a, err := p.Read(t.Context(), since, "Observation", "o"); err != nil || a.Status() != 200 {
		t.Errorf("If-Modified-Since is answered: %v", err)
	}
	for n := range 9 {
		match := c
		match.IfNoneMatch = fmt.Sprintf(`W/"%d"`, n)
		if a, err := p.Read(t.Context(), match, "Observation", "o"); err != nil || a.Status() != 200 {
			t.Errorf("If-None-Match tells the version: %v", err)
		}
	}
}

// A role that writes while changes are concealed from it knows versions by what
// it sees alone.
func TestConcealedVersionIsNoPrecondition(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	c := p.as("blindfold")
	seen, err := p.Read(t.Context(), c, "Patient", "p1")
	p.must(err)
	c.IfMatch = `W/"1"`
	a, err := p.Update(t.Context(), c, "Patient", "p1", []byte(patient))
	p.refused(a, err, Precondition)
	c.IfMatch = seen.ETag()
	a, err = p.Update(t.Context(), c, "Patient", "p1", bytes.Replace([]byte(patient), []byte("Organization/o1"), []byte("Organization/o2"), 1))
	p.must(err)
	if a.Location() != "Patient/p1" || !a.LastModified().IsZero() || bytes.Contains(a.Body(), []byte("versionId")) || a.ETag() == seen.ETag() {
		t.Errorf("the answer to a write tells the version: %q %v %q", a.Location(), a.LastModified(), a.ETag())
	}
	c.IfMatch = ""
	d, err := p.Delete(t.Context(), c, "Patient", "p1")
	if p.must(err); d.ETag() != "" || !d.LastModified().IsZero() {
		t.Error("the answer to a deletion tells the version")
	}
}
