package suite

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

const keyHeader = "X-Idempotency-Key"

// A POST may be sent again until it is answered: with its key it takes effect
// once, whoever else sends it at the same time.
func TestPOSTWithAKeyMayBeRepeated(t *testing.T) {
	t.Parallel()
	s := shared(t)
	key, p := unique("key-"), person("")
	first := s.do(t, integration, "POST", "/Patient", p, keyHeader, key).want(201)
	again := s.do(t, integration, "POST", "/Patient", p, keyHeader, key).want(201)
	if again.header.Get("Location") != first.header.Get("Location") || again.header.Get("Idempotent-Replayed") != "true" ||
		first.header.Get("Idempotent-Replayed") != "" || string(again.body) != string(first.body) {
		t.Errorf("%v\n%v", first.header, again.header)
	}
	s.do(t, integration, "POST", "/Patient", person(""), keyHeader, key).outcome(422)
	if id := s.do(t, clinician, "POST", "/Patient", p, keyHeader, key).want(201).id(); id == first.id() {
		t.Error("a key reaches across users")
	}
	for _, bad := range []string{strings.Repeat("k", 10_000), "with space", "", "ümlaut"} {
		s.do(t, integration, "POST", "/Patient", p, keyHeader, bad).outcome(400)
	}
	got, _ := s.raw(t, "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", s.bearer(integration),
		"Content-Type: application/fhir+json\r\nX-Idempotency-Key: a\r\nX-Idempotency-Key: b\r\nContent-Length: 2\r\n\r\n{}")
	if c := statuses(t, got); len(c) != 1 || c[0] != 400 {
		t.Errorf("two keys: %v", c)
	}
	locations := make(chan string, 12)
	var wg sync.WaitGroup
	key, p = unique("key-"), person("")
	for range cap(locations) {
		wg.Go(func() {
			locations <- s.do(t, integration, "POST", "/Patient", p, keyHeader, key).want(201).header.Get("Location")
		})
	}
	wg.Wait()
	close(locations)
	same := map[string]bool{}
	for l := range locations {
		same[l] = true
	}
	if found := s.do(t, integration, "GET", "/Patient?identifier="+identifierOf(p), nil).want(200).resources(); len(same) != 1 || len(found) != 1 {
		t.Errorf("%d locations, %d resources", len(same), len(found))
	}
}

func TestTransactionWithAKeyMayBeRepeated(t *testing.T) {
	t.Parallel()
	s := start(t)
	key, one := unique("key-"), person("")
	var entries []object
	for range 3 {
		entries = append(entries, object{"resource": person(""), "request": object{"method": "POST", "url": "Patient"}})
	}
	entries[0]["resource"] = one
	body := bundle("transaction", entries)
	first := s.do(t, integration, "POST", "", body, keyHeader, key).want(200)
	s.kill() // no time to put anything away
	s = startOn(t, s.dir)
	again := s.do(t, integration, "POST", "", body, keyHeader, key).want(200)
	if again.header.Get("Idempotent-Replayed") != "true" {
		t.Error("carried out again")
	}
	where := func(a *answer) (l []string) {
		for _, e := range each(a.json(), "entry") {
			location := fmt.Sprint(at(e, "response", "location"))
			l = append(l, location[strings.Index(location, "Patient/"):])
		}
		return l
	}
	if a, b := where(first), where(again); len(a) != 3 || strings.Join(a, " ") != strings.Join(b, " ") {
		t.Errorf("%v and %v", a, b)
	}
	if found := s.do(t, integration, "GET", "/Patient?identifier="+identifierOf(one), nil).want(200).resources(); len(found) != 1 {
		t.Errorf("%d resources", len(found))
	}
}
