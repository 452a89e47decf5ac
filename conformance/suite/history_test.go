package suite

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// follow is the path below the base of a Bundle's link, empty when there is none.
func (a *answer) follow(relation string) string {
	_, path, _ := strings.Cut(a.link(relation), "/fhir")
	return path
}

// versionsOf are Type/id/version of a history's entries, in order. A deletion
// ends in a minus.
func (a *answer) versionsOf() (list []string) {
	a.t.Helper()
	for _, e := range each(a.json(), "entry") {
		full, _ := e["fullUrl"].(string)
		_, path, _ := strings.Cut(full, "/fhir/")
		v := path + "/" + strings.Trim(at(e, "response", "etag").(string), `W/"`)
		if at(e, "request", "method") == "DELETE" {
			v += "-"
		}
		list = append(list, v)
	}
	return list
}

// pages follows next links to the end.
func (s *server) pages(t testing.TB, role, path string) (list []string) {
	t.Helper()
	for path != "" {
		a := s.do(t, role, "GET", path, nil).want(200)
		list = append(list, a.versionsOf()...)
		path = a.follow("next")
	}
	return list
}

func stampOf(a *answer) string { return at(a.json(), "meta", "lastUpdated").(string) }

// threeVersions is a patient with two versions and a deletion, and the times of
// the versions.
func (s *server) threeVersions(t testing.TB) (path string, stamps []string) {
	t.Helper()
	p := person("")
	p["id"] = s.create(t, p)
	path = "/Patient/" + p["id"].(string)
	stamps = append(stamps, stampOf(s.do(t, clinician, "GET", path, nil)))
	stamps = append(stamps, stampOf(s.do(t, clinician, "PUT", path, p).want(200)))
	s.do(t, clinician, "DELETE", path, nil).want(204)
	e := each(s.do(t, clinician, "GET", path+"/_history", nil).want(200).json(), "entry")[0]
	return path, append(stamps, at(e, "response", "lastModified").(string))
}

func TestHistoryOfAResource(t *testing.T) { // R4 http.html#history
	t.Parallel()
	s := shared(t)
	path, stamps := s.threeVersions(t)
	name := strings.TrimPrefix(path, "/")
	v := []string{"", name + "/1", name + "/2", name + "/3-"}
	for query, want := range map[string][]string{
		"":                                  {v[3], v[2], v[1]},
		"_sort=-_lastUpdated":               {v[3], v[2], v[1]},
		"_sort=_lastUpdated":                {v[1], v[2], v[3]},
		"_count=1":                          {v[3], v[2], v[1]},
		"_count=1&_sort=_lastUpdated":       {v[1], v[2], v[3]},
		"_since=" + stamps[1]:               {v[3], v[2]}, // at or after
		"_since=" + after(t, stamps[2]):     nil,
		"_at=" + stamps[1]:                  {v[2]},
		"_at=" + stamps[0]:                  {v[1]},
		"_at=" + stamps[0][:10]:             {v[3], v[2], v[1]},
		"_at=2001":                          nil,
		"_at=" + after(t, stamps[2]):        {v[3]},
		"_since=2020-01-01T00:00:00+01:00":  {v[3], v[2], v[1]},
		"_count=2&_since=" + stamps[0]:      {v[3], v[2], v[1]},
		"_at=" + stamps[1] + "&_count=1000": {v[2]},
	} {
		if got := s.pages(t, clinician, path+"/_history?"+query); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", query, got, want)
		}
		if got := fmt.Sprint(s.do(t, clinician, "GET", path+"/_history?"+query, nil).json()["total"]); got != fmt.Sprint(len(want)) {
			t.Errorf("%q: total %s of %d", query, got, len(want))
		}
	}
	for _, query := range []string{"_since=2020-01-01", "_since=x", "_at=x", "_sort=birthdate", "_count=-1", "_count=1&_count=2", "_elements=id", "name=x"} {
		for _, p := range []string{path + "/_history?", "/Patient/_history?", "/_history?"} {
			s.do(t, clinician, "GET", p+query, nil).outcome(400)
		}
	}
}

