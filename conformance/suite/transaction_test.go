package suite

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// with sets members of an entry's request.
func with(e object, pairs ...string) object {
	r := e["request"].(object)
	for i := 0; i+1 < len(pairs); i += 2 {
		r[pairs[i]] = pairs[i+1]
	}
	return e
}

// request is an entry without a resource.
func request(method, url string) object {
	return object{"request": object{"method": method, "url": url}}
}

// to is a PUT or PATCH of a resource to a URL.
func to(method, url string, r object) object {
	e := request(method, url)
	e["resource"] = r
	return e
}

// criteria is a conditional URL without the leading slash.
func criteria(p object) string { return strings.TrimPrefix(where(p), "/") }

// statuses are the status codes of a Bundle answer's entries.
func (a *answer) statuses() string {
	a.t.Helper()
	var list []string
	for _, r := range a.responses() {
		s, _ := r["status"].(string)
		list = append(list, s[:min(3, len(s))])
	}
	return strings.Join(list, " ")
}

// patchJSON is a Binary that sets active.
func patchJSON() object {
	return object{"resourceType": "Binary", "contentType": "application/json-patch+json",
		"data": base64.StdEncoding.EncodeToString([]byte(`[{"op":"add","path":"/active","value":true}]`))}
}

// patchFHIR is a FHIRPath Patch that sets the gender.
func patchFHIR(gender string) object {
	return object{"resourceType": "Parameters", "parameter": []any{object{"name": "operation", "part": []any{
		object{"name": "type", "valueCode": "replace"}, object{"name": "path", "valueString": "Patient.gender"}, object{"name": "value", "valueCode": gender}}}}}
}

func TestTransactionProcessesByMethodAndReadsAfterwards(t *testing.T) { // R4 http.html#trules
	t.Parallel()
	s := shared(t)
	gone, changed, patched, fresh := person(""), person(""), person(""), person("")
	goneID := s.create(t, gone)
	changed["id"] = s.create(t, changed)
	patchedID := s.create(t, patched)
	changed["active"] = true
	b := transaction(request("GET", criteria(fresh)), request("GET", "Patient/"+goneID), request("HEAD", "Patient/"+patchedID),
		to("PATCH", "Patient/"+patchedID, patchJSON()), put(changed), post(fresh, ""), request("DELETE", "Patient/"+goneID), request("GET", "Patient/"+patchedID+"/_history?_count=1"))
	a := s.do(t, integration, "POST", "", b).want(200)
	if got := a.statuses(); got != "200 410 200 200 200 201 204 200" {
		t.Errorf("statuses %s: %.600s", got, a.body)
	}
	entries := each(a.json(), "entry")
	if n := len(each(entries[0]["resource"].(object), "entry")); n != 1 {
		t.Errorf("the search finds %d of the resource that the transaction created", n)
	}
	if at(entries[1], "response", "outcome", "resourceType") != "OperationOutcome" {
		t.Errorf("a read that fails: %v", entries[1])
	}
	if entries[2]["resource"] != nil || at(entries[2], "response", "etag") != `W/"2"` {
		t.Errorf("HEAD: %v", entries[2])
	}
	if at(entries[7], "resource", "entry", 0, "resource", "active") != true {
		t.Errorf("the history lacks the patch: %v", entries[7])
	}
	for i, e := range entries[3:7] {
		if e["resource"] != nil || at(e, "response", "etag") == nil || at(e, "response", "lastModified") == nil {
			t.Errorf("write %d: %v", i, e)
		}
	}
	if at(entries[5], "response", "status") != "201" || !strings.HasSuffix(at(entries[5], "response", "location").(string), "/_history/1") {
		t.Errorf("create: %v", entries[5])
	}
}

func TestTransactionHonoursPrefer(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for prefer, want := range map[string]string{"return=minimal": "false false", "return=representation": "true false", "return=OperationOutcome": "false true"} {
		for _, kind := range []string{"transaction", "batch"} {
			e := each(s.do(t, integration, "POST", "", bundle(kind, []object{post(person(""), "")}), "Prefer", prefer).want(200).json(), "entry")[0]
			if got := fmt.Sprint(e["resource"] != nil, at(e, "response", "outcome") != nil); got != want || (e["resource"] != nil) != (e["fullUrl"] != nil) {
				t.Errorf("%s %s: resource, outcome: %s", kind, prefer, got)
			}
		}
	}
}

