package login

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
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

// TestFailingStoreLetsNobodyIn: whichever operation fails, no session is given, and
// no guess is checked that was not counted.
func TestFailingStoreLetsNobodyIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	app, secret := d.withTOTP("user:chief")
	d.must(d.End(t.Context(), secret, peer))
	half := func() string {
		t.Helper()
		s, _, err := d.Password(t.Context(), "", peer, "chief", phrase)
		d.must(err)
		return s
	}
	for name, try := range map[string]func() (string, Session, error){
		"right password": func() (string, Session, error) { return d.Password(t.Context(), "", peer, "chief", phrase) },
		"wrong password": func() (string, Session, error) {
			return d.Password(t.Context(), "", peer, "chief", "guess guess guess")
		},
		"from elsewhere": func() (string, Session, error) {
			return d.Password(t.Context(), "", other, "chief", "guess guess guess")
		},
		"unknown name": func() (string, Session, error) {
			return d.Password(t.Context(), "", peer, "nobody", "guess guess guess")
		},
	} {
		d.eachFault(name, nil, try)
	}
	for name, code := range map[string]func() string{"right code": func() string { return d.app(app) }, "wrong code": func() string { return "000000" }} {
		var waiting string
		d.eachFault(name, func() { waiting = half() }, func() (string, Session, error) { return d.TOTP(t.Context(), waiting, peer, code()) })
	}
}

// eachFault tries with one failing operation after the other, until none is left
// to fail.
func (d *desk) eachFault(name string, before func(), try func() (string, Session, error)) {
	d.t.Helper()
	for n := 0; ; n++ {
		d.clock.Advance(3 * time.Hour) // no delay of the attempts before
		if before != nil {
			before()
		}
		at, fired := 0, false
		d.table.SetFault(func(keyringtest.Op, []byte) error {
			if at++; at != n+1 {
				return nil
			}
			fired = true
			return repository.ErrUnavailable
		})
		secret, _, err := try()
		d.table.SetFault(nil)
		if !fired {
			return
		}
		if secret != "" || !errors.Is(err, repository.ErrUnavailable) {
			d.t.Errorf("%s, operation %d: a session %v, %v", name, n+1, secret != "", err)
		}
	}
}
