package interaction

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
	"github.com/fieldseal/fieldseal/repository"
)

// randomRoles are policy rows of n roles that see random classes of random
// types, some only under conditions.
func randomRoles(rng *rand.Rand, n int) string {
	var b strings.Builder
	all := field.AllClasses.Classes()
	some := func() string {
		var names []string
		for _, c := range all {
			if rng.IntN(3) > 0 {
				names = append(names, c.String())
			}
		}
		if !slices.Contains(names, "administrative") && rng.IntN(4) > 0 { // most modifier elements are: else little is left
			names = append(names, "administrative")
		}
		return strings.Join(names, "|")
	}
	for i := range n {
		fmt.Fprintf(&b, "role, role:any%d, random%s\n", i, []string{"", ", conceal_changes"}[rng.IntN(4)/3])
		fmt.Fprintf(&b, "p, role:any%d, record, read|search, %s, *, all_patients, allow\n", i, some())
		if classes := some(); rng.IntN(2) == 0 {
			fmt.Fprintf(&b, "p, role:any%d, Patient|Observation|Condition, read|search, %s, *, not_restricted_label, allow\n", i, classes)
		}
		if rng.IntN(2) == 0 {
			fmt.Fprintf(&b, "p, role:any%d, record, read|search, %s, *, restricted_label, deny\n", i, all[rng.IntN(len(all))])
		}
	}
	return b.String()
}

// leaf is a string of a resource with the element that holds it.
type leaf struct{ path, value string }

// leaves walks decoded JSON. Extensions and contained resources, whose classes
// do not follow from the path, are told apart by an empty path.
func leaves(path string, v any) (all []leaf) {
	switch v := v.(type) {
	case string:
		return []leaf{{path, v}}
	case []any:
		for _, x := range v {
			all = append(all, leaves(path, x)...)
		}
	case map[string]any:
		for name, x := range v {
			below := path + "." + name
			if path == "" || strings.HasPrefix(name, "_") || name == "extension" || name == "modifierExtension" || name == "contained" {
				below = ""
			}
			all = append(all, leaves(below, x)...)
		}
	}
	return all
}

// reviewed are the classes of elements as they stand in the reviewed list, read
// without the product's table.
func reviewed(t *testing.T) map[string]field.Class {
	t.Helper()
	text, err := os.ReadFile("../../crypto/field/testdata/classes.golden")
	if err != nil {
		t.Fatal(err)
	}
	classes := map[string]field.Class{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); len(f) == 4 && strings.Contains(f[0], ".") {
			if c, err := field.ParseClass(f[2]); err == nil {
				classes[f[0]] = c
			}
		}
	}
	return classes
}

// classOf is the class of the nearest listed element; false when the path is
// not listed, or is one of those that limited shows a part of.
func classOf(classes map[string]field.Class, path string) (field.Class, bool) {
	if strings.Contains(path, "address") || strings.Contains(path, "Date") || strings.Contains(path, "gender") || strings.Contains(path, "deceased") {
		return 0, false
	}
	for p := path; strings.Contains(p, "."); p = p[:strings.LastIndexByte(p, '.')] {
		if c, listed := classes[p]; listed {
			return c, true
		}
	}
	return 0, false
}

// TestEveryVisibleByteEqualsAReference asks in many ways as random roles, and
// holds every resource of every answer against the stored version, opened whole
// and filtered outside of the cipher; and its strings against the reviewed list
// of classes, read with no code of redaction.
func TestEveryVisibleByteEqualsAReference(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	roles := 6
	if os.Getenv("FIELDSEAL_LONG") == "1" {
		roles = 60
	}
	p := newShopWith(t, shopOptions{rows: randomRoles(rng, roles)})
	for _, text := range fhirtest.SyntheaInformation(t) {
		p.load(text)
	}
	for _, text := range fhirtest.Synthea(t) {
		p.load(text)
		break
	}
	var keys []repository.Key
	types := map[string][]string{}
	for ch, err := range p.store.Changes(t.Context(), "") {
		p.must(err)
		st, err := p.Vault.Load(t.Context(), ch.Key)
		p.must(err)
		if !slices.Contains(keys, ch.Key) {
			keys = append(keys, ch.Key)
			types[ch.Key.Type] = append(types[ch.Key.Type], st.Head.ID)
		}
	}
	for typ, ids := range types { // some are labelled, and have a second version
		if id := ids[rng.IntN(len(ids))]; rng.IntN(2) == 0 {
			_, err := p.Operate(t.Context(), p.as("integration"), Invocation{Code: "meta-add", Type: typ, ID: id, Body: []byte(`{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]}}]}`)})
			p.must(err)
		}
	}
	classes := reviewed(t)
	compared, hidden, shown := 0, 0, 0
	for i := range roles {
		c := p.as(fmt.Sprintf("any%d", i))
		check := func(what string, body []byte) {
			n, h, s := p.compare(t, c, what, body, classes)
			compared, hidden, shown = compared+n, hidden+h, shown+s
		}
		answer := func(what string, a *Answer, err error) {
			if err != nil {
				if k := failure(err).Kind; k != Denied && k != NotFound {
					t.Errorf("%s: %v", what, err)
				}
				return
			}
			body := bytes.Clone(a.Body())
			if a.Streamed() {
				body = nil
				for chunk, err := range a.Chunks(t.Context()) {
					p.must(err)
					body = append(body, chunk...)
				}
			}
			check(what, body)
		}
		for typ, ids := range types {
			id := ids[rng.IntN(len(ids))]
			a, err := p.Read(t.Context(), c, typ, id)
			answer("read", a, err)
			a, err = p.History(t.Context(), c, typ, id, "")
			answer("history", a, err)
			query := []string{"_count=20", "_sort=_id&_count=10", "_total=accurate&_count=5", "_include=*&_count=5", "_id=" + id, "_revinclude=Observation:subject&_count=3", "_profile:missing=true&_count=5"}[rng.IntN(7)]
			a, err = p.Search(t.Context(), c, typ, query)
			answer("search "+typ+"?"+query, a, err)
		}
		for _, id := range types["Patient"] {
			a, err := p.Operate(t.Context(), c, Invocation{Code: "everything", Type: "Patient", ID: id, Query: "_count=40"})
			answer("$everything", a, err)
		}
	}
	t.Logf("%d resources compared, %d strings hidden, %d shown", compared, hidden, shown)
	if compared < 50*roles/6 || hidden == 0 || shown == 0 {
		t.Error("the test proves little")
	}
}

