package suite

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

// A node is killed in the middle of writes and transactions. The others go on,
// what was acknowledged is there, and the node resolves its intents when it
// comes back, which it does at once although its row is still there.
func TestKilledNodeAmongOthers(t *testing.T) {
	t.Parallel()
	c := startNodes(t, 2)
	victim, other := c.all[0], c.all[1]
	l := &ledger{sent: map[string]bool{}}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for n := 0; l.send(t, victim, fmt.Sprintf("nodes-w%d", worker), n); n++ {
			}
		})
	}
	victim.until(t, "transactions", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.sent) > 8
	})
	victim.kill()
	wg.Wait()
	killed := time.Now()
	p := person(unique("after-"))
	other.until(t, "the others go on", func() bool {
		// A transaction that the node left open holds what it wrote until the
		// database ends it.
		a := other.do(t, integration, "PUT", "/Patient/"+p["id"].(string), p)
		return a.status == 200 || a.status == 201
	})
	t.Logf("the other node wrote %s after the kill", time.Since(killed).Round(time.Millisecond))
	for name, acked := range l.sent {
		l.check(t, other, name, acked)
	}
	began := time.Now()
	c.restart(t, 0)
	t.Logf("the killed node was back after %s", time.Since(began).Round(time.Millisecond))
	c.all[0].stop(t)
	c.verify(t, 0)
}

// A node is killed while it rotates the key of the index. Another one goes on
// with it, and searches are complete all the time.
func TestOtherNodeFinishesTheRotationOfAKilledOne(t *testing.T) {
	t.Parallel()
	c := startNodes(t, 2)
	victim, other := c.all[0], c.all[1]
	x := victim.indexed(t, 20)
	rotation := spawnCommand("keys", "rotate", "--index", "--data", victim.dir)
	if err := rotation.Start(); err != nil {
		t.Fatal(err)
	}
	other.until(t, "the rotation", func() bool { return other.epochs(t) == 2 })
	victim.kill()
	_ = rotation.Wait()
	killed := time.Now()
	x.check(t, other)
	other.until(t, "the end of the rotation", func() bool {
		time.Sleep(time.Second)
		return x.check(t, other) && other.epochs(t) == 1
	})
	t.Logf("the other node had finished %s after the kill", time.Since(killed).Round(time.Second))
	x.check(t, other)
}

// The database is killed under load. No acknowledged write is lost, requests
// end with 503, which those that come later are told at once, and both nodes
// serve again without a restart.
func TestKilledDatabase(t *testing.T) {
	t.Parallel()
	c := startNodes(t, 2, "--request-timeout", "10s")
	marker := newCanary()
	acked := &ledger{sent: map[string]bool{}}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for worker := range 4 {
		s := c.all[worker%2]
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				acked.write(t, s, fmt.Sprintf("%s-%d-%d", marker.core, worker, n))
			}
		})
	}
	c.all[0].until(t, "writes", func() bool { return acked.count() > 10 })
	c.database.Kill()
	for i, s := range c.all {
		s.until(t, "noticing the outage", func() bool { return s.ready() == http.StatusServiceUnavailable })
		began := time.Now()
		s.do(t, clinician, "GET", "/Patient/unknown", nil).outcome(503)
		for range 60 { // a second of waiting each would be too long
			a := s.do(t, integration, "PUT", "/Patient/unknown", person("unknown"))
			if a.outcome(503); a.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
		if took := time.Since(began); took > tooLong {
			t.Errorf("node %d needed %s for its refusals", i+1, took)
		}
		t.Logf("node %d refused 61 requests in %s", i+1, time.Since(began).Round(time.Millisecond))
	}
	close(stop)
	wg.Wait()
	if err := c.database.Start(); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.all {
		began := time.Now()
		s.until(t, "serving again", func() bool { return s.ready() == http.StatusOK })
		t.Logf("ready %s after the database", time.Since(began).Round(time.Millisecond))
	}
	for id := range acked.sent {
		if a := c.all[1].do(t, integration, "GET", "/Patient/"+id, nil); a.status != 200 {
			t.Errorf("an acknowledged write is lost: %d", a.status)
		}
	}
	scanDatabase(t, c, marker)
}

