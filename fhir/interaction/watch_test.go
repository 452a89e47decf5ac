package interaction

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// watch counts what the layers below are asked for.
type watch struct {
	mu     sync.Mutex
	calls  map[string]int
	opened field.ClassSet // classes whose slots were opened
}

func (w *watch) note(call string, classes field.ClassSet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls == nil {
		w.calls = map[string]int{}
	}
	w.calls[call]++
	w.opened |= classes
}

// take returns what was noted since the last time.
func (w *watch) take() (map[string]int, field.ClassSet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls, opened := w.calls, w.opened
	w.calls, w.opened = nil, 0
	return calls, opened
}

// watchedCipher is the real cipher with a watch.
type watchedCipher struct {
	sealed.Cipher
	w *watch
}

func (c watchedCipher) OpenHead(b field.Binding, k field.Keys, body []byte) (field.Head, error) {
	c.w.note("head", 0)
	return c.Cipher.OpenHead(b, k, body)
}

func (c watchedCipher) Open(b field.Binding, k field.Keys, h *field.Head, body []byte, visible field.ClassSet) (*fhir.Resource, error) {
	c.w.note("open", visible)
	return c.Cipher.Open(b, k, h, body, visible)
}

func (c watchedCipher) AppendOpen(dst []byte, b field.Binding, k field.Keys, h *field.Head, body []byte) ([]byte, error) {
	c.w.note("open", field.AllClasses)
	return c.Cipher.AppendOpen(dst, b, k, h, body)
}

// watchedStore is the real engine with a watch.
type watchedStore struct {
	engine
	w *watch
}

// watched is the engine with a watch and whatever else it can do.
func (p *shop) watched() repository.Store {
	s := watchedStore{p.store, &p.watch}
	type more interface {
		repository.Counter
		repository.Feeder
		repository.Indexer
	}
	m, ok := p.store.(more)
	if g, gathers := p.store.(repository.Gatherer); gathers && ok {
		return struct {
			watchedStore
			more
			repository.Gatherer
		}{s, m, g}
	}
	if ok {
		return struct {
			watchedStore
			more
		}{s, m}
	}
	return s
}

func (s watchedStore) Get(ctx context.Context, k repository.Key) (repository.Record, error) {
	s.w.note("get", 0)
	return s.engine.Get(ctx, k)
}

func (s watchedStore) GetVersion(ctx context.Context, k repository.Key, v repository.Version) (repository.Record, error) {
	s.w.note("version", 0)
	return s.engine.GetVersion(ctx, k, v)
}

func (s watchedStore) Find(ctx context.Context, q repository.Query) (repository.Page, error) {
	s.w.note("find", 0)
	return s.engine.Find(ctx, q)
}

func (s watchedStore) Commit(ctx context.Context, b repository.Batch) (repository.Seq, error) {
	s.w.note("commit", 0)
	return s.engine.Commit(ctx, b)
}

// everyRead are ways to read Patient/id, and what belongs to it, as a caller.
func (p *shop) everyRead(c Call, id, obs string) map[string]func() (*Answer, error) {
	ctx := p.t.Context()
	return map[string]func() (*Answer, error){
		"read":        func() (*Answer, error) { return p.Read(ctx, c, "Patient", id) },
		"vread":       func() (*Answer, error) { return p.VRead(ctx, c, "Patient", id, "1") },
		"history":     func() (*Answer, error) { return p.History(ctx, c, "Patient", id, "") },
		"observation": func() (*Answer, error) { return p.Read(ctx, c, "Observation", obs) },
		"meta":        func() (*Answer, error) { return p.Operate(ctx, c, Invocation{Code: "meta", Type: "Patient", ID: id}) },
		"validate": func() (*Answer, error) {
			return p.Operate(ctx, c, Invocation{Code: "validate", Type: "Patient", ID: id})
		},
		"everything": func() (*Answer, error) {
			return p.Operate(ctx, c, Invocation{Code: "everything", Type: "Patient", ID: id})
		},
	}
}