// Every conditional form in a transaction and in a batch.
func TestConditionalEntries(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, kind := range []string{"transaction", "batch"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			old, updated, removed, patched := person(""), person(""), person(""), person("")
			for _, p := range []object{old, updated, removed, patched} {
				s.create(t, p)
			}
			updated["active"] = true
			fresh, chosen := person(""), person(unique("chosen-"))
			b := bundle(kind, []object{
				with(post(old, ""), "ifNoneExist", "identifier="+identifierOf(old)),
				with(post(fresh, ""), "ifNoneExist", "identifier="+identifierOf(fresh)),
				with(to("PUT", criteria(updated), updated), "ifMatch", `W/"1"`),
				with(to("PUT", criteria(chosen), chosen), "ifNoneMatch", "*"),
				request("DELETE", criteria(removed)), request("DELETE", criteria(person(""))),
				to("PATCH", criteria(patched), patchFHIR("other")),
				with(request("GET", "Patient/"+s.Patient), "ifNoneMatch", `W/"1"`),
				with(request("GET", "Patient/"+s.Patient), "ifModifiedSince", "2100-01-01T00:00:00Z"),
				with(request("GET", "Patient/"+s.Patient), "ifModifiedSince", "2000-01-01T00:00:00Z"),
			})
			if got := s.do(t, integration, "POST", "", b).want(200).statuses(); got != "200 201 200 201 204 204 200 304 304 200" {
				t.Errorf("statuses %s", got)
			}
			got := s.do(t, integration, "GET", where(patched), nil).resources()
			if len(got) != 1 || got[0]["gender"] != "other" {
				t.Errorf("the patch: %v", got)
			}
		})
	}
}

// A transaction that fails names the entry and leaves nothing.
func TestFailingTransactionNamesTheEntryAndWritesNothing(t *testing.T) {
	t.Parallel()
	s := shared(t)
	twice, old := person(""), person("")
	s.create(t, twice)
	s.create(t, twice)
	oldID := s.create(t, old)
	conditional := func(p object) object { return post(observation(criteria(p)), "") }
	for name, c := range map[string]struct {
		entry  object
		status int
		path   string
	}{
		"If-Match":                     {with(put(person(oldID)), "ifMatch", `W/"9"`), 412, "Bundle.entry[1]"},
		"If-Match of nothing":          {with(put(person(unique("n-"))), "ifMatch", `W/"1"`), 412, "Bundle.entry[1]"},
		"If-None-Match":                {with(put(person(oldID)), "ifNoneMatch", "*"), 412, "Bundle.entry[1]"},
		"create, many matches":         {with(post(twice, ""), "ifNoneExist", "identifier="+identifierOf(twice)), 412, "Bundle.entry[1].request.ifNoneExist"},
		"update, many matches":         {to("PUT", criteria(twice), person("")), 412, "Bundle.entry[1].request.url"},
		"delete, many matches":         {request("DELETE", criteria(twice)), 412, "Bundle.entry[1].request.url"},
		"patch without a match":        {to("PATCH", criteria(person("")), patchJSON()), 422, "Bundle.entry[1].request.url"},
		"patch of nothing":             {to("PATCH", "Patient/"+unique("n-"), patchJSON()), 404, "Bundle.entry[1]"},
		"patch that fails":             {to("PATCH", "Patient/"+oldID, patchFHIR("nonsense")), 422, "Bundle.entry[1]"},
		"reference without a match":    {conditional(person("")), 422, "Bundle.entry[1].resource.subject.reference"},
		"reference with many":          {conditional(twice), 412, "Bundle.entry[1].resource.subject.reference"},
		"reference by a bad parameter": {post(observation("Patient?nonsense=1"), ""), 400, "Bundle.entry[1]"},
		"condition by a bad parameter": {with(post(person(""), ""), "ifNoneExist", "nonsense=1"), 400, "Bundle.entry[1]"},
		"invalid content":              {post(object{"resourceType": "Patient", "gender": "x"}, ""), 422, "Bundle.entry[1].resource"},
		"operation":                    {post(object{"resourceType": "Parameters"}, ""), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "operation" {
				c.entry["request"].(object)["url"], c.status, c.path = "Patient/$nonsense", 404, "Bundle.entry[1]"
			}
			good := person("")
			a := s.do(t, integration, "POST", "", transaction(post(good, ""), c.entry)).outcome(c.status)
			if got := fmt.Sprint(at(a.json(), "issue", 0, "expression", 0)); !strings.HasPrefix(got, c.path) {
				t.Errorf("expression %s, want %s", got, c.path)
			}
			if text := string(a.body); strings.Contains(text, oldID) || strings.Contains(text, "mrn-") || strings.Contains(text, "_history") {
				t.Errorf("the refusal tells %s", text)
			}
			if n := s.total(t, where(good)); n != 0 {
				t.Errorf("%d resources were written", n)
			}
		})
	}
}

// Conditions see what the caller sees, in Bundles too.
func TestConditionsInBundlesAreNoOracle(t *testing.T) { // decision 20
	t.Parallel()
	s := shared(t)
	p := person("")
	s.create(t, p)
	for _, role := range []string{researcher, nurse, patient} {
		for name, e := range map[string]func(object) object{
			"create":    func(p object) object { return with(post(person(""), ""), "ifNoneExist", "identifier="+identifierOf(p)) },
			"update":    func(p object) object { return to("PUT", criteria(p), person("")) },
			"delete":    func(p object) object { return request("DELETE", criteria(p)) },
			"patch":     func(p object) object { return to("PATCH", criteria(p), patchJSON()) },
			"reference": func(p object) object { return post(observation(criteria(p)), "") },
		} {
			known, unknown := s.do(t, role, "POST", "", transaction(e(p))), s.do(t, role, "POST", "", transaction(e(person(""))))
			if string(known.body) != string(unknown.body) || known.status != unknown.status || known.status < 400 {
				t.Errorf("%s, %s: %d %.200s; unknown %d %.200s", role, name, known.status, known.body, unknown.status, unknown.body)
			}
		}
	}
}

