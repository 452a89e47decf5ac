package terminology

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
)

// memory is a Source over parsed resources. The current version of a canonical
// is the greatest one. A zero memory is empty.
type memory struct {
	mu    sync.Mutex
	list  []*fhir.Resource
	tags  []string
	asked int
	loads int
	err   error // answered to every question
}

// add stores resources given as JSON.
func (m *memory) add(t testing.TB, texts ...string) *memory {
	t.Helper()
	for _, text := range texts {
		r, err := fhir.Parse([]byte(text), fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		m.put(r)
	}
	return m
}

// put stores a resource, in the place of one with the same type, url and version.
func (m *memory) put(r *fhir.Resource) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tag := fmt.Sprint(len(m.tags), "/", r.Type(), "/", m.loads, "/", m.asked)
	for i, old := range m.list {
		if old.Type() == r.Type() && text(old, "url") == text(r, "url") && text(old, "version") == text(r, "version") {
			m.list[i], m.tags[i] = r, tag+"'"
			return
		}
	}
	m.list, m.tags = append(m.list, r), append(m.tags, tag)
}

func text(r *fhir.Resource, member string) string { return r.Root().Member(member).Text() }

func (m *memory) CodeSystem(_ context.Context, url, version string) (*Stored, error) {
	return m.find("CodeSystem", "url", url, version)
}

func (m *memory) ValueSet(_ context.Context, url, version string) (*Stored, error) {
	return m.find("ValueSet", "url", url, version)
}

func (m *memory) CodeSystemOf(_ context.Context, valueSet, version string) (*Stored, error) {
	return m.find("CodeSystem", "valueSet", valueSet, version)
}

func (m *memory) find(kind, member, url, version string) (*Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.err != nil {
		return nil, m.err
	}
	best := -1
	for i, r := range m.list {
		if r.Type() != kind || text(r, member) != url || version != "" && text(r, "version") != version {
			continue
		}
		if best < 0 || text(r, "version") > text(m.list[best], "version") {
			best = i
		}
	}
	if best < 0 {
		return nil, nil
	}
	r := m.list[best]
	return &Stored{Tag: m.tags[best], Load: func(context.Context) (*fhir.Resource, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.loads++
		return r, nil
	}}, nil
}

// codes lists concepts as "code code", or "system|code" when there are several
// systems.
func codes(list []Concept) string {
	var out []string
	for _, c := range list {
		out = append(out, c.Code)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
