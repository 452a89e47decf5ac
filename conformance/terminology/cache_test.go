package terminology

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// The Source is asked in every call; a resource is read again only when its
// tag changes, and then at once.
func TestChangeOfStoredResourceIsSeen(t *testing.T) {
	t.Parallel()
	m := zoo(t)
	s := newService(t, m)
	ask := func(want bool, loads int) {
		t.Helper()
		asked := m.asked
		in, err := s.Contains(t.Context(), "urn:vs:swimmers", "urn:animals", "dog")
		if err != nil || in != want {
			t.Errorf("%v, %v, want %v", in, err, want)
		}
		if m.asked == asked {
			t.Error("the source was not asked")
		}
		if m.loads != loads {
			t.Errorf("%d loads, want %d", m.loads, loads)
		}
	}
	ask(false, 2)
	ask(false, 2)
	m.add(t, strings.Replace(animals, `{"code":"dog","display":"Dog","property":[`, `{"code":"dog","property":[{"code":"parent","valueCode":"swimmer"},`, 1))
	ask(true, 3)
	m.add(t, strings.Replace(set("urn:vs:swimmers", `{"system":"urn:animals","concept":[{"code":"fish"}]}`), `"urn:vs:swimmers"`, `"urn:vs:swimmers","version":"2"`, 1))
	ask(false, 4)
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	m := &memory{}
	for i := range 50 {
		m.add(t, fmt.Sprintf(`{"resourceType":"CodeSystem","url":"urn:%d","content":"complete","concept":[{"code":"a"},{"code":"b"},{"code":"c"}]}`, i))
	}
	s, err := New(Options{Source: m, Limits: Limits{Cached: 20}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if _, err := s.Lookup(t.Context(), fmt.Sprintf("urn:%d", i), "b"); err != nil {
			t.Fatal(err)
		}
		if s.cache.used > 20 || len(s.cache.items) > 5 || s.cache.order.Len() != len(s.cache.items) {
			t.Fatalf("%d concepts in %d resources are kept", s.cache.used, len(s.cache.items))
		}
	}
	loads := m.loads
	if _, err := s.Lookup(t.Context(), "urn:49", "b"); err != nil || m.loads != loads {
		t.Errorf("the last one was not kept: %v", err)
	}
	if _, err := s.Lookup(t.Context(), "urn:0", "b"); err != nil || m.loads != loads+1 {
		t.Errorf("the first one was kept: %v", err)
	}
	if _, err := s.Lookup(t.Context(), "http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB"); err != nil || s.cache.used > 20 {
		t.Errorf("a large one: %v, %d kept", err, s.cache.used)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	m := zoo(t)
	s, err := New(Options{Source: m, Limits: Limits{Cached: 3000}}) // evicts all the time
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				if in, err := s.Contains(t.Context(), "urn:vs:swimmers", "urn:animals", "whale"); err != nil || !in {
					t.Errorf("%v, %v", in, err)
				}
				if in, err := s.Contains(t.Context(), "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", "", "AMB"); err != nil || !in {
					t.Errorf("%v, %v", in, err)
				}
				if g == 0 {
					m.add(t, set("urn:other", fmt.Sprintf(`{"system":"urn:animals","version":"%d"}`, i)))
				}
			}
		})
	}
	wg.Wait()
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Limits: Limits{Depth: -1, Cached: -1}})
	if err == nil || !strings.Contains(err.Error(), "Depth") || !strings.Contains(err.Error(), "Cached") {
		t.Errorf("%v", err)
	}
}
