package interaction

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// study stores a small record whose ids are easy to find.
func study(t *testing.T) *shop {
	p := newShop(t)
	for _, r := range []string{
		`{"resourceType":"Organization","id":"raw-org-1","name":"North"}`,
		`{"resourceType":"Practitioner","id":"raw-dr-1"}`,
		`{"resourceType":"Patient","id":"raw-pat-1","gender":"male","managingOrganization":{"reference":"Organization/raw-org-1"},"generalPractitioner":[{"reference":"` + base + `/Practitioner/raw-dr-1"}],"link":[{"other":{"reference":"Patient/raw-pat-2"},"type":"seealso"}]}`,
		`{"resourceType":"Patient","id":"raw-pat-2","gender":"female","contact":[{"id":"raw-el-1","organization":{"reference":"Organization\/raw-org-1"}}]}`,
		`{"resourceType":"Encounter","id":"raw-enc-1","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/raw-pat-1"}}`,
		`{"resourceType":"Observation","id":"raw-obs-1","status":"final","code":{"coding":[{"code":"c"}]},"subject":{"reference":"Patient/raw-pat-1"},"encounter":{"reference":"Encounter/raw-enc-1"},"effectiveDateTime":"2020-01-01","contained":[{"resourceType":"Device","id":"raw-in-1"}],"device":{"reference":"#raw-in-1"},"hasMember":[{"reference":"Observation/raw-gone-1"},{"reference":"urn:uuid:4fd9e9a8-0000-4000-8000-00000000aaaa"}]}`,
		`{"resourceType":"Observation","id":"raw-obs-2","status":"final","code":{"coding":[{"code":"c"}]},"subject":{"reference":"Patient/raw-pat-2"},"effectiveDateTime":"2020-01-02"}`,
		`{"resourceType":"Composition","id":"raw-com-1","status":"final","type":{"text":"t"},"subject":{"reference":"Patient/raw-pat-1"},"date":"2020-01-01","author":[{"reference":"Practitioner/raw-dr-1"}],"title":"t","section":[{"entry":[{"reference":"Observation/raw-obs-1"}]}]}`,
	} {
		typ := strings.SplitN(r, `"`, 5)[3]
		id := strings.SplitN(r, `"id":"`, 2)[1]
		p.put(typ, id[:strings.IndexByte(id, '"')], r)
	}
	p.put("Observation", "raw-obs-2", `{"resourceType":"Observation","id":"raw-obs-2","status":"amended","code":{"coding":[{"code":"c"}]},"subject":{"reference":"Patient/raw-pat-2"},"effectiveDateTime":"2020-01-02"}`)
	return p
}

// everyByte is everything of an answer or a failure that leaves.
func everyByte(ctx context.Context, a *Answer, err error) string {
	if err != nil {
		f := failure(err)
		return fmt.Sprint(f.Issues, f.Error())
	}
	body := fmt.Sprint(a.ETag(), a.Location())
	if !a.Streamed() {
		return body + string(a.Body())
	}
	for chunk, err := range a.Chunks(ctx) {
		if err != nil {
			return err.Error()
		}
		body += string(chunk)
	}
	return body
}

var rawID = regexp.MustCompile(`raw-[a-z]+-[0-9]|00000000aaaa`)

// echo is the link that repeats what the caller itself wrote in the query (R4
// search.html#conformance); the path of it is the server's word.
var echo = regexp.MustCompile(`(\{"relation":"self","url":"[^"?]*)\?[^"]*"`)

// pseudonymOf is what the project of a call shows for an id.
func (p *shop) pseudonymOf(c Call, id string) string {
	p.t.Helper()
	project, err := p.project(c)
	p.must(err)
	return project.Of(id)
}