// Many transactions that want the same resources end, and each is whole.
func TestOverlappingTransactionsEndAndAreWhole(t *testing.T) {
	t.Parallel()
	s := shared(t)
	const writers, rounds = 16, 4
	ids := make([]string, 6)
	for i := range ids {
		ids[i] = s.create(t, person(""))
	}
	common := person("")
	var mu sync.Mutex
	done := map[int]int{}
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for round := range rounds {
				mark := fmt.Sprintf("w%dr%d", n, round)
				var entries []object
				for i := range ids { // each in an order of its own
					p := person(ids[(i*5+n)%len(ids)])
					p["name"] = []any{object{"family": mark}}
					entries = append(entries, put(p))
				}
				entries = append(entries, with(post(common, "urn:uuid:11111111-1111-4111-8111-111111111111"), "ifNoneExist", "identifier="+identifierOf(common)),
					post(observation("urn:uuid:11111111-1111-4111-8111-111111111111"), ""))
				a, err := s.try(t, integration, "POST", "", transaction(entries...))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				done[a.status]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if done[200] == 0 || done[200]+done[409]+done[412] != writers*rounds {
		t.Errorf("statuses %v", done)
	}
	families := map[any]bool{}
	for _, id := range ids {
		p := s.do(t, integration, "GET", "/Patient/"+id, nil).want(200).json()
		families[at(p, "name", 0, "family")] = true
		if got := fmt.Sprint(at(p, "meta", "versionId")); got != fmt.Sprint(done[200]+1) {
			t.Errorf("version %s after %d transactions", got, done[200])
		}
	}
	if len(families) != 1 || s.total(t, where(common)) != 1 {
		t.Errorf("the last transaction is not whole: %v, %d common", families, s.total(t, where(common)))
	}
}

func TestBatchOfTenThousandEntries(t *testing.T) { // good ones land, bad ones each get their own outcome
	t.Parallel()
	s := shared(t)
	n := 2000
	if long() {
		n = 10_000
	}
	tag := unique("batch-")
	entries := make([]object, n)
	for i := range entries {
		p := object{"resourceType": "Patient", "identifier": []any{object{"system": "urn:batch", "value": tag}}}
		switch i % 5 {
		case 1:
			p["gender"] = "nonsense"
		case 2:
			entries[i] = request("GET", "Patient/"+unique("n-"))
		case 3:
			entries[i] = request("BREW", "Patient")
		}
		if entries[i] == nil {
			entries[i] = post(p, "")
		}
	}
	a := s.do(t, integration, "POST", "", bundle("batch", entries)).want(200)
	rs := a.responses()
	if len(rs) != n {
		t.Fatalf("%d responses", len(rs))
	}
	for i, r := range rs {
		want := []string{"201", "422", "404", "400", "201"}[i%5]
		outcome := at(r, "outcome", "issue", 0, "code")
		if status, _ := r["status"].(string); !strings.HasPrefix(status, want) || (want == "201") != (outcome == nil) {
			t.Fatalf("entry %d: %v, want %s", i, r, want)
		}
	}
	if got := s.total(t, "/Patient?identifier=urn:batch|"+tag); got != n*2/5 {
		t.Errorf("%d of %d landed", got, n*2/5)
	}
}

func TestBundlesOverTheLimitsAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, "--max-bundle-entries", "20", "--max-body", "64KiB", "--max-resource", "32KiB")
	for _, kind := range []string{"batch", "transaction"} {
		var many []object
		for range 21 {
			many = append(many, request("GET", "Patient/x"))
		}
		s.do(t, integration, http.MethodPost, "", bundle(kind, many)).outcome(413)
		large := person("")
		large["text"] = object{"status": "generated", "div": "<div>" + strings.Repeat("x", 64<<10) + "</div>"}
		s.do(t, integration, http.MethodPost, "", bundle(kind, []object{post(large, "")})).outcome(413)
		s.do(t, integration, http.MethodPost, "", bundle(kind, many[:20])).want(200)
	}
}

func TestTransactionOfFiveThousandEntriesStaysWithinMemory(t *testing.T) {
	if !long() {
		t.Skip("FIELDSEAL_LONG=1 runs it")
	}
	s := start(t)
	before := s.peakMemory(t)
	const n = 5000
	entries := []object{post(person(""), "urn:uuid:22222222-2222-4222-8222-222222222222")}
	for len(entries) < n {
		o := observation("urn:uuid:22222222-2222-4222-8222-222222222222")
		o["note"] = []any{object{"text": strings.Repeat("a note ", 100)}}
		entries = append(entries, post(o, ""))
	}
	rs := s.do(t, integration, "POST", "", transaction(entries...)).want(200).responses()
	if len(rs) != n || s.total(t, "/Observation?subject="+located(rs[0])) != n-1 {
		t.Errorf("%d responses", len(rs))
	}
	if grown := s.peakMemory(t) - before; grown > 400<<20 {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
}
