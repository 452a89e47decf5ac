package suite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
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
	var firstDay []string // all three, but at midnight
	for i, stamp := range stamps {
		if stamp[:10] == stamps[0][:10] {
			firstDay = append([]string{v[i+1]}, firstDay...)
		}
	}
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
		"_at=" + stamps[0][:10]:             firstDay,
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
	s.do(t, researcher, "GET", "/Patient/_history", nil).outcome(403) // changes are concealed from research
	p := person("")                                                   // whose narrative no nurse reads
	p["text"] = object{"status": "generated", "div": `<div xmlns="http://www.w3.org/1999/xhtml">words</div>`}
	p["meta"] = object{"security": []any{object{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}}}
	path := "/Patient/" + s.create(t, p)
	read := s.do(t, nurse, "GET", path, nil).want(200)
	since := url.QueryEscape(stampOf(read))
	if listed := s.listed(t, nurse, "/Patient/_history?_count=50&_since="+since, path[1:]); !bytes.Equal(listed, read.body) {
		t.Errorf("a nurse reads\n%s\nand in the history\n%s", read.body, listed)
	}
	if whole := s.do(t, clinician, "GET", path, nil).want(200); bytes.Equal(whole.body, read.body) {
		t.Error("nothing of this resource is hidden from a nurse")
	}
	next := s.do(t, nurse, "GET", "/Patient/_history?_count=5", nil).want(200).follow("next")
	s.do(t, nurse, "GET", next, nil).want(200)
	s.do(t, clinician, "GET", next, nil).outcome(400)                                          // another caller's
	s.do(t, nurse, "GET", strings.Replace(next, "/Patient/", "/Device/", 1), nil).outcome(400) // another place's
	s.do(t, nurse, "GET", otherLetter(next), nil).outcome(400)
	if u, err := url.Parse(next); err != nil || len(u.Query()) != 1 {
		t.Errorf("the link tells more than where it goes on: %s", next)
	}
}

// listed is a resource as a history shows it, whatever else was written since.
func (s *server) listed(t testing.TB, role, path, name string) []byte {
	t.Helper()
	for path != "" {
		a := s.do(t, role, "GET", path, nil).want(200)
		var page struct {
			Entry []struct {
				FullURL  string
				Resource json.RawMessage
			}
		}
		if err := json.Unmarshal(a.body, &page); err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entry {
			if strings.HasSuffix(e.FullURL, "/"+name) {
				return e.Resource
			}
		}
		path = a.follow("next")
	}
	return nil
}

// otherLetter changes a link's token: a letter in its middle becomes another
// one. (Of the last letter of base64 some bits may stand for nothing.)
func otherLetter(link string) string {
	b := []byte(link)
	i := strings.LastIndexByte(link, '=')
	i += (len(b) - i) / 2
	if b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}
