package interaction

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
)

// opEntry is an entry that invokes an operation.
func opEntry(method, url, body string) string {
	if body != "" {
		body = `"resource":` + body + `,`
	}
	return `{` + body + `"request":{"method":"` + method + `","url":"` + url + `"}}`
}

const letter = `{"resourceType":"Composition","id":"c","status":"final","type":{"text":"t"},"subject":{"reference":"Patient/p1"},"date":"2020","author":[{"reference":"Practitioner/dr"}],"title":"x"}`

type ran struct {
	Resource json.RawMessage
	Response struct {
		Status  string
		Outcome json.RawMessage
	}
}

// run processes a Bundle as a role.
func (p *shop) run(role, kind string, entries ...string) (out []ran, err error) {
	p.t.Helper()
	a, err := p.Bundle(p.t.Context(), p.as(role), []byte(`{"resourceType":"Bundle","type":"`+kind+`","entry":[`+strings.Join(entries, ",")+`]}`))
	if err != nil {
		return nil, err
	}
	var b struct{ Entry []ran }
	p.must(json.Unmarshal(a.Body(), &b))
	return b.Entry, nil
}

// R4 http.html#transaction: an entry may invoke an operation.
func TestOperationsInBundles(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"batch", "transaction"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newShop(t)
			p.chart(3)
			p.put("Composition", "c", letter)
			rows := []struct{ name, entry, status, want string }{
				{"$everything", opEntry("GET", "Patient/p1/$everything", ""), "200", `Observation/o2"`},
				{"$everything by its absolute URL, of a type", opEntry("GET", base+"/Patient/p1/$everything?_type=Encounter", ""), "200", `"type":"searchset"`},
				{"$everything, POST", opEntry("POST", "Encounter/e/$everything", ""), "200", "Observation/o1"},
				{"$lastn", opEntry("GET", "Observation/$lastn?patient=p1", ""), "200", "Observation/o0"},
				{"$document", opEntry("GET", "Composition/c/$document", ""), "200", `"type":"document"`},
				{"$validate", opEntry("POST", "Patient/$validate", `{"resourceType":"Patient","colour":"red"}`), "200", `"severity":"error"`},
				{"$validate of what is right", opEntry("POST", "Patient/$validate", `{"resourceType":"Patient"}`), "200", "OperationOutcome"},
				{"$meta", opEntry("GET", "Patient/p1/$meta", ""), "200", `"valueMeta":{"versionId":`},
				{"$meta, HEAD", opEntry("HEAD", "Patient/p1/$meta", ""), "200", ""},
				{"$meta-add", opEntry("POST", "Patient/p1/$meta-add", string(metaBody(`{"tag":[{"system":"urn:t","code":"a"}]}`))), "200", "urn:t"},
				{"$meta-add of what is there", opEntry("POST", "Patient/p2/$meta-add", string(metaBody(`{}`))), "200", "valueMeta"},
				{"$meta-delete", opEntry("POST", "Encounter/e/$meta-delete", string(metaBody(`{"tag":[{"system":"urn:t","code":"a"}]}`))), "200", "valueMeta"},
			}
			var entries []string
			for _, r := range rows {
				entries = append(entries, r.entry)
			}
			got, err := p.run("clinician", kind, entries...)
			p.must(err)
			for i, r := range rows {
				if got[i].Response.Status != r.status || !bytes.Contains(got[i].Resource, []byte(r.want)) || (r.want == "") != (got[i].Resource == nil) {
					t.Errorf("%s: %s %s %s", r.name, got[i].Response.Status, got[i].Resource, got[i].Response.Outcome)
				}
			}
			if p.version("Patient", "p1") != 2 || p.version("Patient", "p2") != 1 {
				t.Error("versions are wrong")
			}
		})
	}
}

