package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// mongoLoad is one kind of interaction, and its commands issued bare.
type mongoLoad struct {
	load
	asked string // of its commands
	bare  bareCall
}

// mongoLoads are the interactions in their order: those that add come last,
// since the stand-in slows down with what it holds.
func mongoLoads(w *workload, b *bare) []mongoLoad {
	known := map[string]load{}
	for _, l := range w.loads() {
		known[l.Name] = l
	}
	const few = "as few as correctness allows"
	return []mongoLoad{
		{known["read by id, clinician"], "1 and a share of an audit batch", b.read},
		{w.searches(), "1 and one for keys", b.search},
		{w.feed(), "–", b.feed},
		{w.everything(), "–", b.everything},
		{w.existing(), "–", b.existing},
		{w.conditionalUpdates(), "–", b.commit(written{updates: 1, guards: 1, relies: true, searches: true})},
		{w.conditionalCreates(), "–", b.commit(written{creates: 1, guards: 1, relies: true, searches: true})},
		{known["update, Observation"], "–", b.commit(written{updates: 1, guards: 1})},
		{known["create, 1–3 kB Observation"], few, b.commit(written{creates: 1, guards: 1})},
		{known["transaction, 1 POST"], few, b.commit(written{creates: 1, guards: 1})},
		{known["transaction, 20 POST"], few, b.commit(written{creates: 20, guards: 10})},
		{known["transaction, 500 POST"], few, b.commit(written{creates: 500, guards: 50})},
	}
}

// patient is a stored one.
type patient struct {
	stored
	identifier string // system|value
}

func (w *workload) patients() (list []patient) {
	for _, r := range w.resources {
		if !strings.HasPrefix(r.path, "Patient/") {
			continue
		}
		p, err := fhir.Parse(r.body, bundleLimits)
		if err != nil {
			continue
		}
		id := p.Root().Member("identifier").At(0)
		list = append(list, patient{r, id.Member("system").Text() + "|" + id.Member("value").Text()})
	}
	return list
}

// The demo patients are there twice. soleSystem has the identifiers of others.
const (
	soleSystem   = "urn:bench"
	solePatients = 20
)

// soleBundle adds patients with identifiers of their own.
func soleBundle() []byte {
	body := []byte(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	for n := range solePatients {
		if n > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `{"fullUrl":"urn:uuid:00000000-0000-4000-8000-%012d","resource":{"resourceType":"Patient",`+
			`"identifier":[{"system":"%s","value":"n%d"}],"gender":"other","birthDate":"1980-02-03"},"request":{"method":"POST","url":"Patient"}}`, n, soleSystem, n)
	}
	return append(body, "]}"...)
}

// ofPatients makes one request for each demo patient, or for each whom a single
// identifier names.
func (w *workload) ofPatients(name string, sole bool, request func(patient) []byte) load {
	l := load{Name: name, Want: 200, PerCall: 1, Unit: "req/s"}
	for _, p := range w.patients() {
		if sole == strings.HasPrefix(p.identifier, soleSystem+"|") {
			l.Requests = append(l.Requests, prepared{Bytes: request(p)})
		}
	}
	return l
}

// searches ask for one patient by an identifier.
func (w *workload) searches() load {
	return w.ofPatients("search, Patient?identifier", true, func(p patient) []byte {
		return w.request("GET", "Patient?identifier="+url.QueryEscape(p.identifier), "clinician", nil)
	})
}

// feed reads the newest page.
func (w *workload) feed() load {
	return load{Name: "history of the system, page of 1,000", Want: 200, PerCall: 1, Unit: "req/s",
		Requests: []prepared{{Bytes: w.request("GET", "_history?_count=1000", "integration", nil)}}}
}

// everything reads the record of one patient.
func (w *workload) everything() load {
	l := w.ofPatients("Patient/$everything", false, func(p patient) []byte { return w.request("GET", p.path+"/$everything", "clinician", nil) })
	l.Requests = l.Requests[:1]
	return l
}

func (w *workload) conditionalUpdates() load {
	return w.ofPatients("conditional update, Patient?identifier", true, func(p patient) []byte {
		return w.request("PUT", "Patient?identifier="+url.QueryEscape(p.identifier), "integration", p.body)
	})
}

// existing are conditional creates of what exists.
func (w *workload) existing() load {
	return w.ofPatients("conditional create, exists", true, func(p patient) []byte {
		return unless(w.request("POST", "Patient", "integration", p.body), "identifier="+url.QueryEscape(p.identifier))
	})
}

// conditionalCreates create a new patient each time.
func (w *workload) conditionalCreates() load {
	const fresh = "urn:uuid:00000000-0000-4000-8000-000000000000"
	body := []byte(`{"resourceType":"Patient","identifier":[{"system":"urn:bench","value":"` + fresh + `"}],"gender":"other","birthDate":"1980-02-03"}`)
	request := unless(w.request("POST", "Patient", "integration", body), "identifier=urn:bench|"+fresh)
	return load{Name: "conditional create, new", Want: 201, PerCall: 1, Unit: "req/s", Requests: []prepared{withFreshUUIDs(request)}}
}

// unless makes a request conditional.
func unless(request []byte, query string) []byte {
	return []byte(strings.Replace(string(request), "\r\n", "\r\nIf-None-Exist: "+query+"\r\n", 1))
}
