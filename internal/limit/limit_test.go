package limit

import (
	"strconv"
	"testing"
	"time"
)

func TestLimiterIsATokenBucketPerClient(t *testing.T) {
	t.Parallel()
	l := New(Limits{Default: Limit{Rate: 2, Burst: 3}, Clients: map[string]Limit{"engine": {Rate: 100, Burst: 10}, "free": {}}})
	now := time.Unix(1_800_000_000, 0)
	count := func(client string, tries int) (admitted int) {
		for range tries {
			if _, ok := l.Admit(client, now); ok {
				admitted++
			}
		}
		return admitted
	}
	for client, want := range map[string]int{"a": 3, "b": 3, "engine": 10, "free": 50} {
		if got := count(client, 50); got != want {
			t.Errorf("%s: %d at once, want %d", client, got, want)
		}
	}
	if wait, ok := l.Admit("a", now); ok || wait != 500*time.Millisecond {
		t.Errorf("wait %s", wait)
	}
	now = now.Add(time.Second) // refused requests took no tokens
	if got := count("a", 50); got != 2 {
		t.Errorf("%d after a second, want 2", got)
	}
}

// A client that invents names cannot make the limiter grow, nor get out of the
// bucket that all such share.
func TestLimiterMemoryIsBounded(t *testing.T) {
	t.Parallel()
	l := New(Limits{Default: Limit{Rate: 1, Burst: 2}})
	now := time.Unix(1_800_000_000, 0)
	admitted := 0
	for i := range 3 * maxBuckets {
		if _, ok := l.Admit("client-"+strconv.Itoa(i), now); ok {
			admitted++
		}
	}
	if len(l.buckets) > maxBuckets+1 || admitted > maxBuckets+2 {
		t.Errorf("%d buckets, %d admitted", len(l.buckets), admitted)
	}
	now = now.Add(time.Minute)
	if _, ok := l.Admit("late", now); !ok || len(l.buckets) != 1 {
		t.Errorf("%d buckets after all refilled", len(l.buckets))
	}
}

func TestNoLimitKeepsNothing(t *testing.T) {
	t.Parallel()
	l := New(Limits{})
	if _, ok := l.Admit("x", time.Now()); !ok || len(l.buckets) != 0 {
		t.Error("an absent limit limits")
	}
}

func TestNetworkIsWhatOneCanSendFrom(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{"192.0.2.7": "192.0.2.0/24", "::ffff:192.0.2.7": "192.0.2.0/24", "2001:db8:1:2ff::7": "2001:db8:1:200::/56",
		"fe80::1%eth0": "fe80::/56", "": "", "pipe": "pipe"} {
		if got := Network(address); got != want {
			t.Errorf("%q: %q", address, got)
		}
	}
	if Seconds(0) != "1" || Seconds(1500*time.Millisecond) != "2" {
		t.Error("Retry-After")
	}
}
