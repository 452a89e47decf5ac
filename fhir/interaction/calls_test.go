package interaction

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// calls counts what is asked of an engine. On MongoDB each call is a round trip
// or more (docs/mongodb.md).
type calls struct {
	mu   sync.Mutex
	made map[string]int
}

func (c *calls) note(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.made == nil {
		c.made = map[string]int{}
	}
	c.made[name]++
}

// take returns what was counted since the last time.
func (c *calls) take() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name, n := range c.made {
		names = append(names, fmt.Sprint(n, " ", name))
	}
	clear(c.made)
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (c *calls) of(e engine) engine {
	return &counted{engine: e, Counter: e.(repository.Counter), Indexer: e.(repository.Indexer), Feeder: e.(repository.Feeder), calls: c}
}

type counted struct {
	engine
	repository.Counter
	repository.Indexer
	repository.Feeder
	calls *calls
}

func (c *counted) Get(ctx context.Context, k repository.Key) (repository.Record, error) {
	c.calls.note("Get")
	return c.engine.Get(ctx, k)
}

func (c *counted) GetVersion(ctx context.Context, k repository.Key, v repository.Version) (repository.Record, error) {
	c.calls.note("GetVersion")
	return c.engine.GetVersion(ctx, k, v)
}

// Gather answers as an engine does to which each call is a round trip.
func (c *counted) Gather(ctx context.Context, wanted []repository.Wanted) ([]repository.Record, error) {
	c.calls.note("Gather")
	out := make([]repository.Record, len(wanted))
	for i, w := range wanted {
		var err error
		if out[i], err = c.engine.Get(ctx, w.Key); w.Version != 0 {
			out[i], err = c.engine.GetVersion(ctx, w.Key, w.Version)
		}
		if err != nil && !errors.Is(err, repository.ErrNotFound) {
			return nil, err
		}
	}
	return out, nil
}

func (c *counted) Commit(ctx context.Context, b repository.Batch) (repository.Seq, error) {
	c.calls.note("Commit")
	return c.engine.Commit(ctx, b)
}

func (c *counted) Find(ctx context.Context, q repository.Query) (repository.Page, error) {
	c.calls.note("Find")
	return c.engine.Find(ctx, q)
}

func (c *counted) Guards(ctx context.Context, ts []repository.Token) ([]repository.Guard, error) {
	c.calls.note("Guards")
	return c.engine.Guards(ctx, ts)
}

func (c *counted) History(ctx context.Context, r repository.HistoryRange) (repository.Page, error) {
	c.calls.note("History")
	return c.engine.History(ctx, r)
}

func (c *counted) Stamp(ctx context.Context) (repository.Stamp, error) {
	c.calls.note("Stamp")
	return c.engine.Stamp(ctx)
}

func (c *counted) Count(ctx context.Context, q repository.Query, most int) (int, error) {
	c.calls.note("Count")
	return c.Counter.Count(ctx, q, most)
}

func (c *counted) Estimate(ctx context.Context, typ string, anyOf []repository.Token) (int, error) {
	c.calls.note("Estimate")
	return c.Counter.Estimate(ctx, typ, anyOf)
}

// TestGuardedDeletionAsksOncePerType: a deletion looks for what refers to the
// resource with one question for each type that may, whatever the number of
// elements by which it may.
func TestGuardedDeletionAsksOncePerType(t *testing.T) {
	t.Parallel()
	seen := &calls{}
	p := newShopWith(t, shopOptions{calls: seen})
	p.Integrity.OnDelete = true
	p.put("Patient", "p1", patient)
	catalog, err := sharedCatalog()
	p.must(err)
	types, parameters := 0, 0
	for _, typ := range p.Definitions.ResourceTypes() {
		before := parameters
		for _, q := range catalog.Parameters(typ) {
			if typ != auditEvent && q.Kind == search.ReferenceKind && q.Covering == "" && q.LeadsTo("Patient") {
				parameters++
			}
		}
		if parameters > before {
			types++
		}
	}
	seen.take()
	_, err = p.Delete(t.Context(), p.as("integration"), "Patient", "p1")
	p.must(err)
	want := fmt.Sprintf("1 Commit, 1 Get, 1 Guards, 1 Stamp, %d Find", types)
	if got := seen.take(); got != want {
		t.Errorf("asked for %q, want %q", got, want)
	}
	t.Logf("%d types, %d parameters", types, parameters)
}

// TestCallsOfTheEngine: what an interaction asks of the engine when the keys
// that it needs are known.
func TestCallsOfTheEngine(t *testing.T) {
	t.Parallel()
	seen := &calls{}
	p := newShopWith(t, shopOptions{calls: seen})
	p.put("Patient", "p1", patient)
	observation := `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"urn:c","code":"k"}]},"subject":{"reference":"Patient/p1"}}`
	for range 7 {
		_, err := p.Create(t.Context(), p.as("integration"), "Observation", []byte(observation))
		p.must(err)
	}
	integration, ctx := p.as("integration"), t.Context()
	unless := integration
	unless.IfNoneExist = "identifier=urn:mrn|new"
	for _, c := range []struct {
		name string
		call func() (*Answer, error)
		want string
	}{
		{"read", func() (*Answer, error) { return p.Read(ctx, p.as("clinician"), "Patient", "p1") }, "1 Get"},
		{"search, one page", func() (*Answer, error) {
			return p.Search(ctx, p.as("clinician"), "Observation", "code=urn:c|k&_count=5")
		}, "1 Find"},
		{"search by two parameters", func() (*Answer, error) {
			return p.Search(ctx, p.as("clinician"), "Observation", "patient=p1&code=urn:c|k&_count=20")
		}, "1 Find"},
		{"history of the system", func() (*Answer, error) { return p.HistorySystem(ctx, integration, "") }, "1 Gather"},
		{"history of a type", func() (*Answer, error) { return p.HistoryType(ctx, integration, "Observation", "_count=3") }, "1 Gather"},
		{"create", func() (*Answer, error) { return p.Create(ctx, integration, "Observation", []byte(observation)) }, "1 Commit, 1 Stamp"},
		{"conditional create", func() (*Answer, error) {
			return p.Create(ctx, unless, "Patient", []byte(strings.Replace(patient, `"id":"p1",`, "", 1)))
		}, "1 Commit, 1 Find, 1 Guards, 1 Stamp"},
		{"update", func() (*Answer, error) { return p.Update(ctx, integration, "Patient", "p1", []byte(patient)) }, "1 Commit, 1 Get, 1 Stamp"},
		{"delete", func() (*Answer, error) { return p.Delete(ctx, integration, "Patient", "p1") }, "1 Commit, 1 Get, 1 Stamp"},
	} {
		seen.take()
		_, err := c.call()
		p.must(err)
		if got := seen.take(); got != c.want {
			t.Errorf("%s asked for %q, want %q", c.name, got, c.want)
		}
	}
}