func TestOperationsInBundlesThatAreRefused(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(1)
	p.put("Composition", "c", letter)
	persist := `{"resourceType":"Parameters","parameter":[{"name":"persist","valueBoolean":true}]}`
	good := opEntry("POST", "Patient/p1/$meta-add", string(metaBody(`{"tag":[{"system":"urn:t","code":"a"}]}`)))
	for _, c := range []struct{ name, role, entry, status string }{
		{"breaking the glass", "clinician", opEntry("POST", "Patient/p1/$break-glass", ""), "400"},
		{"a change by GET", "clinician", opEntry("GET", "Patient/p1/$meta-add", ""), "400"},
		{"an operation that is not served", "clinician", opEntry("POST", "Patient/p1/$merge", ""), "404"},
		{"a type that does not serve it", "clinician", opEntry("GET", "Condition/c/$everything", ""), "404"},
		{"no type", "clinician", opEntry("GET", "Nonsense/c/$meta", ""), "404"},
		{"change of what is not there", "clinician", opEntry("POST", "Patient/none/$meta-add", string(metaBody(`{}`))), "404"},
		{"change of what is invisible", "patient", opEntry("POST", "Patient/p2/$meta-add", string(metaBody(`{}`))), "403"},
		{"change without meta", "clinician", opEntry("POST", "Patient/p1/$meta-add", ""), "400"},
		{"a nested Bundle", "clinician", opEntry("POST", "/", `{"resourceType":"Bundle","type":"batch"}`), "400"},
	} {
		got, err := p.run(c.role, "batch", c.entry)
		p.must(err)
		if got[0].Response.Status != c.status || got[0].Response.Outcome == nil || got[0].Resource != nil {
			t.Errorf("%s: %+v", c.name, got[0])
		}
		before := p.version("Patient", "p1")
		if _, err := p.run(c.role, "transaction", good, c.entry); err == nil {
			t.Errorf("%s: the transaction went through", c.name)
		} else if f := failure(err); fmt.Sprint(f.Kind.Status()) != c.status && c.role != "patient" {
			t.Errorf("%s: %v", c.name, err)
		}
		if p.version("Patient", "p1") != before {
			t.Errorf("%s: a part of the transaction was written", c.name)
		}
	}
	for _, e := range []string{opEntry("GET", "Composition/c/$document?persist=true", ""), opEntry("POST", "Composition/c/$document", persist)} {
		n := p.stored()
		if _, err := p.run("clinician", "transaction", good, e); err == nil || failure(err).Issues[0].Code != "not-supported" || p.stored() != n {
			t.Errorf("a document was stored beside the transaction: %v", err)
		}
	}
	for kind, entry := range map[string]string{"read": opEntry("GET", "Patient/p2/$everything", ""), "meta": opEntry("GET", "Patient/p2/$meta", "")} {
		got, err := p.run("patient", "transaction", entry)
		p.must(err)
		if got[0].Response.Status != "404" {
			t.Errorf("%s of another's record: %+v", kind, got[0])
		}
	}
}

// Each operation of a Bundle is recorded by itself, before its answer leaves.
func TestOperationsInBundlesAreRecorded(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(2)
	before := len(p.rec.events)
	_, err := p.run("clinician", "batch", opEntry("GET", "Patient/p1/$everything?_type=Observation", ""), opEntry("GET", "Patient/p1/$meta", ""), opEntry("POST", "Patient/p2/$break-glass", ""))
	p.must(err)
	var disclosed []string
	refused := 0
	for _, e := range p.rec.events[before:] {
		if e.Outcome == audit.Success && e.Subtype == "operation" {
			for _, r := range e.Entities {
				disclosed = append(disclosed, r.Type+"/"+r.ID)
			}
		}
		if e.Outcome != audit.Success && e.Outcome != audit.Intent {
			refused++
		}
	}
	slices.Sort(disclosed)
	if want := []string{"Observation/o0", "Observation/o1", "Patient/p1"}; !slices.Equal(disclosed, want) || refused != 1 {
		t.Errorf("%d refused, recorded %v, want %v", refused, disclosed, want)
	}
}

// A small Bundle cannot make the server hold one record many times.
func TestOperationsInBundlesShareOneBound(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.chart(0)
	const n, each = 6, 3 * 1000_000 // fits once into an answer, and not twice
	note := `{"text":"` + strings.Repeat("y", 1000_000) + `"}`
	for i := range n {
		p.put("Observation", fmt.Sprint("big", i), fmt.Sprintf(`{"resourceType":"Observation","id":"big%d","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"},"note":[%s]}`, i, note+","+note+","+note))
	}
	all := opEntry("GET", "Patient/p1/$everything", "")
	got, err := p.run("clinician", "batch", all, all)
	p.must(err)
	whole, refused := 0, 0
	for _, e := range got {
		switch {
		case e.Response.Status == "200" && len(e.Resource) > n*each:
			whole++
		case e.Response.Status == "413" && bytes.Contains(e.Response.Outcome, []byte("too-costly")):
			refused++
		}
	}
	if whole != 1 || refused != 1 {
		t.Errorf("%d whole, %d refused", whole, refused)
	}
}