// TestNoAnswerHoldsARawID goes through every way to read, by pseudonyms and by
// raw ids, and looks at every byte.
func TestNoAnswerHoldsARawID(t *testing.T) {
	t.Parallel()
	p := study(t)
	for _, role := range []string{"study", "trial"} {
		c := p.as(role)
		ps := func(id string) string { return p.pseudonymOf(c, id) }
		found := map[string]int{}
		look := func(name string, a *Answer, err error) {
			t.Helper()
			text := everyByte(t.Context(), a, err)
			if raw := rawID.FindString(echo.ReplaceAllString(text, "$1")); raw != "" {
				t.Errorf("%s: %s shows %s", role, name, raw)
			}
			if err == nil {
				found[name] = strings.Count(text, ps("raw-pat-1")) + strings.Count(text, ps("raw-obs-1")) + strings.Count(text, ps("raw-obs-2"))
			}
		}
		for _, id := range []func(string) string{ps, func(s string) string { return s }} {
			for _, ref := range []string{"Patient/raw-pat-1", "Observation/raw-obs-1", "Organization/raw-org-1", "Composition/raw-com-1", "Patient/raw-none-1"} {
				typ, raw, _ := strings.Cut(ref, "/")
				a, err := p.Read(t.Context(), c, typ, id(raw))
				look("read "+id(ref), a, err)
				a, err = p.VRead(t.Context(), c, typ, id(raw), "1")
				look("vread", a, err)
				a, err = p.History(t.Context(), c, typ, id(raw), "_count=1")
				look("history "+id(ref), a, err)
				for _, op := range []string{"meta", "everything", "validate", "document", "break-glass"} {
					a, err = p.Operate(t.Context(), c, Invocation{Code: op, Type: typ, ID: id(raw)})
					look("$"+op, a, err)
				}
				a, err = p.Delete(t.Context(), c, typ, id(raw))
				look("delete", a, err)
				a, err = p.Update(t.Context(), c, typ, id(raw), []byte(`{"resourceType":"`+typ+`","id":"`+id(raw)+`"}`))
				look("update", a, err)
				a, err = p.Patch(t.Context(), c, typ, id(raw), JSONPatchMedia, []byte(`[]`))
				look("patch", a, err)
			}
			for _, target := range []string{"Patient", "Patient?_id=" + id("raw-pat-1"), "Observation?subject=Patient/" + id("raw-pat-1"), "Observation?subject=" + id("raw-pat-1"),
				"Observation?subject=" + base + "/Patient/" + id("raw-pat-1"), "Observation?patient=" + id("raw-pat-1") + "," + id("raw-pat-2") + "&_include=Observation:subject&_include=Observation:encounter",
				"Patient?_revinclude=Observation:subject&_summary=true", "Patient?_has:Observation:subject:_id=" + id("raw-obs-1"), "Observation?subject:Patient._id=" + id("raw-pat-1"),
				"Observation?subject:Patient.organization=" + id("raw-org-1") + "&_elements=subject", "Patient/" + id("raw-pat-1") + "/Observation?_count=1", "Patient/" + id("raw-pat-1") + "/*",
				"Observation?_sort=date&_count=1", "Observation?_sort=_id", "?_type=Patient,Observation&_count=1", "Observation?subject=nonsense", "Observation?subject:Patient=" + id("raw-pat-1") + "&_total=accurate"} {
				a, err := p.ask(c, target)
				look(target, a, err)
			}
			a, err := p.Operate(t.Context(), c, Invocation{Code: "lastn", Type: "Observation", Query: "patient=" + id("raw-pat-1")})
			look("$lastn", a, err)
			a, err = p.Bundle(t.Context(), c, []byte(`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/`+id("raw-pat-1")+`"}},{"request":{"method":"GET","url":"Observation?patient=`+id("raw-pat-1")+`"}}]}`))
			if text := everyByte(t.Context(), a, err); id("x") != "x" {
				look("batch", a, err)
			} else if strings.Contains(text, ps("raw-obs-1")) {
				t.Errorf("%s: a batch with raw ids finds something", role)
			}
		}
		a, err := p.HistoryType(t.Context(), c, "Observation", "_count=1")
		look("type history", a, err)
		a, err = p.HistorySystem(t.Context(), c, "")
		look("system history", a, err)
		a, err = p.Search(t.Context(), c, "AuditEvent", "")
		look("audit trail", a, err)
		for _, name := range []string{"Patient", "batch", "$lastn", "$everything", "$document", "Observation?subject:Patient._id=" + ps("raw-pat-1"), "Patient/" + ps("raw-pat-1") + "/*", "read Patient/" + ps("raw-pat-1")} {
			if n, asked := found[name]; name != "read Patient/"+ps("raw-pat-1") && (!asked || n == 0) && !strings.HasPrefix(name, "$") {
				t.Errorf("%s: %s shows no pseudonym: the test proves little", role, name)
			}
		}
	}
}

// What a pseudonym leads to is what the id leads to for others.
func TestPseudonymsAreMappedBackEverywhere(t *testing.T) {
	t.Parallel()
	p := study(t)
	c, full := p.as("study"), p.as("clinician")
	ps := func(id string) string { return p.pseudonymOf(c, id) }
	for _, q := range []string{"Patient?_id=%s", "Observation?subject=Patient/%s", "Observation?subject=%s", "Observation?subject:Patient=%s", "Observation?subject=" + base + "/Patient/%s",
		"Observation?subject:Patient._id=%s", "Patient/%s/Observation", "Encounter?patient=%s", "Patient?_id=%s&_revinclude=Observation:subject&_revinclude=Encounter:subject",
		"Observation?subject=%s&_include=Observation:encounter", "Patient?_id:not=%s", "Patient?link=%s"} {
		want, got := p.foundAs(full, fmt.Sprintf(q, "raw-pat-1")), p.foundAs(c, fmt.Sprintf(q, ps("raw-pat-1")))
		mapped := func(ids []string) []string {
			for i, id := range ids {
				ids[i] = ps(id[strings.LastIndexByte(id, '/')+1:])
			}
			return ids
		}
		for _, mode := range []string{"match", "include"} {
			seen := got.ids(mode)
			for i, id := range seen {
				seen[i] = id[strings.LastIndexByte(id, '/')+1:]
			}
			if expect := mapped(want.ids(mode)); !slices.Equal(seen, expect) || mode == "match" && len(expect) == 0 && !strings.Contains(q, "link") {
				t.Errorf("%s: %v, want %v", q, seen, expect)
			}
		}
	}
	// links lead on
	a, err := p.History(t.Context(), c, "Observation", ps("raw-obs-2"), "_count=1")
	p.must(err)
	var b struct {
		Link []struct{ Relation, URL string }
	}
	p.must(json.Unmarshal(a.Body(), &b))
	for _, l := range b.Link {
		if !strings.HasPrefix(l.URL, base+"/Observation/"+ps("raw-obs-2")+"/_history?") {
			t.Errorf("link %s", l.URL)
		}
		if l.Relation == "next" {
			if _, err := p.History(t.Context(), c, "Observation", ps("raw-obs-2"), l.URL[strings.Index(l.URL, "?")+1:]); err != nil {
				t.Error(err)
			}
		}
	}
	if ev := p.rec.last(); len(ev.Entities) != 1 || ev.Entities[0].ID != "raw-obs-2" {
		t.Errorf("the trail names %+v", ev.Entities)
	}
}