// drained reads an answer to its end.
func drained(ctx context.Context, a *Answer, err error) error {
	if err != nil || !a.Streamed() {
		return err
	}
	for _, err := range a.Chunks(ctx) {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestOnlyPermittedClassesAreOpened holds what the cipher is asked to open
// against the classes of the role, through every way to read: what is hidden is
// not even opened inside of the server.
func TestOnlyPermittedClassesAreOpened(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.put("Patient", "p1", `{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:mrn","value":"9"}],"name":[{"family":"Other"}],"gender":"female","birthDate":"1980-05-05","managingOrganization":{"reference":"Organization/o1"}}`)
	p.put("Observation", "w1", `{"resourceType":"Observation","id":"w1","status":"final","code":{"coding":[{"code":"c"}]},"subject":{"reference":"Patient/p1","display":"Name"},"effectiveDateTime":"2020-01-01","note":[{"text":"n"}],"valueString":"told"}`)
	p.put("Composition", "w2", `{"resourceType":"Composition","id":"w2","status":"final","type":{"text":"t"},"subject":{"reference":"Patient/p1"},"date":"2020-01-01","author":[{"reference":"Practitioner/dr"}],"title":"t","section":[{"entry":[{"reference":"Observation/w1"}]}]}`)
	for role, permitted := range map[string]field.ClassSet{
		"researcher": field.Set(field.Clinical, field.Limited, field.Administrative),
		"registrar":  field.Set(field.Identifier, field.Demographic, field.Limited, field.Contact, field.Administrative),
		"clerk":      field.AllClasses &^ field.Set(field.Identifier),
		"trial":      field.AllClasses,
	} {
		c := p.as(role)
		asks := p.everyRead(c, "p1", "w1")
		for _, target := range []string{"Patient", "Patient?gender=female", "Patient?_id=p1&_elements=name", "Patient?_summary=true", "Patient?_summary=count", "Patient?_total=accurate&_count=1", "Patient?_sort=gender",
			"Observation?code=c", "Observation?subject=Patient/p1&_include=Observation:subject", "Patient?_revinclude=Observation:subject", "Observation?subject:Patient.gender=female", "Patient?_has:Observation:subject:code=c",
			"Patient/p1/Observation", "Patient/p1/*", "?_type=Patient,Observation", "Observation?_sort=-date", "Patient?gender:not=male", "Patient?gender:missing=false", "Observation?_sort=date&_count=1&code=c"} {
			asks[target] = func() (*Answer, error) { return p.ask(c, target) }
		}
		asks["lastn"] = func() (*Answer, error) {
			return p.Operate(t.Context(), c, Invocation{Code: "lastn", Type: "Observation", Query: "patient=p1"})
		}
		asks["document"] = func() (*Answer, error) {
			return p.Operate(t.Context(), c, Invocation{Code: "document", Type: "Composition", ID: "w2"})
		}
		asks["batch"] = func() (*Answer, error) {
			return p.Bundle(t.Context(), c, []byte(`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/p1"}},{"request":{"method":"GET","url":"Observation?code=c"}}]}`))
		}
		asks["type history"] = func() (*Answer, error) { return p.HistoryType(t.Context(), c, "Patient", "") }
		exists := c
		exists.IfNoneExist = "gender=female&_id=p1"
		asks["If-None-Exist that finds"] = func() (*Answer, error) {
			return p.Create(t.Context(), exists, "Patient", []byte(`{"resourceType":"Patient"}`))
		}
		asks["conditional delete that finds nothing"] = func() (*Answer, error) { return p.DeleteWhere(t.Context(), c, "Patient", "gender=unknown&_id=p1") }
		var all field.ClassSet
		answered := 0
		for name, ask := range asks {
			p.watch.take()
			a, err := ask()
			if err = drained(t.Context(), a, err); err == nil {
				answered++
			} else if k := failure(err).Kind; k != Denied && k != NotFound && k != Gone {
				t.Errorf("%s %s: %v", role, name, err)
			}
			_, opened := p.watch.take()
			if !permitted.Contains(opened) {
				t.Errorf("%s %s opens %v", role, name, opened&^permitted)
			}
			all |= opened
		}
		if answered < len(asks)/3 || all == 0 {
			t.Errorf("%s: %d of %d were answered, %v opened: the test proves little", role, answered, len(asks), all)
		}
	}
}

// TestInvisibleCostsWhatUnknownCosts: what a caller may not see and what there
// is not cost the same operations in engine, cipher, key service and trail
// (decision 36; abuse 41, 42).
func TestInvisibleCostsWhatUnknownCosts(t *testing.T) {
	t.Parallel()
	p := library(t)
	p.put("Patient", "p1", `{"resourceType":"Patient","id":"p1"}`)
	p.put("Observation", "b", `{"resourceType":"Observation","id":"b","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p2"}}`)
	for _, role := range []string{"patient", "ward", "study"} {
		c := p.as(role)
		known, unknown := p.everyRead(c, "p2", "b"), p.everyRead(c, "nx", "n")
		for name := range known {
			var costs [2]map[string]int
			for i, ask := range []func() (*Answer, error){known[name], unknown[name], known[name], unknown[name]} { // the first round fills caches
				p.watch.take()
				wraps, unwraps := p.kms.Calls()
				events := p.rec.count()
				a, err := ask()
				if err := drained(t.Context(), a, err); err == nil || failure(err).Kind != NotFound {
					t.Errorf("%s %s: %v", role, name, err)
				}
				calls, _ := p.watch.take()
				if calls == nil {
					calls = map[string]int{}
				}
				w, u := p.kms.Calls()
				calls["kms"], calls["events"] = w+u-wraps-unwraps, p.rec.count()-events
				costs[i%2] = calls
			}
			if !maps.Equal(costs[0], costs[1]) {
				t.Errorf("%s %s: invisible %v, unknown %v", role, name, fmt.Sprint(costs[0]), fmt.Sprint(costs[1]))
			}
			if costs[0]["events"] == 0 {
				t.Errorf("%s %s leaves no event", role, name)
			}
		}
	}
	researcher := p.as("researcher")
	for _, query := range []string{"identifier=urn:mrn|1", "identifier=urn:mrn|none", "name=Mulligan", "_sort=family"} { // abuse 46
		p.watch.take()
		a, err := p.Search(t.Context(), researcher, "Patient", query)
		p.refused(a, err, Denied)
		if calls, _ := p.watch.take(); len(calls) != 0 {
			t.Errorf("%s: a refused search costs %v", query, calls)
		}
	}
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events)
}