// The keystore's database alone is killed. What needs no key that is not in memory
// is served as before, for as long as keys stay there; the rest ends with 503,
// soon; the nodes are not ready, and serve again without a restart.
func TestNodesWithoutTheirKeystore(t *testing.T) {
	t.Parallel()
	keys := mongotest.New(t, "--sync-on-commit")
	c := startNodes(t, 2, "--keystore", databaseOf(keys.URI(), t.Name()))
	a, b := c.all[0], c.all[1]
	path := "/Patient/" + a.create(t, person(""))
	warmed := time.Now()
	a.do(t, clinician, "GET", path, nil).want(200)
	keys.Kill()
	for _, s := range c.all {
		s.until(t, "noticing the outage", func() bool { return s.ready() == http.StatusServiceUnavailable })
	}
	began := time.Now()
	b.do(t, clinician, "GET", path, nil).outcome(503) // it has never had the keys
	if got := a.do(t, integration, "POST", "/Patient", person("")); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("a patient who needs new keys: %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	if took := time.Since(began); took > tooLong {
		t.Errorf("refusing took %s", took)
	}
	got := a.do(t, clinician, "GET", path, nil).status
	if took := time.Since(warmed); took < 40*time.Second && got != 200 {
		// A node that was passed over, on a busy machine, has forgotten its keys.
		a.until(t, "a reason to refuse with keys in memory", func() bool {
			return strings.Contains(a.stderr.String(), "taking over what other nodes changed")
		})
	}
	if err := keys.Start(); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.all {
		s.until(t, "being ready again", func() bool { return s.ready() == http.StatusOK })
		s.until(t, "reading", func() bool { return s.do(t, clinician, "GET", path, nil).status == 200 })
		s.until(t, "new keys", func() bool { return s.do(t, integration, "POST", "/Patient", person("")).status == 201 })
	}
}

// write creates a patient whose id, identifier and names are markers.
func (l *ledger) write(t testing.TB, s *server, id string) {
	p := person(id)
	p["identifier"] = []any{object{"system": "urn:suite", "value": id}}
	p["name"] = []any{object{"family": id, "given": []any{id}}}
	a, err := s.try(t, integration, "PUT", "/Patient/"+id, p)
	if err != nil || a.status != 201 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[id] = true
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent)
}

// scanDatabase stops everything and looks for what nobody may read in the
// database's own files: elements, logical ids and tokens.
func scanDatabase(t *testing.T, c *nodes, marker *canary) {
	t.Helper()
	for _, s := range c.all {
		s.stop(t)
	}
	c.database.Kill()
	n := marker.needles()
	for role, token := range c.all[0].Tokens {
		n.add("token of "+role, strings.TrimPrefix(token, "fst_"))
	}
	n.scanFiles(t, c.database.Dir)
}

// A node that was stopped by its host for longer than it counts as alive finds
// out by itself, takes over what happened and serves on.
func TestNodeThatWasStoppedComesBack(t *testing.T) {
	t.Parallel()
	c := startNodes(t, 2)
	a, b := c.all[0], c.all[1]
	id := a.create(t, person(""))
	b.do(t, clinician, "GET", "/Patient/"+id, nil).want(200) // its keys are warm
	if err := b.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	erase(t, a.dir, id) // waits until the other counts as dead
	if err := b.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := b.do(t, clinician, "GET", "/Patient/"+id, nil).status; got == 200 {
		t.Error("a node that was passed over reads an erased patient")
	}
	b.until(t, "coming back", func() bool { return b.ready() == http.StatusOK })
	if got := b.do(t, clinician, "GET", "/Patient/"+id, nil).status; got != 410 && got != 404 {
		t.Errorf("it reads the erased patient: %d", got)
	}
	b.do(t, clinician, "GET", "/Patient/"+a.create(t, person("")), nil).want(200)
}
