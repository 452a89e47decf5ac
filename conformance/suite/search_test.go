package suite

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// family stores n patients of one unused family name and returns it.
func (s *server) family(t testing.TB, n int) (name string, ids []string) {
	t.Helper()
	name = unique("Zzyx")
	for i := range n {
		p := person("")
		delete(p, "id")
		p["name"] = []object{{"family": name, "given": []string{fmt.Sprintf("Given%d", i)}}}
		p["birthDate"] = fmt.Sprintf("19%02d-03-04", 10+i)
		ids = append(ids, s.create(t, p))
	}
	return name, ids
}

func (a *answer) matches() (ids []string) {
	for _, e := range each(a.json(), "entry") {
		if at(e, "search", "mode") == "match" {
			ids = append(ids, fmt.Sprint(at(e, "resource", "id")))
		}
	}
	return ids
}

func (a *answer) link(relation string) string {
	for _, l := range each(a.json(), "link") {
		if l["relation"] == relation {
			return fmt.Sprint(l["url"])
		}
	}
	return ""
}

func TestSearchByNameAndBirthDate(t *testing.T) {
	t.Parallel()
	s := shared(t)
	name, ids := s.family(t, 3)
	for query, want := range map[string][]string{
		"family=" + strings.ToLower(name):                              ids,
		"family:exact=" + name:                                         ids,
		"family:exact=" + strings.ToLower(name):                        nil,
		"family=" + name + "&birthdate=ge1911&birthdate=lt1912":        ids[1:2],
		"family=" + name + "&birthdate=1910,1912-03":                   {ids[0], ids[2]},
		"family=" + name + "&given=given2":                             ids[2:],
		"family=" + name + "&birthdate=gt1911-03-04&given=nobody":      nil,
		"family:contains=" + name[2:] + "&birthdate=1911":              ids[1:2],
		"family=" + name + "&_sort=-birthdate":                         {ids[2], ids[1], ids[0]},
		"family=" + name + "&_sort=given,-birthdate":                   ids,
		"family=" + name + "&active:missing=true&_id=" + ids[0] + ",x": ids[:1],
	} {
		got := s.do(t, clinician, "GET", "/Patient?"+query, nil).want(200).matches()
		if !strings.Contains(query, "_sort") {
			slices.Sort(got)
			want = slices.Sorted(slices.Values(want))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", query, got, want)
		}
	}
}

func TestSearchByPost(t *testing.T) {
	t.Parallel()
	s := shared(t)
	name, ids := s.family(t, 2)
	form := url.Values{"family": {name}, "birthdate": {"1911"}}.Encode()
	a := s.do(t, clinician, "POST", "/Patient/_search", form, "Content-Type", "application/x-www-form-urlencoded").want(200)
	if got := a.matches(); !slices.Equal(got, ids[1:]) {
		t.Errorf("got %v", got)
	}
	a = s.do(t, clinician, "POST", "/Patient/_search?birthdate=1910", "family="+name, "Content-Type", "application/x-www-form-urlencoded").want(200)
	if got := a.matches(); !slices.Equal(got, ids[:1]) {
		t.Errorf("with parameters in the URL too: got %v", got)
	}
	s.do(t, clinician, "POST", "/Patient/_search", "{}").outcome(415)
	s.do(t, clinician, "POST", "/_search", "_type=Patient&_id="+ids[0], "Content-Type", "application/x-www-form-urlencoded").want(200)
}

func TestPagesOfASearch(t *testing.T) {
	t.Parallel()
	s := shared(t)
	name, ids := s.family(t, 7)
	for _, query := range []string{"family=" + name + "&_count=3", "family=" + name + "&_count=2&_sort=-birthdate"} {
		var all []string
		next := "/Patient?" + query
		for pages := 0; next != ""; pages++ {
			a := s.do(t, clinician, "GET", next, nil).want(200)
			all = append(all, a.matches()...)
			next = strings.TrimPrefix(a.link("next"), s.Base)
			if strings.Contains(next, name) || pages > 10 {
				t.Fatalf("page link %s", next)
			}
			if next != "" { // nobody else can use it, and nobody can change it
				s.do(t, nurse, "GET", next, nil).outcome(400)
				s.do(t, clinician, "GET", next[:len(next)-3], nil).outcome(400)
				s.do(t, clinician, "GET", strings.Replace(next, "/Patient", "/Observation", 1), nil).outcome(400)
			}
		}
		if slices.Sort(all); !slices.Equal(all, slices.Sorted(slices.Values(ids))) {
			t.Errorf("%s: pages show %v, want each of %v once", query, all, ids)
		}
	}
}

func TestChainsAndIncludes(t *testing.T) {
	t.Parallel()
	s := shared(t)
	name, ids := s.family(t, 2)
	obs := s.create(t, observation("Patient/"+ids[0]))
	for query, want := range map[string][]string{
		"/Observation?subject:Patient.family=" + name:                        {obs},
		"/Observation?patient.family=" + name + "&patient.birthdate=1911":    nil,
		"/Patient?family=" + name + "&_has:Observation:patient:_id=" + obs:   ids[:1],
		"/Patient/" + ids[0] + "/Observation":                                {obs},
		"/Patient/" + ids[1] + "/Observation":                                nil,
		"/Observation?patient=" + ids[0]:                                     {obs},
		"/Observation?subject=Patient/" + ids[0] + "&_summary=true":          {obs},
		"/Observation?subject=" + url.QueryEscape(s.Base+"/Patient/"+ids[0]): {obs},
	} {
		if got := s.do(t, clinician, "GET", query, nil).want(200).matches(); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", query, got, want)
		}
	}
	a := s.do(t, clinician, "GET", "/Patient?family="+name+"&_revinclude=Observation:subject", nil).want(200)
	if n := len(each(a.json(), "entry")); n != 3 {
		t.Errorf("2 patients and 1 observation are %d entries", n)
	}
}

