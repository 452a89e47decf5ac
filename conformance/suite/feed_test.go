package suite

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// follower reads the feed by its links.
type follower struct {
	s    *server
	path string
	seen map[string]int
	list []string
}

// step reads one page and reports whether there was anything on it.
func (f *follower) step(t testing.TB) bool {
	t.Helper()
	a := f.s.do(t, integration, "GET", f.path, nil).want(200)
	page := a.versionsOf()
	for _, v := range page {
		f.seen[v]++
	}
	f.list = append(f.list, page...)
	next, monitor := a.follow("next"), a.follow("monitor")
	if (next == "") == (monitor == "") {
		t.Fatalf("a page has next %t and monitor %t", next != "", monitor != "")
	}
	f.path = next + monitor
	return len(page) > 0 || next != ""
}

// Thirty-two writers commit while a follower reads: every version that was
// acknowledged reaches the follower exactly once, in the order of its resource.
func TestFeedNeitherMissesNorRepeatsUnderThirtyTwoWriters(t *testing.T) {
	t.Parallel()
	s := shared(t)
	rounds := 12
	if long() {
		rounds = 100
	}
	path := "/_history?_sort=_lastUpdated&_count=40&_since=" + url.QueryEscape(time.Now().Format(time.RFC3339Nano))
	f := follower{s: s, path: path, seen: map[string]int{}}
	written := map[string]bool{}
	var mu sync.Mutex
	ack := func(versions ...string) {
		mu.Lock()
		defer mu.Unlock()
		for _, v := range versions {
			written[v] = true
		}
	}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() { feedWriter(t, s, rounds, ack) })
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for last := false; ; {
		select {
		case <-done:
			last = true
		default:
		}
		if more := f.step(t); last && !more {
			break
		}
	}
	for v := range written {
		if f.seen[v] != 1 {
			t.Errorf("%s was seen %d times", v, f.seen[v])
		}
	}
	latest := map[string]int{}
	for _, v := range f.list {
		if f.seen[v] != 1 {
			t.Fatalf("%s was seen %d times", v, f.seen[v])
		}
		if !written[v] {
			continue // another test's: it may have begun before
		}
		at := strings.LastIndexByte(v, '/')
		n := 0
		fmt.Sscanf(v[at+1:], "%d", &n)
		if latest[v[:at]]++; latest[v[:at]] != n {
			t.Fatalf("%s came as number %d", v, latest[v[:at]])
		}
	}
	if len(written) < 32*rounds*4 {
		t.Errorf("%d versions written", len(written))
	}
}

// feedWriter creates, updates, deletes, and commits transactions.
func feedWriter(t testing.TB, s *server, rounds int, ack func(...string)) {
	for range rounds {
		p := person(unique("feed-"))
		path := "/Patient/" + p["id"].(string)
		name := path[1:]
		for i, want := range []string{name + "/1", name + "/2", name + "/3-"} {
			method, body := "PUT", any(p)
			if i == 2 {
				method, body = "DELETE", nil
			}
			a, err := s.try(t, integration, method, path, body, "Prefer", "return=minimal")
			if err != nil || a.status > 204 {
				t.Errorf("%s: %v %v", want, a, err)
				return
			}
			ack(want)
		}
		a, err := s.try(t, integration, "POST", "", transaction(post(observation("Patient/"+s.Patient), ""), post(observation("Patient/"+s.Patient), "")))
		if err != nil || a.status != 200 {
			t.Errorf("transaction: %v %v", a, err)
			return
		}
		for _, r := range a.responses() {
			ack(located(r) + "/1")
		}
	}
}
