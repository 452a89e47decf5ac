package login

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestGuessingIsSlowed: per account and network, and the delay grows, is capped,
// and ends.
func TestGuessingIsSlowed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.enrolled("user:chief")
	d.clock.Advance(3 * time.Hour)
	refused := 0
	for range 40 {
		if _, _, err := d.Password(t.Context(), "", other, "chief", "guess guess guess"); errors.Is(err, ErrTooMany) {
			refused++
			d.clock.Advance(time.Second)
		}
	}
	if refused < 30 {
		t.Errorf("%d of 40 were refused", refused)
	}
	d.clock.Advance(15 * time.Minute)
	if _, _, err := d.Password(t.Context(), "", other, "chief", phrase); err != nil {
		t.Errorf("the delay does not end: %v", err)
	}
}

// TestGuessersDoNotLockOutAnAdministrator: many networks guess; who logged in
// from a network before is not held up there.
func TestGuessersDoNotLockOutAnAdministrator(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, secret := d.withTOTP("user:chief") // known from peer now
	d.must(d.End(t.Context(), secret, peer))
	blocked := false
	for i := range 80 {
		_, _, err := d.Password(t.Context(), "", fmt.Sprintf("203.0.%d.1", i), "chief", "guess guess guess")
		blocked = blocked || errors.Is(err, ErrTooMany)
	}
	if !blocked {
		t.Error("guessing from many networks is not slowed")
	}
	if _, _, err := d.Password(t.Context(), "", peer, "chief", phrase); err != nil {
		t.Errorf("locked out: %v", err)
	}
	if _, _, err := d.Password(t.Context(), "", other, "chief", phrase); !errors.Is(err, ErrTooMany) {
		t.Errorf("an unknown network: %v", err)
	}
	d.must(d.Unlock(t.Context(), "user:chief"))
	if _, _, err := d.Password(t.Context(), "", other, "chief", phrase); err != nil {
		t.Errorf("unlocked: %v", err)
	}
}

// TestSprayingFromOneNetworkIsSlowed: one password on many names.
func TestSprayingFromOneNetworkIsSlowed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	checked := 0
	for i := range 70 {
		if _, _, err := d.Password(t.Context(), "", fmt.Sprintf("198.51.100.%d", i), fmt.Sprintf("user%d", i), "Winter2026!!"); err == ErrWrong {
			checked++
		}
	}
	if checked > ofNetwork.free {
		t.Errorf("%d were checked", checked)
	}
}

// TestParallelGuessesAreAllCounted: attempts are counted before they are checked.
func TestParallelGuessesAreAllCounted(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.enrolled("user:nurse")
	d.clock.Advance(3 * time.Hour)
	var checked atomic.Int32
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if _, _, err := d.Password(t.Context(), "", other, "nurse", "guess guess guess"); err == ErrWrong {
				checked.Add(1)
			}
		})
	}
	all.Wait()
	if n := checked.Load(); int(n) > ofPair.free {
		t.Errorf("%d of 32 parallel guesses were checked", n)
	}
}

// TestWaitingNetworkLeavesNoRows: names without end from one network cost no
// storage.
func TestWaitingNetworkLeavesNoRows(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	rows := func() (n int) {
		for _, err := range d.table.Scan(t.Context(), []byte(throttlePrefix)) {
			d.must(err)
			n++
		}
		return n
	}
	try := func(from int) {
		for i := range 100 {
			_, _, _ = d.Password(t.Context(), "", other, fmt.Sprintf("user%d", from+i), "Winter2026!!")
		}
	}
	try(0)
	before := rows()
	try(1000)
	if got := rows(); got != before {
		t.Errorf("%d rows became %d", before, got)
	}
}
