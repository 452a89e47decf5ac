package suite

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// acknowledged is what the server said it had stored.
type acknowledged struct {
	mu       sync.Mutex
	patients map[string]string // id → family name
	groups   map[string]bool   // ids of transactions; false when the answer is missing
	counters map[string]int    // id → last acknowledged value
}

func newAcknowledged() *acknowledged {
	return &acknowledged{patients: map[string]string{}, groups: map[string]bool{}, counters: map[string]int{}}
}

const groupSize = 3

// After kill -9 in the middle of concurrent writes every acknowledged write is
// there with its content, transactions are whole or absent, and the trail
// verifies.
func TestKillNineLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	cycles := 3
	if long() && !onMongoDB() {
		cycles = 200
	}
	dir := demoData(t)
	var lives []*acknowledged
	for cycle := range cycles {
		s := startOn(t, dir)
		acks := newAcknowledged()
		writeUntilKilled(t, s, acks, fmt.Sprintf("c%d", cycle))
		again := startOn(t, dir)
		acks.check(t, again)
		lives = append(lives, acks)
		if cycle == cycles-1 { // nothing of an earlier life was lost since
			for _, earlier := range lives {
				earlier.check(t, again)
			}
		}
		verify(t, dir)
		again.kill() // the next life starts from a crash as well
		if t.Failed() {
			t.Fatalf("after %d cycles", cycle+1)
		}
	}
}

// writeUntilKilled runs writers and kills the server under them.
func writeUntilKilled(t *testing.T, s *server, acks *acknowledged, cycle string) {
	t.Helper()
	s.untilWrites(t)
	var wg sync.WaitGroup
	for worker := range 12 {
		wg.Go(func() {
			write := [...]func(testing.TB, *server, string, int) bool{acks.patient, acks.group, acks.count}[worker%3]
			for n := 1; write(t, s, fmt.Sprintf("%s-w%d", cycle, worker), n); n++ {
			}
		})
	}
	s.until(t, "every kind of write", func() bool {
		acks.mu.Lock()
		defer acks.mu.Unlock()
		whole := slices.Contains(slices.Collect(maps.Values(acks.groups)), true)
		return len(acks.patients) > 0 && whole && len(acks.counters) > 0
	})
	time.Sleep(rand.N(400 * time.Millisecond))
	s.kill()
	wg.Wait()
}

// untilWrites waits until a server writes: on MongoDB a transaction that a killed
// one left open holds up others until the database ends it.
func (s *server) untilWrites(t *testing.T) {
	t.Helper()
	if !onMongoDB() {
		return
	}
	s.until(t, "a write after the kill", func() bool {
		return s.do(t, integration, "POST", "/Patient", person("")).status != http.StatusServiceUnavailable
	})
}

func (a *acknowledged) patient(t testing.TB, s *server, worker string, n int) bool {
	p := person(fmt.Sprintf("%s-%d", worker, n))
	res, err := s.try(t, integration, "PUT", "/Patient/"+p["id"].(string), p, "Prefer", "return=minimal")
	if err != nil || res.status != 201 {
		return stopped(t, res, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.patients[p["id"].(string)] = at(p, "name", 0, "family").(string)
	return true
}

func (a *acknowledged) group(t testing.TB, s *server, worker string, n int) bool {
	id := fmt.Sprintf("%s-g%d", worker, n)
	entries := []object{put(person(id + "-0"))}
	for i := 1; i < groupSize; i++ {
		o := observation("Patient/" + id + "-0")
		o["id"] = fmt.Sprintf("%s-%d", id, i)
		entries = append(entries, put(o))
	}
	res, err := s.try(t, integration, "POST", "", transaction(entries...))
	a.mu.Lock()
	a.groups[id] = err == nil && res.status == 200
	a.mu.Unlock()
	return err == nil && res.status == 200 || stopped(t, res, err)
}

func (a *acknowledged) count(t testing.TB, s *server, worker string, n int) bool {
	p := person(worker + "-n")
	p["multipleBirthInteger"] = n
	res, err := s.try(t, integration, "PUT", "/Patient/"+worker+"-n", p, "Prefer", "return=minimal")
	if err != nil || res.status > 201 {
		return stopped(t, res, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counters[worker+"-n"] = n
	return true
}

// stopped reports a refusal; no answer at all is what kill -9 looks like.
func stopped(t testing.TB, res *answer, err error) bool {
	if err == nil {
		t.Errorf("%s: %d %.300s", res.asked, res.status, res.body)
	}
	return false
}

func (a *acknowledged) check(t *testing.T, s *server) {
	t.Helper()
	for id, family := range a.patients {
		got := s.do(t, clinician, "GET", "/Patient/"+id, nil)
		if got.status != 200 || at(got.json(), "name", 0, "family") != family {
			t.Errorf("%s was acknowledged: %d %.200s", id, got.status, got.body)
		}
	}
	for id, acked := range a.groups {
		found := 0
		for i := range groupSize {
			typ := "Observation"
			if i == 0 {
				typ = "Patient"
			}
			switch status := s.do(t, clinician, "GET", fmt.Sprintf("/%s/%s-%d", typ, id, i), nil).status; {
			case status == 200:
				found++
			case status != 404:
				t.Errorf("%s-%d: %d", id, i, status)
			}
		}
		if found != groupSize && (found != 0 || acked) {
			t.Errorf("transaction %s (acknowledged %v): %d of %d resources", id, acked, found, groupSize)
		}
	}
	for id, n := range a.counters {
		got := s.do(t, clinician, "GET", "/Patient/"+id, nil).want(200)
		value, err := got.json()["multipleBirthInteger"].(json.Number).Int64()
		version := strings.Trim(got.header.Get("ETag"), `W/"`)
		if err != nil || int(value) < n || int(value) > n+1 || version != fmt.Sprint(value) {
			t.Errorf("%s: %d at version %s after %d was acknowledged", id, value, version, n)
		}
	}
}
