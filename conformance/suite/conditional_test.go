package suite

import (
	"fmt"
	"net/url"
	"sync"
	"testing"
)

// where is a conditional URL of Patients by the identifier of a person.
func where(p object) string { return "/Patient?identifier=" + url.QueryEscape(identifierOf(p)) }

func TestConditionalUpdate(t *testing.T) { // R4 http.html#cond-update
	t.Parallel()
	s := shared(t)
	p := person("")
	id := s.do(t, integration, "PUT", where(p), p).want(201).id() // no match, no id
	p["active"] = true
	if a := s.do(t, integration, "PUT", where(p), p).want(200); a.id() != id || a.header.Get("ETag") != `W/"2"` { // one match, no id
		t.Errorf("updated %s with ETag %s, want %s", a.id(), a.header.Get("ETag"), id)
	}
	p["id"] = id
	s.do(t, integration, "PUT", where(p), p).want(200) // one match, its id
	p["id"] = unique("other-")
	s.do(t, integration, "PUT", where(p), p).outcome(400) // one match, another id
	fresh := person(unique("chosen-"))
	if a := s.do(t, integration, "PUT", where(fresh), fresh).want(201); a.id() != fresh["id"] { // no match, an id
		t.Errorf("created %s", a.id())
	}
	taken := person(id)
	s.do(t, integration, "PUT", where(taken), taken).outcome(409) // no match, an id that is taken
	bad := person("no id")
	s.do(t, integration, "PUT", where(bad), bad).outcome(400)
	twin := person("")
	twin["identifier"] = p["identifier"]
	s.create(t, twin)
	delete(p, "id")
	s.do(t, integration, "PUT", where(p), p).outcome(412) // two matches
	if got := s.do(t, integration, "GET", "/Patient/"+id, nil).want(200).header.Get("ETag"); got != `W/"3"` {
		t.Errorf("refused updates wrote: %s", got)
	}
}

func TestConditionalUpdateUnderIfMatch(t *testing.T) {
	t.Parallel()
	s := shared(t)
	p := person("")
	s.do(t, integration, "PUT", where(p), p, "If-Match", `W/"1"`).outcome(412)
	s.create(t, p)
	s.do(t, integration, "PUT", where(p), p, "If-Match", `W/"7"`).outcome(412)
	s.do(t, integration, "PUT", where(p), p, "If-Match", `W/"1"`).want(200)
	s.do(t, integration, "PUT", where(p), p, "If-None-Match", "*").outcome(412)
	fresh := person(unique("none-"))
	path := "/Patient/" + fresh["id"].(string)
	s.do(t, integration, "PUT", path, fresh, "If-None-Match", "*").want(201)
	s.do(t, integration, "PUT", path, fresh, "If-None-Match", "*").outcome(412)
	s.do(t, integration, "PUT", path, fresh, "If-None-Match", `W/"1"`).outcome(412)
	s.do(t, integration, "PUT", path, fresh, "If-None-Match", `W/"9"`).want(200)
}

func TestConditionalDelete(t *testing.T) { // R4 http.html#3.1.0.7.1
	t.Parallel()
	s := shared(t)
	p := person("")
	s.do(t, integration, "DELETE", where(p), nil).want(204)
	id := s.create(t, p)
	s.do(t, integration, "DELETE", where(p), nil, "If-Match", `W/"9"`).outcome(412)
	s.do(t, integration, "DELETE", where(p), nil).want(204)
	s.do(t, integration, "GET", "/Patient/"+id, nil).outcome(410)
	ids := []string{s.create(t, p), s.create(t, p)}
	s.do(t, integration, "DELETE", where(p), nil).outcome(412)
	for _, id := range ids {
		s.do(t, integration, "GET", "/Patient/"+id, nil).want(200)
	}
}

func TestConditionalDeleteOfSeveralWhenConfigured(t *testing.T) {
	t.Parallel()
	s := start(t, "--conditional-delete", "multiple", "--max-bundle-entries", "3")
	if got := at(s.do(t, nobody, "GET", "/metadata", nil).json(), "rest", 0, "resource", 0, "conditionalDelete"); got != "multiple" {
		t.Errorf("the statement says %v", got)
	}
	p := person("")
	for range 3 {
		s.create(t, p)
	}
	s.do(t, integration, "DELETE", where(p), nil).want(204)
	if n := s.total(t, where(p)); n != 0 {
		t.Errorf("%d are left", n)
	}
	for range 4 {
		s.create(t, p)
	}
	s.do(t, integration, "DELETE", where(p), nil).outcome(412)
	if n := s.total(t, where(p)); n != 4 {
		t.Errorf("%d of 4 are left", n)
	}
}

// A condition is a search: what the caller may not search by, or may not see,
// must not show in what becomes of it.
func TestConditionalURLIsNoOracle(t *testing.T) { // abuse 47, decision 20
	t.Parallel()
	s := shared(t)
	p := person("")
	s.create(t, p)
	for _, role := range []string{researcher, patient, nurse} {
		for _, method := range []string{"PUT", "DELETE"} {
			var body any
			if method == "PUT" {
				body = p
			}
			known, unknown := s.do(t, role, method, where(p), body).outcome(403), s.do(t, role, method, where(person("")), body).outcome(403)
			if string(known.body) != string(unknown.body) {
				t.Errorf("%s %s tells a match from none", role, method)
			}
		}
	}
	for _, criteria := range []string{"", "?", "?_count=1", "?nonsense=1", "?identifier=", "?_sort=family"} {
		s.do(t, integration, "DELETE", "/Patient"+criteria, nil).outcome(400)
		s.do(t, integration, "PUT", "/Patient"+criteria, p).outcome(400)
	}
	s.do(t, integration, "DELETE", "/AuditEvent?date=2020", nil).outcome(403)
}

func TestConcurrentConditionalUpdatesMakeOneResource(t *testing.T) { // decision 29
	t.Parallel()
	s := shared(t)
	for _, criteria := range []string{"identifier", "family"} { // guarded by its value, guarded by its type
		t.Run(criteria, func(t *testing.T) {
			t.Parallel()
			p := person("")
			path := where(p)
			if criteria == "family" {
				path = fmt.Sprintf("/Patient?family:exact=%s", at(p, "name", 0, "family"))
			}
			statuses, ids := map[int]int{}, map[string]bool{}
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 32 {
				wg.Go(func() {
					a, err := s.try(t, integration, "PUT", path, p)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					if statuses[a.status]++; a.status < 300 {
						ids[a.id()] = true
					}
				})
			}
			wg.Wait()
			if statuses[201] != 1 || len(ids) != 1 || statuses[200]+statuses[409] != 31 || s.total(t, where(p)) != 1 {
				t.Errorf("statuses %v, ids %v, %d stored", statuses, ids, s.total(t, where(p)))
			}
		})
	}
}
