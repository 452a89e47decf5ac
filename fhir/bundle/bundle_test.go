package bundle_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/bundle"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
)

// server is a Resolver over a table of criteria. New content matches
// "identifier=X" when X stands in it.
type server struct {
	asked map[string]int
	ids   map[string][]string
}

func newServer(ids map[string][]string) *server {
	return &server{ids: ids, asked: map[string]int{}}
}

func (s *server) Match(typ, query string, without map[string]bool) (ids []string, err error) {
	s.asked[typ+"?"+query]++
	for _, id := range s.ids[typ+"?"+query] {
		if !without[typ+"/"+id] {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (s *server) Holds(_, query string, among []*bundle.Entry) (found []*bundle.Entry, err error) {
	_, value, _ := strings.Cut(query, "=")
	for _, e := range among {
		if strings.Contains(string(e.Resource.AppendJSON(nil)), `"value":"`+value+`"`) && len(found) < 2 {
			found = append(found, e)
		}
	}
	return found, nil
}

func (s *server) Next(e *bundle.Entry) (string, error) {
	if e.Method == "POST" && !e.Existing {
		return "1", nil
	}
	return "5", nil
}

const base = "http://me.example/fhir"

func plan(t *testing.T, kind string, entries ...string) (*bundle.Plan, error) {
	t.Helper()
	r, err := fhir.Parse([]byte(`{"resourceType":"Bundle","type":"`+kind+`","entry":[`+strings.Join(entries, ",")+`]}`), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return bundle.New(r, options())
}

// options give new resources the ids new1, new2, …
func options() bundle.Options {
	n := 0
	return bundle.Options{Base: base, Changes: func(code string) bool { return code == "meta-add" }, Types: bundle.DefinedTypes(definition.Default()), NewID: func(*bundle.Entry) string {
		n++
		return fmt.Sprintf("new%d", n)
	}}
}

func entry(fullURL, method, url, resource string) string {
	s := `{`
	if fullURL != "" {
		s += `"fullUrl":"` + fullURL + `",`
	}
	if resource != "" {
		s += `"resource":` + resource + `,`
	}
	return s + `"request":{"method":"` + method + `","url":"` + url + `"}}`
}

const (
	uuid1 = "urn:uuid:11111111-1111-1111-1111-111111111111"
	uuid2 = "urn:uuid:22222222-2222-2222-2222-222222222222"
	uuid3 = "urn:uuid:abcdef33-3333-3333-3333-333333333333"
)

// R4 http.html#trules
func TestRewrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"reference", `{"subject":{"reference":"` + uuid1 + `"}}`, `{"subject":{"reference":"Patient/new1"}}`},
		{"with fragment", `{"subject":{"reference":"` + uuid1 + `#a"}}`, `{"subject":{"reference":"Patient/new1#a"}}`},
		{"escaped", `{"subject":{"reference":"\u0075rn:uuid:11111111-1111-1111-1111-111111111111"}}`, `{"subject":{"reference":"Patient/new1"}}`},
		{"escaped name", `{"subject":{"\u0072eference":"` + uuid1 + `"}}`, `{"subject":{"\u0072eference":"Patient/new1"}}`},
		{"contained", `{"contained":[{"resourceType":"Encounter","subject":{"reference":"` + uuid1 + `"}}]}`, `{"contained":[{"resourceType":"Encounter","subject":{"reference":"Patient/new1"}}]}`},
		{"extensions", `{"extension":[{"url":"u","valueReference":{"reference":"` + uuid1 + `"}},{"url":"v","valueUri":"` + uuid1 + `"}]}`,
			`{"extension":[{"url":"u","valueReference":{"reference":"Patient/new1"}},{"url":"v","valueUri":"Patient/new1"}]}`},
		{"extension of a primitive", `{"_status":{"extension":[{"url":"u","valueReference":{"reference":"` + uuid1 + `"}}]}}`, `{"_status":{"extension":[{"url":"u","valueReference":{"reference":"Patient/new1"}}]}}`},
		{"uri element", `{"implicitRules":"` + uuid1 + `"}`, `{"implicitRules":"Patient/new1"}`},
		{"canonical", `{"meta":{"profile":["` + uuid1 + `"]}}`, `{"meta":{"profile":["Patient/new1"]}}`},
		{"string that looks like one stays", `{"identifier":[{"system":"urn:ietf:rfc:3986","value":"` + uuid1 + `"}]}`, `{"identifier":[{"system":"urn:ietf:rfc:3986","value":"` + uuid1 + `"}]}`},
		{"narrative", `{"text":{"div":"<div><a href=\"` + uuid1 + `\">\u003c</a><img src='` + uuid1 + `'/>` + uuid1 + ` 1.00</div>"}}`,
			`{"text":{"div":"<div><a href=\"Patient/new1\">\u003c</a><img src='Patient/new1'/>` + uuid1 + ` 1.00</div>"}}`},
		{"narrative with escapes", `{"text":{"div":"\u00e9\ud83d\ude00<div><a  title=\u0022x\" h\u0072ef = \"\u0075` + uuid1[1:] + `#p\">\u003c<\/a>\u0041</div>"}}`,
			`{"text":{"div":"\u00e9\ud83d\ude00<div><a  title=\u0022x\" h\u0072ef = \"Patient/new1#p\">\u003c<\/a>\u0041</div>"}}`},
		{"narrative links only", `{"text":{"div":"<div href=\"` + uuid1 + `\"><!-- <a href=\"` + uuid1 + `\"/> --><a data-href=\"` + uuid1 + `\" title=\"href='` + uuid1 + `'\"/></div>"}}`,
			`{"text":{"div":"<div href=\"` + uuid1 + `\"><!-- <a href=\"` + uuid1 + `\"/> --><a data-href=\"` + uuid1 + `\" title=\"href='` + uuid1 + `'\"/></div>"}}`},
		{"narrative, relative", `{"text":{"div":"<div><a href=\"Patient/tmp\"/><a href=\"Patient/other\"/><a href=\"#here\"/></div>"}}`,
			`{"text":{"div":"<div><a href=\"Patient/new2\"/><a href=\"Patient/other\"/><a href=\"#here\"/></div>"}}`},
		{"narrative that ends early", `{"text":{"div":"<div><a href=\"` + uuid1 + `"}}`, `{"text":{"div":"<div><a href=\"` + uuid1 + `"}}`},
		{"UUID in capitals", `{"subject":{"reference":"urn:uuid:ABCDEF33-3333-3333-3333-333333333333"}}`, `{"subject":{"reference":"Patient/new3"}}`},
		{"another server's address of what is stored here", `{"subject":{"reference":"http://other.example/Patient/9"}}`, `{"subject":{"reference":"Patient/9"}}`},
		{"the version in the Bundle", `{"subject":{"reference":"http://other.example/Patient/9/_history/3"},"focus":[{"reference":"` + uuid3 + `/_history/7"}]}`,
			`{"subject":{"reference":"Patient/9/_history/5"},"focus":[{"reference":"Patient/new3/_history/1"}]}`},
		{"another version than that in the Bundle", `{"subject":{"reference":"http://other.example/Patient/9/_history/2"}}`, `{"subject":{"reference":"http://other.example/Patient/9/_history/2"}}`},
		{"version stays", `{"subject":{"reference":"Patient/9/_history/2"}}`, `{"subject":{"reference":"Patient/9/_history/2"}}`},
		{"other urn stays", `{"subject":{"reference":"` + uuid2 + `"}}`, `{"subject":{"reference":"` + uuid2 + `"}}`},
		{"own base", `{"subject":{"reference":"` + base + `/Patient/tmp"}}`, `{"subject":{"reference":"Patient/new2"}}`},
		{"relative to the base of the fullUrl", `{"subject":{"reference":"Patient/tmp"}}`, `{"subject":{"reference":"Patient/new2"}}`},
		{"relative with version stays", `{"subject":{"reference":"Patient/tmp/_history/1"}}`, `{"subject":{"reference":"Patient/tmp/_history/1"}}`},
		{"conditional", `{"performer":[{"reference":"Practitioner?identifier=s|v"}]}`, `{"performer":[{"reference":"Practitioner/77"}]}`},
		{"decimals and order stay", `{"valueQuantity":{"value":1.00},"status":"x"}`, `{"valueQuantity":{"value":1.00},"status":"x"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := plan(t, "transaction",
				entry(uuid1, "POST", "Patient", `{"resourceType":"Patient"}`),
				entry(base+"/Patient/tmp", "POST", "Patient", `{"resourceType":"Patient"}`),
				entry("http://other.example/Patient/9", "PUT", "Patient/9", `{"resourceType":"Patient","id":"9","meta":{"versionId":"3"}}`),
				entry(uuid3, "POST", "Patient", `{"resourceType":"Patient","meta":{"versionId":"7"}}`),
				entry(base+"/Observation/tmp", "POST", "Observation", `{"resourceType":"Observation",`+c.in[1:]))
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Resolve(newServer(map[string][]string{"Practitioner?identifier=s|v": {"77"}})); err != nil {
				t.Fatal(err)
			}
			got := string(p.Entries()[4].Resource.AppendJSON(nil))
			if want := `{"resourceType":"Observation","id":"new4",` + c.want[1:]; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	patient := `{"resourceType":"Patient","id":"1"}`
	for _, c := range []struct {
		name, path string
		entries    []string
	}{
		{"ifMatch of a POST", "Bundle.entry[0].request.ifMatch", []string{strings.Replace(entry("", "POST", "Patient", patient), `"url"`, `"ifMatch":"W/\"1\"","url"`, 1)}},
		{"ifModifiedSince that is no instant", "Bundle.entry[0].request.ifModifiedSince", []string{strings.Replace(entry("", "GET", "Patient/1", ""), `"url"`, `"ifModifiedSince":"2020","url"`, 1)}},
		{"no request", "Bundle.entry[0].request", []string{`{}`}},
		{"unknown method", "Bundle.entry[0].request.method", []string{entry("", "TRACE", "Patient", patient)}},
		{"lower case method", "Bundle.entry[0].request.method", []string{entry("", "post", "Patient", patient)}},
		{"no url", "Bundle.entry[0].request.url", []string{entry("", "POST", "", patient)}},
		{"POST to an id", "Bundle.entry[0].request.url", []string{entry("", "POST", "Patient/1", patient)}},
		{"PUT of an operation", "Bundle.entry[0].request.method", []string{entry("", "PUT", "Patient/1/$meta", patient)}},
		{"an operation without name", "Bundle.entry[0].request.url", []string{entry("", "GET", "Patient/1/$", "")}},
		{"an operation on a version", "Bundle.entry[0].request.url", []string{entry("", "GET", "Patient/1/_history/1/$meta", "")}},
		{"an operation on another server", "Bundle.entry[0].request.url", []string{entry("", "GET", "http://evil.example/Patient/1/$meta", "")}},
		{"an operation on what traverses", "Bundle.entry[0].request.url", []string{entry("", "GET", "Patient/1/../$meta", "")}},
		{"GET of an operation with a body", "Bundle.entry[0].resource", []string{entry("", "GET", "Patient/1/$meta", patient)}},
		{"ifMatch of an operation that changes nothing", "Bundle.entry[0].request.ifMatch", []string{strings.Replace(entry("", "POST", "Patient/1/$meta", ""), `"url"`, `"ifMatch":"W/\"1\"","url"`, 1)}},
		{"ifNoneExist of an operation", "Bundle.entry[0].request.ifNoneExist", []string{strings.Replace(entry("", "POST", "Patient/1/$meta-add", ""), `"url"`, `"ifNoneExist":"a=b","url"`, 1)}},
		{"a Bundle in a Bundle", "Bundle.entry[0].request.url", []string{entry("", "POST", "/", `{"resourceType":"Bundle","type":"batch"}`)}},
		{"same target by an operation", "Bundle.entry[1].request.url", []string{entry("", "PUT", "Patient/1", patient), entry("", "POST", "Patient/1/$meta-add", "")}},
		{"PUT without id", "Bundle.entry[0].request.url", []string{entry("", "PUT", "Patient", patient)}},
		{"id that traverses", "Bundle.entry[0].request.url", []string{entry("", "PUT", "Patient/../admin", patient)}},
		{"version in the URL", "Bundle.entry[0].request.url", []string{entry("", "DELETE", "Patient/1/_history/2", "")}},
		{"other server", "Bundle.entry[0].request.url", []string{entry("", "PUT", "http://evil.example/Patient/1", patient)}},
		{"no resource", "Bundle.entry[0].resource", []string{entry("", "POST", "Patient", "")}},
		{"DELETE with resource", "Bundle.entry[0].resource", []string{entry("", "DELETE", "Patient/1", patient)}},
		{"resource without type", "Bundle.entry[0].resource", []string{entry("", "POST", "Patient", `{}`)}},
		{"another type", "Bundle.entry[0].resource", []string{entry("", "POST", "Observation", patient)}},
		{"another id", "Bundle.entry[0].resource.id", []string{entry("", "PUT", "Patient/2", patient)}},
		{"same fullUrl", "Bundle.entry[1].fullUrl", []string{entry(uuid1, "POST", "Patient", patient), entry(uuid1, "POST", "Patient", patient)}},
		{"fullUrl with version", "Bundle.entry[0].fullUrl", []string{entry(base+"/Patient/1/_history/1", "PUT", "Patient/1", patient)}},
		{"same target", "Bundle.entry[1].request.url", []string{entry("", "PUT", "Patient/1", patient), entry("", "DELETE", base+"/Patient/1", "")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := plan(t, "transaction", c.entries...)
			var is fhir.Issues
			if !errors.As(err, &is) || len(is) != 1 || is[0].Expression[0] != c.path {
				t.Fatalf("err = %v", err)
			}
			p, err := plan(t, "batch", c.entries...)
			if err != nil {
				t.Fatal(err)
			}
			if last := p.Entries()[len(c.entries)-1]; len(last.Issues) != 1 {
				t.Errorf("in a batch: %v", last.Issues)
			}
		})
	}
	if _, err := plan(t, "searchset"); err == nil {
		t.Error("searchset accepted")
	}
}

func TestTooManyEntriesAreRefused(t *testing.T) {
	t.Parallel()
	list := make([]string, bundle.DefaultMaxEntries+1)
	for i := range list {
		list[i] = `{}`
	}
	if _, err := plan(t, "batch", list...); !errors.Is(err, fhir.ErrTooLarge) {
		t.Errorf("err = %v", err)
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	p, err := plan(t, "transaction",
		entry("", "GET", "Patient?name=x", ""), entry("", "PUT", "Patient/1", `{"resourceType":"Patient","id":"1"}`),
		entry("", "POST", "Patient", `{"resourceType":"Patient"}`), entry("", "PATCH", "Patient/2", `{"resourceType":"Parameters"}`),
		entry("", "POST", "Patient/5/$validate", ""), entry("", "POST", base+"/Patient/6/$meta-add", ""),
		entry("", "DELETE", "Patient/3", ""), entry("", "HEAD", "Patient/4", ""))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range p.Order() {
		got = append(got, strings.TrimSuffix(e.Method+" "+e.Operation, " "))
	}
	if s := strings.Join(got, ", "); s != "DELETE, POST, POST meta-add, PUT, PATCH, GET, POST validate, HEAD" {
		t.Error(s)
	}
}

func TestConditionalWrites(t *testing.T) {
	t.Parallel()
	noneExist := strings.Replace(entry(uuid1, "POST", "Patient", `{"resourceType":"Patient"}`), `"url"`, `"ifNoneExist":"identifier=a","url"`, 1)
	use := entry("", "POST", "Observation", `{"resourceType":"Observation","subject":{"reference":"`+uuid1+`"}}`)
	for _, c := range []struct {
		name    string
		entries []string
		ids     map[string][]string
		want    string // Type/id and existing of the first entry, or the code of the issue
	}{
		{"create matches none", []string{noneExist, use}, nil, "Patient/new1 false"},
		{"create matches one", []string{noneExist, use}, map[string][]string{"Patient?identifier=a": {"7"}}, "Patient/7 true"},
		{"create matches two", []string{noneExist, use}, map[string][]string{"Patient?identifier=a": {"7", "8"}}, "multiple-matches"},
		{"update matches none", []string{entry("", "PUT", "Patient?identifier=a", `{"resourceType":"Patient"}`)}, nil, "Patient/new1 false"},
		{"update keeps the client's id", []string{entry("", "PUT", "Patient?identifier=a", `{"resourceType":"Patient","id":"c"}`)}, nil, "Patient/c false"},
		{"update matches one", []string{entry("", "PUT", "Patient?identifier=a", `{"resourceType":"Patient"}`)}, map[string][]string{"Patient?identifier=a": {"7"}}, "Patient/7 false"},
		{"update matches another id", []string{entry("", "PUT", "Patient?identifier=a", `{"resourceType":"Patient","id":"c"}`)}, map[string][]string{"Patient?identifier=a": {"7"}}, "invalid"},
		{"delete matches none", []string{entry("", "DELETE", "Patient?identifier=a", "")}, nil, "Patient/ false"},
		{"delete matches two", []string{entry("", "DELETE", "Patient?identifier=a", "")}, map[string][]string{"Patient?identifier=a": {"7", "8"}}, "multiple-matches"},
		{"patch matches none", []string{entry("", "PATCH", "Patient?identifier=a", `{"resourceType":"Parameters"}`)}, nil, "not-found"},
		{"two writes meet", []string{entry("", "PUT", "Patient?identifier=a", `{"resourceType":"Patient"}`), entry("", "DELETE", "Patient/7", "")}, map[string][]string{"Patient?identifier=a": {"7"}}, "invalid"},
		{"reference matches none", []string{entry("", "POST", "Observation", `{"resourceType":"Observation","performer":[{},{"reference":"Practitioner?identifier=b"}]}`)}, nil, "not-found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := plan(t, "transaction", c.entries...)
			if err != nil {
				t.Fatal(err)
			}
			err = p.Resolve(newServer(c.ids))
			var is fhir.Issues
			if errors.As(err, &is) {
				if is[0].Code != c.want || strings.Contains(is.Error(), "identifier=") {
					t.Errorf("issues %v, want %s", is, c.want)
				}
				return
			}
			e := p.Entries()[0]
			if got := fmt.Sprintf("%s/%s %t", e.Type, e.ID, e.Existing); err != nil || got != c.want {
				t.Errorf("%s (%v), want %s", got, err, c.want)
			}
			if len(c.entries) > 1 && !strings.Contains(string(p.Entries()[1].Resource.AppendJSON(nil)), `"Patient/`+e.ID+`"`) {
				t.Error("the reference was not rewritten")
			}
		})
	}
}

// identified is a resource that holds an identifier.
func identified(typ, value string) string {
	return `{"resourceType":"` + typ + `","identifier":[{"value":"` + value + `"}]}`
}

func TestConditionsMeetWhatTheBundleWrites(t *testing.T) { // R4 http.html#trules
	t.Parallel()
	noneExist := strings.Replace(entry("", "POST", "Patient", identified("Patient", "a")), `"url"`, `"ifNoneExist":"identifier=a","url"`, 1)
	use := entry("", "POST", "Observation", `{"resourceType":"Observation","subject":{"reference":"Patient?identifier=a"}}`)
	for _, c := range []struct {
		name    string
		entries []string
		ids     []string // stored Patients with the identifier a
		want    string   // the subject, or the code and path of the issue
	}{
		{"a reference to a new resource", []string{use, entry("", "POST", "Patient", identified("Patient", "a"))}, nil, "Patient/new2"},
		{"a reference to an updated one", []string{use, entry("", "PUT", "Patient/9", `{"resourceType":"Patient","id":"9","identifier":[{"value":"a"}]}`)}, nil, "Patient/9"},
		{"one stored, one new", []string{use, entry("", "POST", "Patient", identified("Patient", "a"))}, []string{"7"}, "multiple-matches Bundle.entry[0].resource.subject.reference"},
		{"the stored one loses the identifier", []string{use, entry("", "PUT", "Patient/7", `{"resourceType":"Patient","id":"7"}`)}, []string{"7"}, "not-found Bundle.entry[0].resource.subject.reference"},
		{"the stored one is deleted", []string{use, entry("", "DELETE", "Patient/7", "")}, []string{"7"}, "not-found Bundle.entry[0].resource.subject.reference"},
		{"the stored one is replaced", []string{use, entry("", "DELETE", "Patient/7", ""), noneExist}, []string{"7"}, "Patient/new2"},
		{"two equal conditional creates", []string{noneExist, noneExist}, nil, "duplicate Bundle.entry[0].request.ifNoneExist"},
		{"a create beside a conditional one", []string{use, noneExist, entry("", "POST", "Patient", identified("Patient", "a"))}, nil, "duplicate Bundle.entry[1].request.ifNoneExist"},
		{"two conditional creates of what exists", []string{use, noneExist, noneExist}, []string{"7"}, "Patient/7"},
		{"a conditional update beside a create", []string{entry("", "PUT", "Patient?identifier=a", identified("Patient", "a")), entry("", "POST", "Patient", identified("Patient", "a"))}, nil,
			"duplicate Bundle.entry[0].request.url"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := plan(t, "transaction", c.entries...)
			if err != nil {
				t.Fatal(err)
			}
			err = p.Resolve(newServer(map[string][]string{"Patient?identifier=a": c.ids}))
			var is fhir.Issues
			got := p.Entries()[0].Resource.Root().Member("subject").Member("reference").Text()
			if errors.As(err, &is) {
				got = is[0].Code + " " + is[0].Expression[0]
			}
			if got != c.want {
				t.Errorf("%s (%v), want %s", got, err, c.want)
			}
		})
	}
}

func TestBatchEntriesAreIndependent(t *testing.T) {
	t.Parallel()
	p, err := plan(t, "batch", entry(uuid1, "POST", "Patient", `{"resourceType":"Patient"}`),
		entry("", "POST", "Observation", `{"resourceType":"Observation","subject":{"reference":"`+uuid1+`"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Resolve(newServer(nil)); err != nil {
		t.Fatal(err)
	}
	if s := string(p.Entries()[1].Resource.AppendJSON(nil)); !strings.Contains(s, uuid1) {
		t.Error("rewritten in a batch")
	}
}

// everyone answers every conditional reference of Synthea.
type everyone struct{ *server }

func (e everyone) Match(typ, query string, _ map[string]bool) ([]string, error) {
	e.asked[typ+"?"+query]++
	return []string{"found"}, nil
}

func TestSyntheaBundlesChangeOnlyInReferences(t *testing.T) {
	t.Parallel()
	for name, b := range fhirtest.Synthea(t) {
		r, err := fhir.Parse(b, fhir.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		before := r.Clone()
		p, err := bundle.New(r, options())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s := everyone{newServer(nil)}
		if err := p.Resolve(s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for key, n := range s.asked {
			if n > 1 {
				t.Errorf("%s asked %d times", key, n)
			}
		}
		targets := map[string]string{}
		for _, e := range p.Entries() {
			targets[e.FullURL] = e.Type + "/" + e.ID
		}
		for i, e := range p.Entries() {
			// The expectation is made by text replacement, without the walk.
			sent, err := fhir.NewResource(*before.Root().Member("entry").At(i).Member("resource"))
			if err != nil {
				t.Fatal(err)
			}
			sent.SetID(e.ID)
			want := string(sent.AppendJSON(nil))
			for from, to := range targets {
				want = strings.ReplaceAll(want, `"reference":"`+from+`"`, `"reference":"`+to+`"`)
			}
			for key := range s.asked {
				typ, _, _ := strings.Cut(key, "?")
				want = strings.ReplaceAll(want, `"reference":"`+key+`"`, `"reference":"`+typ+`/found"`)
			}
			if got := string(e.Resource.AppendJSON(nil)); got != want {
				t.Fatalf("%s, entry %d: other bytes changed", name, i)
			}
		}
	}
}

func TestFiveThousandEntriesTakeBoundedTime(t *testing.T) {
	t.Parallel()
	list := make([]string, bundle.DefaultMaxEntries)
	for i := range list {
		list[i] = entry(fmt.Sprintf("urn:uuid:%08d-1111-1111-1111-111111111111", i), "POST", "Observation",
			fmt.Sprintf(`{"resourceType":"Observation","subject":{"reference":"urn:uuid:%08d-1111-1111-1111-111111111111"}}`, i/2))
	}
	start := time.Now()
	p, err := plan(t, "transaction", list...)
	if err == nil {
		err = p.Resolve(newServer(nil))
	}
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > time.Minute {
		t.Errorf("took %v", d)
	}
}

func BenchmarkResolveSynthea(b *testing.B) {
	o := options()
	for name, data := range fhirtest.Synthea(b) {
		b.Run(name[:8], func(b *testing.B) {
			r, err := fhir.Parse(data, fhir.DefaultLimits)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				p, err := bundle.New(r.Clone(), o)
				if err == nil {
					err = p.Resolve(everyone{newServer(nil)})
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