// compare holds the resources of an answer against the references.
func (p *shop) compare(t *testing.T, c Call, what string, body []byte, classes map[string]field.Class) (compared, hidden, shown int) {
	t.Helper()
	var b struct {
		ResourceType string
		Entry        []struct{ Resource json.RawMessage }
	}
	p.must(json.Unmarshal(body, &b))
	list := []json.RawMessage{body}
	if b.ResourceType == "Bundle" {
		list = nil
		for _, e := range b.Entry {
			if e.Resource != nil && !bytes.Contains(e.Resource, []byte(`"resourceType":"OperationOutcome"`)) {
				list = append(list, e.Resource)
			}
		}
	}
	for _, got := range list {
		var id struct {
			ResourceType, ID string
			Meta             struct {
				VersionID uint64 `json:"versionId,string"`
			}
		}
		p.must(json.Unmarshal(got, &id))
		key := p.Vault.Key(id.ResourceType, id.ID)
		st, err := p.Vault.Load(t.Context(), key)
		p.must(err)
		g, err := p.Decider.Decide(t.Context(), c.Subject, authz.Request{Action: authz.Read, Type: id.ResourceType})
		p.must(err)
		mask := g.Mask(facts(st.Head))
		switch v := repository.Version(id.Meta.VersionID); {
		case v == 0 && what == "history":
			continue // concealed: which version it is stands nowhere
		case v != 0 && v != st.Record.Version:
			st, err = p.Vault.LoadVersion(t.Context(), key, v)
			p.must(err)
			mask &= g.Mask(facts(st.Head))
		}
		full, _, err := p.Vault.OpenAll(st)
		p.must(err)
		want := p.Redactor.Filter(full, mask)
		if !mask.Contains(field.AllClasses) {
			p.Redactor.Apply(want, mask)
		}
		if p.Decider.Traits(c.Subject).ConcealChanges {
			redact.Conceal(want)
		}
		if text := want.AppendJSON(nil); !bytes.Equal(text, got) {
			t.Errorf("%s %s/%s under %v:\n got %s\nwant %s", what, id.ResourceType, id.ID, mask, got, text)
			return
		}
		var whole, seen any
		p.must(json.Unmarshal(full.AppendJSON(nil), &whole))
		p.must(json.Unmarshal(got, &seen))
		h, s := p.reviewStrings(t, what, leaves(id.ResourceType, whole), leaves(id.ResourceType, seen), mask, classes)
		compared, hidden, shown = compared+1, hidden+h, shown+s
	}
	return compared, hidden, shown
}

// reviewStrings looks for strings of hidden elements in what is seen, and for
// those of visible ones that are lacking.
func (p *shop) reviewStrings(t *testing.T, what string, whole, seen []leaf, mask field.ClassSet, classes map[string]field.Class) (hidden, shown int) {
	t.Helper()
	values := map[string]bool{}
	for _, l := range seen {
		values[l.value] = true
	}
	elsewhere := map[string]bool{} // strings that may be seen
	for _, l := range whole {
		if c, listed := classOf(classes, l.path); !listed || mask.Has(c) {
			elsewhere[l.value] = true
		}
	}
	for _, l := range whole {
		c, listed := classOf(classes, l.path)
		switch {
		case !listed || len(l.value) < 5 || strings.Count(l.path, ".") == 1 && strings.HasSuffix(l.path, ".id") || strings.HasPrefix(l.path[strings.IndexByte(l.path, '.'):], ".meta"):
		case !mask.Has(c) && !elsewhere[l.value]:
			if hidden++; values[l.value] {
				t.Errorf("%s shows %s of class %v under %v", what, l.path, c, mask)
			}
		case mask.Has(c) && c != field.Narrative:
			if shown++; !values[l.value] {
				t.Errorf("%s lacks %s of class %v under %v", what, l.path, c, mask)
			}
		}
	}
	return hidden, shown
}
