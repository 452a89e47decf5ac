package suite

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// ledger is what transactions were sent, and which were acknowledged.
type ledger struct {
	mu   sync.Mutex
	sent map[string]bool
}

// Kill -9 in the middle of transactions that create, create conditionally,
// update, patch and delete: each is there with all its entries, or with none,
// and what was acknowledged is there.
func TestKilledTransactionsAreWholeOrAbsent(t *testing.T) {
	t.Parallel()
	cycles := 12
	if long() && !onMongoDB() {
		cycles = 200
	}
	dir := demoData(t)
	l := &ledger{sent: map[string]bool{}}
	whole, sent := 0, 0
	for cycle := range cycles + 1 {
		s := startOn(t, dir)
		for name, acked := range l.sent {
			if sent++; l.check(t, s, name, acked) {
				whole++
			}
		}
		if t.Failed() || cycle == cycles {
			s.kill()
			break
		}
		l.sent = map[string]bool{}
		s.untilWrites(t)
		var wg sync.WaitGroup
		for worker := range 6 {
			wg.Go(func() {
				for n := 0; l.send(t, s, fmt.Sprintf("crash-c%d-w%d", cycle, worker), n); n++ {
				}
			})
		}
		s.until(t, "a first transaction", l.acknowledged)
		time.Sleep(rand.N(300 * time.Millisecond))
		s.kill()
		wg.Wait()
	}
	verify(t, dir)
	if whole == 0 {
		t.Errorf("none of %d transactions is there", sent)
	}
	t.Logf("%d of %d transactions are there", whole, sent)
}

// acknowledged reports whether a transaction was.
func (l *ledger) acknowledged() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(slices.Collect(maps.Values(l.sent)), true)
}

// tagged is a resource with the identifier of its transaction.
func tagged(r object, name string) object {
	r["identifier"] = []any{object{"system": "urn:crash", "value": name}}
	return r
}

// send commits the n-th transaction of a worker, which deletes a resource of
// the one before and patches one that all of them share.
func (l *ledger) send(t testing.TB, s *server, worker string, n int) bool {
	name := fmt.Sprintf("%s-%d", worker, n)
	urn := fmt.Sprintf("urn:uuid:55555555-5555-4555-8555-%012d", n)
	kept := tagged(observation(urn), name)
	kept["id"] = name
	counter := person(worker)
	counter["multipleBirthInteger"] = n + 1
	entries := []object{
		with(post(tagged(person(""), name), urn), "ifNoneExist", "identifier=urn:crash|"+name),
		post(tagged(observation(urn), name), ""), post(tagged(observation("Patient?identifier=urn:crash|"+name), name), ""),
		put(kept), put(counter),
	}
	if n > 0 {
		entries = append(entries, request("DELETE", fmt.Sprintf("Observation/%s-%d", worker, n-1)))
	}
	l.mu.Lock()
	l.sent[name] = false
	l.mu.Unlock()
	a, err := s.try(t, integration, "POST", "", transaction(entries...))
	if err != nil {
		return false
	}
	if a.status != 200 {
		t.Errorf("%s: %d %.300s", name, a.status, a.body)
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[name] = true
	return true
}

// check reports whether the transaction is there.
func (l *ledger) check(t testing.TB, s *server, name string, acked bool) bool {
	t.Helper()
	patients := s.total(t, "/Patient?identifier=urn:crash|"+name)
	kept := s.do(t, integration, "GET", "/Observation/"+name+"/_history", nil).status == 200 // the next one may have deleted it
	var worker string
	var n int
	for i := len(name) - 1; i > 0; i-- {
		if name[i] == '-' {
			worker = name[:i]
			fmt.Sscanf(name[i+1:], "%d", &n)
			break
		}
	}
	observations := len(s.do(t, integration, "GET", "/Observation?identifier=urn:crash|"+name, nil).want(200).matches())
	if s.do(t, integration, "GET", "/Observation/"+name, nil).status == 200 {
		observations--
	}
	counted := 0
	if c := s.do(t, integration, "GET", "/Patient/"+worker, nil); c.status == 200 {
		fmt.Sscan(fmt.Sprint(c.json()["multipleBirthInteger"]), &counted)
	}
	deleted := n == 0 || s.do(t, integration, "GET", fmt.Sprintf("/Observation/%s-%d", worker, n-1), nil).status == 410
	there := patients == 1
	if kept != there || (observations == 2) != there || observations != 0 && observations != 2 || (counted > n) != there || n > 0 && deleted != there || acked && !there {
		t.Errorf("%s (acknowledged %t): patient %d, kept %t, observations %d, counter %d, deleted %t", name, acked, patients, kept, observations, counted, deleted)
	}
	return there
}