// after is a microsecond later.
func after(t testing.TB, stamp string) string {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		t.Fatal(err)
	}
	return at.Add(time.Microsecond).Format(time.RFC3339Nano)
}

func TestHistoryOfTypesAndOfTheSystem(t *testing.T) {
	t.Parallel()
	s := start(t)
	loaded := s.pages(t, clinician, "/_history?_count=1000")
	if len(loaded) < 1000 || slices.ContainsFunc(loaded, func(v string) bool { return !strings.HasSuffix(v, "/1") }) {
		t.Fatalf("the demo data has %d versions", len(loaded))
	}
	p, stamps := s.threeVersions(t)
	oid := s.create(t, observation("Patient/"+s.Patient))
	name := strings.TrimPrefix(p, "/")
	mine := []string{"Observation/" + oid + "/1", name + "/3-", name + "/2", name + "/1"}
	since := "_since=" + stamps[0]
	for path, want := range map[string][]string{
		"/_history?" + since:                                     mine,
		"/_history?" + since + "&_count=1":                       mine,
		"/_history?" + since + "&_sort=_lastUpdated&_count=2":    reversed(mine),
		"/Patient/_history?" + since:                             mine[1:],
		"/Patient/_history?" + since + "&_count=2":               mine[1:],
		"/Observation/_history?" + since:                         mine[:1],
		"/Observation/_history?" + since + "&_sort=_lastUpdated": mine[:1],
		"/Device/_history?" + since:                              nil,
		"/Patient/_history?_at=" + stamps[1] + "&" + since:       mine[2:3],
		"/_history?_sort=_lastUpdated&_count=700":                append(reversed(loaded), reversed(mine)...),
		"/_history?_count=700":                                   append(slices.Clone(mine), loaded...),
	} {
		if got := s.pages(t, clinician, path); !slices.Equal(got, want) {
			t.Errorf("%s: %d entries, want %d; first %v, want %v", path, len(got), len(want), first(got), first(want))
		}
	}
	if got := s.do(t, clinician, "GET", "/_history?"+since, nil).json()["total"]; fmt.Sprint(got) != "4" {
		t.Errorf("total %v", got)
	}
	if got := s.do(t, clinician, "GET", "/_history?"+since+"&_count=1", nil).json()["total"]; got != nil {
		t.Errorf("total %v of a first page", got)
	}
	in := bundle("batch", []object{{"request": object{"method": "GET", "url": "_history?" + since}}, {"request": object{"method": "GET", "url": "Patient/_history?" + since}}, {"request": object{"method": "GET", "url": name + "/_history"}}})
	for i, r := range s.do(t, clinician, "POST", "", in).want(200).resources() {
		if n := len(each(r, "entry")); n != []int{4, 3, 3}[i] {
			t.Errorf("in a batch: %d entries", n)
		}
	}
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

func first(list []string) []string { return list[:min(len(list), 5)] }

// A history shows what reads and searches by the same caller would.
func TestHistoryOfManyIsNoWayAround(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, path := range []string{"/_history", "/Patient/_history", "/Observation/_history"} {
		s.do(t, patient, "GET", path, nil).outcome(403) // confined to one patient
		s.do(t, privacyOfficer, "GET", path, nil).outcome(403)
		s.do(t, admin, "GET", path, nil).outcome(403)
	}
	for _, path := range []string{"/AuditEvent/_history", "/Nonsense/_history"} {
		s.do(t, privacyOfficer, "GET", path, nil).outcome(404)
	}
	p := person("")
	s.create(t, p)
	s.do(t, researcher, "GET", "/Patient/_history", nil).outcome(403) // changes are concealed from research
	feed := s.do(t, nurse, "GET", "/Patient/_history?_count=5", nil).want(200)
	if text := string(feed.body); !strings.Contains(text, "REDACTED") && !strings.Contains(text, "urn:suite") {
		t.Errorf("a nurse reads %.300s", text)
	}
	next := feed.follow("next")
	s.do(t, nurse, "GET", next, nil).want(200)
	s.do(t, clinician, "GET", next, nil).outcome(400)                                          // another caller's
	s.do(t, nurse, "GET", strings.Replace(next, "/Patient/", "/Device/", 1), nil).outcome(400) // another place's
	s.do(t, nurse, "GET", next[:len(next)-2]+"AA", nil).outcome(400)
	for _, l := range []string{next} {
		if u, err := url.Parse(l); err != nil || len(u.Query()) != 1 {
			t.Errorf("the link tells more than where it goes on: %s", l)
		}
	}
}

// follower reads the feed by its links.
type follower struct {
	s    *server
	path string
	seen map[string]int
	list []string
}

// step reads one page and reports whether there was anything on it.
func (f *follower) step(t testing.TB) bool {
	t.Helper()
	a := f.s.do(t, integration, "GET", f.path, nil).want(200)
	page := a.versionsOf()
	for _, v := range page {
		f.seen[v]++
	}
	f.list = append(f.list, page...)
	next, monitor := a.follow("next"), a.follow("monitor")
	if (next == "") == (monitor == "") {
		t.Fatalf("a page has next %t and monitor %t", next != "", monitor != "")
	}
	f.path = next + monitor
	return len(page) > 0 || next != ""
}

// Thirty-two writers commit while a follower reads: every version that was
// acknowledged reaches the follower exactly once, in the order of its resource.
func TestFeedNeitherMissesNorRepeatsUnderThirtyTwoWriters(t *testing.T) {
	t.Parallel()
	s := shared(t)
	rounds := 12
	if long() {
		rounds = 100
	}
	path := "/_history?_sort=_lastUpdated&_count=40&_since=" + url.QueryEscape(time.Now().Format(time.RFC3339Nano))
	f := follower{s: s, path: path, seen: map[string]int{}}
	written := map[string]bool{}
	var mu sync.Mutex
	ack := func(versions ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, v := range versions {
			written[v] = true
		}
	}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() { feedWriter(t, s, rounds, ack) })
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for last := false; ; {
		select {
		case <-done:
			last = true
		default:
		}
		if more := f.step(t); last && !more {
			break
		}
	}
	for v := range written {
		if f.seen[v] != 1 {
			t.Errorf("%s was seen %d times", v, f.seen[v])
		}
	}
	latest := map[string]int{}
	for _, v := range f.list {
		if f.seen[v] != 1 {
			t.Fatalf("%s was seen %d times", v, f.seen[v])
		}
		at := strings.LastIndexByte(v, '/')
		n := 0
		fmt.Sscanf(v[at+1:], "%d", &n)
		if latest[v[:at]]++; latest[v[:at]] != n {
			t.Fatalf("%s came as number %d", v, latest[v[:at]])
		}
	}
	if len(written) < 32*rounds*4 {
		t.Errorf("%d versions written", len(written))
	}
}

// feedWriter creates, updates, deletes, and commits transactions.
func feedWriter(t testing.TB, s *server, rounds int, ack func(...string)) {
	for range rounds {
		p := person(unique("feed-"))
		path := "/Patient/" + p["id"].(string)
		name := path[1:]
		for i, want := range []string{name + "/1", name + "/2", name + "/3-"} {
			method, body := "PUT", any(p)
			if i == 2 {
				method, body = "DELETE", nil
			}
			a, err := s.try(t, integration, method, path, body, "Prefer", "return=minimal")
			if err != nil || a.status > 204 {
				t.Errorf("%s: %v %v", want, a, err)
				return
			}
			ack(want)
		}
		a, err := s.try(t, integration, "POST", "", transaction(post(observation("Patient/"+s.Patient), ""), post(observation("Patient/"+s.Patient), "")))
		if err != nil || a.status != 200 {
			t.Errorf("transaction: %v %v", a, err)
			return
		}
		for _, r := range a.responses() {
			ack(located(r) + "/1")
		}
	}
}