// TestSearchTellsNoMoreThanARead: whatever the form of the question, what the
// role may not see cannot be asked for.
func TestSearchTellsNoMoreThanARead(t *testing.T) { // abuse 46 to 53
	t.Parallel()
	s := shared(t)
	name, ids := s.family(t, 1)
	s.create(t, observation("Patient/"+ids[0]))
	for _, query := range []string{
		"/Patient?family=" + name, "/Patient?name=" + name, "/Patient?birthdate=1910-03-04", "/Patient?_sort=family", "/Patient?family:missing=true",
		"/Observation?subject:Patient.family=" + name, "/Observation?patient.identifier=x", "/Patient?_has:Patient:link:family=" + name,
		"/Patient?family=" + name + "&_summary=count", "/Patient?address-city=x&_total=accurate", "/Patient?phone=1", "/Observation?subject:identifier=x",
		"/Encounter?_has:Observation:encounter:subject:Patient.family=" + name, "/Patient?_elements=gender&family=" + name,
	} {
		s.do(t, researcher, "GET", query, nil).outcome(403)
	}
	if got := s.do(t, patient, "GET", "/Patient?family="+name, nil).want(200).matches(); len(got) != 0 {
		t.Errorf("the patient finds others: %v", got)
	}
	for _, query := range []string{"/Observation?subject:Patient.family=" + name, "/Observation?patient=" + ids[0], "/Patient/" + ids[0] + "/*", "/Patient?_id=" + ids[0]} {
		a := s.do(t, patient, "GET", query, nil).want(200)
		if got := a.matches(); len(got) != 0 {
			t.Errorf("%s shows the patient %v", query, got)
		}
	}
}

func TestBadSearchesAreRefusedByName(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for query, names := range map[string]string{
		"/Patient?nonsense=1": "nonsense", "/Patient?birthdate=xx2000": "birthdate", "/Patient?birthdate=2000-13": "birthdate", "/Patient?birthdate=ge": "birthdate",
		"/Patient?gender:exact=x": "gender", "/Patient?family:below=x": "family", "/Observation?value-quantity=abc": "value-quantity", "/Patient?_sort=nonsense": "_sort",
		"/Patient?_include=Patient:nonsense": "_include", "/Patient?_summary=most": "_summary", "/Patient?_total=some": "_total", "/Patient?_count=x": "_count",
		"/Patient?_filter=a": "_filter", "/Patient?_text=a": "_text", "/Patient?_content=a": "_content",
		"/Patient?family=" + strings.Repeat("x", 10<<10): "family", "/Patient?_id=" + strings.Repeat("x,", 500) + "x": "_id",
		"/Observation?encounter" + strings.Repeat(".part-of", 20) + ".status=x": "encounter", "/Observation?code-value-quantity=a": "code-value-quantity",
		"/Patient?family:nonsense=x": "family",
	} {
		began := time.Now()
		a := s.do(t, integration, "GET", query, nil).outcome(400)
		if d := time.Since(began); d > tooLong {
			t.Errorf("%.60s took %s", query, d)
		}
		if !strings.Contains(string(a.body), names) {
			t.Errorf("%.60s: %s is not named: %.300s", query, names, a.body)
		}
	}
	s.do(t, integration, "GET", "/Patient?nonsense=1", nil, "Prefer", "handling=strict").outcome(400)
	a := s.do(t, integration, "GET", "/Patient?nonsense=1&_id=nobody", nil, "Prefer", "handling=lenient").want(200)
	if !strings.Contains(string(a.body), "nonsense") || at(a.json(), "entry", 0, "search", "mode") != "outcome" {
		t.Errorf("the ignored parameter is not named: %s", a.body)
	}
}

// TestConcurrentConditionalCreates: of 64 creates with one condition exactly
// one creates.
func TestConcurrentConditionalCreates(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, condition := range []string{"identifier=urn:mrn|%s", "family=%s"} {
		value := unique("Once")
		p := person("")
		delete(p, "id")
		p["identifier"], p["name"] = []object{{"system": "urn:mrn", "value": value}}, []object{{"family": value}}
		var wg sync.WaitGroup
		var mu sync.Mutex
		created := 0
		for range 64 {
			wg.Go(func() {
				a, err := s.try(t, integration, "POST", "/Patient", p, "If-None-Exist", fmt.Sprintf(condition, value))
				if err != nil || a.status != http.StatusOK && a.status != http.StatusCreated && a.status != http.StatusConflict {
					t.Errorf("%v %v", a, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if a.status == http.StatusCreated {
					created++
				}
			})
		}
		wg.Wait()
		if created != 1 || s.total(t, "/Patient?identifier=urn:mrn|"+value) != 1 {
			t.Errorf("%s: %d creates succeeded", condition, created)
		}
	}
}
