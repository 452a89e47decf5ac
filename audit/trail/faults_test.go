package trail

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
)

var errFault = errors.New("injected fault")

func outcomeOf(seq uint64) audit.Event {
	e := readEvent(1)
	e.Subtype, e.Action, e.IntentSeq = "update", audit.Update, seq
	return e
}

func intentEvent() audit.Event {
	e := readEvent(1)
	e.Subtype, e.Action, e.Outcome = "update", audit.Update, audit.Intent
	return e
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestFailedFsyncIsNeverRetriedAsSuccess(t *testing.T) {
	t.Parallel()
	for name, inject := range map[string]func(d *disk, broken *atomic.Bool){
		"write": func(d *disk, broken *atomic.Bool) {
			d.write = func(f *os.File, b []byte, off int64) error {
				if broken.Load() {
					return errFault
				}
				_, err := f.WriteAt(b, off)
				return err
			}
		},
		"sync": func(d *disk, broken *atomic.Bool) {
			d.sync = func(f *os.File) error {
				if broken.Load() {
					return errFault
				}
				return datasync(f)
			}
		},
	} {
		opt := testOptions(t, newFakeKeys())
		var broken atomic.Bool
		var failures atomic.Int32
		inject(&opt.disk, &broken)
		opt.OnFailure = func(error) { failures.Add(1) }
		tr := mustOpen(t, opt)
		mustRecord(t, tr, readEvent(1))
		broken.Store(true)
		if _, err := tr.Record(t.Context(), readEvent(1)); !errors.Is(err, audit.ErrUnavailable) {
			t.Errorf("%s: got %v", name, err)
		}
		broken.Store(false) // the next fsync would succeed, and prove nothing
		if _, err := tr.Record(t.Context(), readEvent(1)); !errors.Is(err, audit.ErrUnavailable) {
			t.Errorf("%s: after the fault: %v", name, err)
		}
		if s := tr.Status(); s.Available || s.Events != 1 || failures.Load() != 1 {
			t.Errorf("%s: %+v, %d failures", name, s, failures.Load())
		}
		tr.Close()
		if tr = mustOpen(t, testOptionsAt(opt)); tr.Status().Events < 1 {
			t.Errorf("%s: acknowledged event is gone", name)
		}
		mustRecord(t, tr, readEvent(1))
	}
}

// testOptionsAt is opt without its faults.
func testOptionsAt(opt Options) Options {
	opt.disk, opt.OnFailure = disk{}, nil
	return opt
}

func TestFullDiskKeepsRoomForOutcomes(t *testing.T) {
	t.Parallel()
	opt := testOptions(t, newFakeKeys())
	var free atomic.Uint64
	free.Store(opt.MinFree * 2)
	opt.disk.free = func(string) (uint64, error) { return free.Load(), nil }
	tr := mustOpen(t, opt)
	intent := mustRecord(t, tr, intentEvent())
	free.Store(opt.MinFree / 2)
	eventually(t, "the trail does not notice the full disk", func() bool { return !tr.Status().Available })
	if _, err := tr.Record(t.Context(), readEvent(1)); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("read on a full disk: %v", err)
	}
	mustRecord(t, tr, outcomeOf(intent))
	mustRecord(t, tr, audit.Event{Kind: audit.Login, Subtype: "failure", Action: audit.Execute, Outcome: audit.MinorFailure})
	free.Store(0)
	eventually(t, "the trail does not notice the empty reserve", func() bool { return tr.space.state.Load() == spaceNone })
	tr.Queue(outcomeOf(intent))
	eventually(t, "the outcome does not wait", func() bool { return tr.Status().Spooled == 1 }) // now and then it is being tried
	free.Store(opt.MinFree * 2)
	eventually(t, "the trail does not recover", func() bool { s := tr.Status(); return s.Available && s.Spooled == 0 && s.Events >= 4 })
	mustRecord(t, tr, readEvent(1))
}

func TestDiskFullWhileReservingAhead(t *testing.T) {
	t.Parallel()
	opt := testOptions(t, newFakeKeys())
	opt.SegmentRecords = 4096
	var full atomic.Bool
	opt.disk.allocate = func(f *os.File, off, n int64) error {
		if full.Load() {
			return syscall.ENOSPC
		}
		return allocate(f, off, n)
	}
	opt.disk.free = func(string) (uint64, error) {
		if full.Load() {
			return 0, nil
		}
		return 1 << 40, nil
	}
	tr := mustOpen(t, opt)
	full.Store(true)
	refused := false
	large := readEvent(1)
	large.Query = strings.Repeat("x", 8<<10)
	for range 1000 {
		if _, err := tr.Record(t.Context(), large); err != nil {
			refused = errors.Is(err, audit.ErrUnavailable)
			break
		}
	}
	if err := tr.failure(); !refused || err != nil {
		t.Fatalf("refused %v, latched %v", refused, err)
	}
	full.Store(false)
	eventually(t, "the trail does not recover", func() bool { return tr.Status().Available })
	mustRecord(t, tr, readEvent(1))
}

func TestKeystoreDownFailsClosed(t *testing.T) {
	t.Parallel()
	keys := newFakeKeys()
	tr := mustOpen(t, testOptions(t, keys))
	seq := mustRecord(t, tr, intentEvent())
	keys.mu.Lock()
	keys.down = true
	keys.mu.Unlock()
	if _, err := tr.Record(t.Context(), readEvent(1)); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	tr.Queue(outcomeOf(seq))
	keys.mu.Lock()
	keys.down = false
	keys.mu.Unlock()
	eventually(t, "the outcome was lost", func() bool { return tr.Status().Events == 2 })
}

func TestClockStepBackIsRecorded(t *testing.T) {
	t.Parallel()
	opt := testOptions(t, newFakeKeys())
	var now atomic.Int64
	now.Store(1_800_000_000)
	opt.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	tr := mustOpen(t, opt)
	mustRecord(t, tr, readEvent(1))
	now.Add(-3600)
	mustRecord(t, tr, readEvent(1))
	eventually(t, "no clock-step event", func() bool { return tr.Status().Events == 3 })
	e, err := tr.Get(t.Context(), "n1", 3)
	if err != nil || e.Subtype != "clock-step" {
		t.Errorf("%+v, %v", e, err)
	}
	first, _ := tr.Get(t.Context(), "n1", 1)
	if e.Time.Before(first.Time) {
		t.Error("time went back")
	}
}

func TestWitnessOutOfReachOnlyLags(t *testing.T) {
	t.Parallel()
	opt := testOptions(t, newFakeKeys())
	tr := mustOpen(t, opt)
	if err := os.Rename(opt.Witness, opt.Witness+".kept"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(opt.Witness, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 30 {
		mustRecord(t, tr, readEvent(1))
	}
	eventually(t, "the problem is not shown", func() bool { return tr.Status().Problem != "" })
	os.Remove(opt.Witness)
	os.Rename(opt.Witness+".kept", opt.Witness)
	eventually(t, "the witness does not catch up", func() bool { s := tr.Status(); return s.Witnessed > 0 && s.Problem == "" })
}