// Whoever knows an id does not learn which pseudonym it has, nor that it is
// there: raw ids and other projects' pseudonyms are unknown everywhere.
func TestRawAndForeignIdsAreUnknownToAProject(t *testing.T) {
	t.Parallel()
	p := study(t)
	c := p.as("study")
	for _, id := range []string{"raw-pat-1", p.pseudonymOf(p.as("trial"), "raw-pat-1"), "raw-none-1"} {
		a, err := p.Read(t.Context(), c, "Patient", id)
		p.refused(a, err, NotFound)
		a, err = p.VRead(t.Context(), c, "Patient", id, "1")
		p.refused(a, err, NotFound)
		a, err = p.History(t.Context(), c, "Patient", id, "")
		p.refused(a, err, NotFound)
		a, err = p.Operate(t.Context(), c, Invocation{Code: "everything", Type: "Patient", ID: id})
		p.refused(a, err, NotFound)
		for _, q := range []string{"Patient?_id=%s", "Observation?subject=Patient/%s", "Observation?patient=%s", "Observation?subject=" + base + "/Patient/%s", "Observation?subject:Patient._id=%s",
			"Patient?link:Patient._id=%s"} {
			if b := p.foundAs(c, fmt.Sprintf(q, id)); len(b.Entry) != 0 {
				t.Errorf("%s finds something by %s", q, id)
			}
		}
		if _, err := p.ask(c, "Patient/"+id+"/Observation"); err == nil {
			if b := p.foundAs(c, "Patient/"+id+"/Observation"); len(b.Entry) != 0 {
				t.Errorf("the compartment of %s is not empty", id)
			}
		}
	}
	for _, order := range []string{"_id", "-_id", "organization", "gender,-general-practitioner"} { // how ids compare says something of them
		a, err := p.Search(t.Context(), c, "Patient", "_sort="+order)
		p.refused(a, err, Denied)
	}
}

// Whoever sees pseudonyms writes nothing, by any way, and is told why.
func TestCallersUnderPseudonymsWriteNothing(t *testing.T) {
	t.Parallel()
	p := study(t)
	c := p.as("study")
	id, before := p.pseudonymOf(c, "raw-pat-1"), p.stored()
	body := []byte(`{"resourceType":"Patient","id":"` + id + `"}`)
	for name, write := range map[string]func() (*Answer, error){
		"create": func() (*Answer, error) {
			return p.Create(t.Context(), c, "Patient", []byte(`{"resourceType":"Patient"}`))
		},
		"update":       func() (*Answer, error) { return p.Update(t.Context(), c, "Patient", id, body) },
		"update where": func() (*Answer, error) { return p.UpdateWhere(t.Context(), c, "Patient", "_id="+id, body) },
		"patch":        func() (*Answer, error) { return p.Patch(t.Context(), c, "Patient", id, JSONPatchMedia, []byte(`[]`)) },
		"delete":       func() (*Answer, error) { return p.Delete(t.Context(), c, "Patient", id) },
		"delete where": func() (*Answer, error) { return p.DeleteWhere(t.Context(), c, "Patient", "_id="+id) },
		"$meta-add": func() (*Answer, error) {
			return p.Operate(t.Context(), c, Invocation{Code: "meta-add", Type: "Patient", ID: id, Body: []byte(`{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"t"}]}}]}`)})
		},
		"transaction": func() (*Answer, error) {
			return p.Bundle(t.Context(), c, []byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/`+id+`"}}]}`))
		},
	} {
		a, err := write()
		p.refused(a, err, Denied)
		if err != nil && !strings.Contains(failure(err).Error()+fmt.Sprint(failure(err).Issues), "reads and searches only") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p.stored() != before {
		t.Error("something was written")
	}
}
