package trail

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

func memoryOptions(t testing.TB) (Options, *memoryLog, *keyringtest.Table) {
	log, table := &memoryLog{}, keyringtest.NewTable()
	return sharedOptions(t, newFakeKeys(), log, table), log, table
}

// sound verifies the chain and that its numbers have no gap.
func sound(t *testing.T, opt Options, events uint64) {
	t.Helper()
	if rep := verifyForm(t, opt); !rep.OK() || rep.Events != events {
		t.Errorf("%d events, want %d; %+v", rep.Events, events, rep.Problems)
	}
}

// TestOutageIsToldAtOnceAndEndsByItself: while the database takes nothing,
// callers hear it, the batch is tried until its fate is known, and an intent
// whose caller was told so is concluded.
func TestOutageIsToldAtOnceAndEndsByItself(t *testing.T) {
	t.Parallel()
	opt, log, _ := memoryOptions(t)
	tr := mustOpen(t, opt)
	mustRecord(t, tr, readEvent(1))
	log.setFault(func(int) (int, error) { return 0, repository.ErrUnavailable })
	if _, err := tr.Record(t.Context(), intentEvent()); !errors.Is(err, audit.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	if s := tr.Status(); s.Available || s.Events != 2 || s.Problem == "" {
		t.Errorf("%+v", s)
	}
	if _, err := tr.Record(t.Context(), readEvent(1)); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("an event was taken during the outage: %v", err)
	}
	tr.Queue(outcomeOf(1)) // waits in memory
	log.setFault(nil)
	eventually(t, "the trail does not recover", func() bool { return tr.Status().Available && tr.Status().Events == 5 })
	seq := mustRecord(t, tr, readEvent(1))
	e, err := tr.Get(t.Context(), "n1", 3)
	if err != nil || e.Outcome != audit.Intent {
		t.Errorf("the batch of the outage: %+v, %v", e.Event, err)
	}
	if open := tr.intents.lowWater(seq); open != seq+1 {
		t.Errorf("intent %d is open", open)
	}
	tr.Close()
	sound(t, opt, 6)
}

// TestLostAnswersNeitherRepeatNorLoseEvents: some or all of a batch was
// inserted, and nobody said so.
func TestLostAnswersNeitherRepeatNorLoseEvents(t *testing.T) {
	t.Parallel()
	opt, log, _ := memoryOptions(t)
	tr := mustOpen(t, opt)
	var calls atomic.Int64
	log.setFault(func(n int) (int, error) {
		switch calls.Add(1) % 4 {
		case 0:
			return n, repository.ErrUnavailable // all of it
		case 1:
			return n / 2, repository.ErrUnavailable
		case 2:
			return n, context.DeadlineExceeded
		}
		return n, nil
	})
	var mu sync.Mutex
	acked := map[uint64]string{}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 10 {
				e := readEvent(byte(w))
				e.RequestID = string(rune('a'+w)) + string(rune('A'+i))
				var r audit.Receipt
				eventually(t, "the trail does not recover", func() (ok bool) {
					var err error
					r, err = tr.Record(t.Context(), e)
					return err == nil
				})
				mu.Lock()
				acked[r.Seq()] = e.RequestID
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	log.setFault(nil)
	if len(acked) != 80 {
		t.Fatalf("%d events were acknowledged", len(acked))
	}
	for seq, id := range acked {
		if e, err := tr.Get(t.Context(), "n1", seq); err != nil || e.RequestID != id {
			t.Errorf("event %d is %q, %q was acknowledged: %v", seq, e.RequestID, id, err)
		}
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	sound(t, opt, tr.last.seq)
}

// TestCloseGivesUpOnADatabaseThatIsGone: what was never acknowledged is dropped.
func TestCloseGivesUpOnADatabaseThatIsGone(t *testing.T) {
	t.Parallel()
	opt, log, _ := memoryOptions(t)
	tr := mustOpen(t, opt)
	log.setFault(func(int) (int, error) { return 0, repository.ErrUnavailable })
	if _, err := tr.Record(t.Context(), readEvent(1)); err == nil {
		t.Fatal("acknowledged")
	}
	if err := tr.Close(); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	log.setFault(nil)
	mustOpen(t, opt).Close()
	sound(t, opt, 2)
}

// TestSplitBrainCannotForkAChain: two processes hold the same name, since the
// leases were lost. The one that came first is out with its next event.
func TestSplitBrainCannotForkAChain(t *testing.T) {
	t.Parallel()
	eachLog(t, func(t *testing.T, opt Options, _ attacked) {
		var failed atomic.Bool
		first := opt
		first.OnFailure = func(err error) { failed.Store(errors.Is(err, ErrLocked)) }
		a := mustOpen(t, first)
		mustRecord(t, a, readEvent(1))
		opt.Leases = keyringtest.NewTable()
		b := mustOpen(t, opt)
		if _, err := a.Record(t.Context(), readEvent(2)); !errors.Is(err, audit.ErrUnavailable) {
			t.Fatalf("the first process went on: %v", err)
		}
		if s := a.Status(); !failed.Load() || s.Available || s.Problem == "" {
			t.Errorf("%+v", s)
		}
		for range 3 {
			mustRecord(t, b, readEvent(3))
		}
		a.Close()
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		sound(t, opt, 6)
	})
}

// hurried is a log into which somebody else writes just before an Append.
type hurried struct {
	Log
	before func()
}

func (h *hurried) Append(ctx context.Context, entries []repository.LogEntry) error {
	if f := h.before; f != nil {
		h.before = nil
		f()
	}
	return h.Log.Append(ctx, entries)
}

// TestStartMeetsALateWriter: the process before appends between the reading of
// the chain and the fence of the new one.
func TestStartMeetsALateWriter(t *testing.T) {
	t.Parallel()
	opt, log, _ := memoryOptions(t)
	a := mustOpen(t, opt)
	mustRecord(t, a, readEvent(1))
	opt.Leases = keyringtest.NewTable()
	opt.Log = &hurried{log, func() { mustRecord(t, a, readEvent(2)) }}
	b := mustOpen(t, opt)
	if seq := mustRecord(t, b, readEvent(3)); seq != 5 {
		t.Errorf("event %d", seq)
	}
	if _, err := a.Record(t.Context(), readEvent(2)); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("the late writer went on: %v", err)
	}
	b.Close()
	sound(t, opt, 5)
}

// TestForgedNextEventStopsTheNode: an administrator of the database takes the
// next number.
func TestForgedNextEventStopsTheNode(t *testing.T) {
	t.Parallel()
	eachLog(t, func(t *testing.T, opt Options, db attacked) {
		tr := mustOpen(t, opt)
		mustRecord(t, tr, readEvent(1))
		e, err := one(t.Context(), opt.Log, entryID(kindFrame, "n1", 2))
		if err != nil {
			t.Fatal(err)
		}
		e.ID = entryID(kindFrame, "n1", 3)
		db.put(e)
		if _, err := tr.Record(t.Context(), readEvent(1)); !errors.Is(err, audit.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

// TestLeaseOfAKilledNodeEnds: its row stays and nobody renews it.
func TestLeaseOfAKilledNodeEnds(t *testing.T) {
	t.Parallel()
	opt, _, table := memoryOptions(t)
	opt.Lease = shortLease
	table.Put([]byte(leasePrefix+"n1"), []byte("somebody who died"))
	begun := time.Now()
	tr := mustOpen(t, opt)
	if time.Since(begun) < opt.Lease {
		t.Error("the lease was not waited for")
	}
	mustRecord(t, tr, readEvent(1))
}

// TestNameThatIsGivenBackWhileSomebodyWaits.
func TestNameThatIsGivenBackWhileSomebodyWaits(t *testing.T) {
	t.Parallel()
	opt, _, table := memoryOptions(t)
	opt.Lease = 15 * time.Second
	table.Put([]byte(leasePrefix+"n1"), []byte("somebody who leaves"))
	row, err := table.Get(t.Context(), []byte(leasePrefix+"n1"))
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { table.DeleteIf(context.Background(), row.Key, row.Revision) })
	mustRecord(t, mustOpen(t, opt), readEvent(1))
}

// TestStartOfANodeThatIsKnownToBeAlone: the register of nodes has waited already.
func TestStartOfANodeThatIsKnownToBeAlone(t *testing.T) {
	t.Parallel()
	opt, _, table := memoryOptions(t)
	opt.Lease, opt.Alone = time.Hour, true
	table.Put([]byte(leasePrefix+"n1"), []byte("somebody who died"))
	mustRecord(t, mustOpen(t, opt), readEvent(1))
}

// TestLeaseTakenByAnotherEndsTheNode: a node that was paused for longer than
// its lease finds its name taken.
func TestLeaseTakenByAnotherEndsTheNode(t *testing.T) {
	t.Parallel()
	opt, _, table := memoryOptions(t)
	opt.Lease = 300 * time.Millisecond
	var failed atomic.Bool
	opt.OnFailure = func(err error) { failed.Store(errors.Is(err, ErrLocked)) }
	tr := mustOpen(t, opt)
	table.Put([]byte(leasePrefix+"n1"), []byte("another"))
	eventually(t, "the node does not notice", failed.Load)
	if _, err := tr.Record(t.Context(), readEvent(1)); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// TestNodeWithoutALeaseRefuses: the table of leases does not answer for longer
// than a lease, so that another node may have taken over.
func TestNodeWithoutALeaseRefuses(t *testing.T) {
	t.Parallel()
	opt, _, table := memoryOptions(t)
	opt.Lease = 300 * time.Millisecond
	tr := mustOpen(t, opt)
	table.SetFault(func(keyringtest.Op, []byte) error { return repository.ErrUnavailable })
	eventually(t, "the node goes on", func() bool { return !tr.Status().Available })
	if _, err := tr.Record(t.Context(), readEvent(1)); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	table.SetFault(nil)
	eventually(t, "the node does not come back", func() bool { return tr.Status().Available })
	eventually(t, "no event is taken", func() bool { _, err := tr.Record(t.Context(), readEvent(1)); return err == nil })
}

// TestRenewalWithALostAnswerKeepsTheName.
func TestRenewalWithALostAnswerKeepsTheName(t *testing.T) {
	t.Parallel()
	table := keyringtest.NewTable()
	l := newLease(Options{Leases: table, Origin: "n1", Lease: time.Minute}, func(error) {})
	if err := l.renew(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	before := l.revision
	if err := l.renew(t.Context(), before); err != nil { // its answer is lost:
		t.Fatal(err)
	}
	if err := l.renew(t.Context(), before); err != nil || l.revision == before {
		t.Errorf("revision %d after %d: %v", l.revision, before, err)
	}
	table.Put([]byte(leasePrefix+"n1"), []byte("another"))
	if err := l.renew(t.Context(), l.revision); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v", err)
	}
}

// TestOrphanedIntentsAreConcludedByAnotherNode: n2 is gone with an intent
// without an outcome.
func TestOrphanedIntentsAreConcludedByAnotherNode(t *testing.T) {
	t.Parallel()
	eachLog(t, func(t *testing.T, opt Options, _ attacked) {
		opt.Lease, opt.OrphanGrace = shortLease, 100*time.Millisecond
		gone, quiet := opt, opt
		gone.Origin, gone.Witness = "n2", ""
		quiet.Origin, quiet.Witness = "n3", ""
		b := mustOpen(t, gone)
		intent := mustRecord(t, b, intentEvent())
		mustOpen(t, quiet).Close() // n3 left nothing
		a := mustOpen(t, opt)
		if names, err := a.Orphans(t.Context()); err != nil || len(names) != 0 {
			t.Fatalf("orphans while n2 runs: %v, %v", names, err)
		}
		b.Close()
		eventually(t, "the orphan is not found", func() bool {
			names, err := a.Orphans(t.Context())
			return err == nil && len(names) == 1 && names[0] == "n2"
		})
		chain, err := a.Adopt(t.Context(), "n2")
		if err != nil {
			t.Fatal(err)
		}
		open, err := chain.OpenIntents(t.Context())
		if err != nil || len(open) != 1 || open[0].Seq != intent || open[0].Origin != "n2" {
			t.Fatalf("%+v, %v", open, err)
		}
		if _, err := Open(t.Context(), gone); !errors.Is(err, ErrLocked) {
			t.Errorf("n2 came back while its chain was adopted: %v", err)
		}
		mustRecord(t, chain, outcomeOf(intent))
		if err := chain.Close(); err != nil {
			t.Fatal(err)
		}
		if names, err := a.Orphans(t.Context()); err != nil || len(names) != 0 {
			t.Errorf("orphans after the outcome: %v, %v", names, err)
		}
		b = mustOpen(t, gone)
		if open, err := b.OpenIntents(t.Context()); err != nil || len(open) != 0 {
			t.Errorf("%+v, %v", open, err)
		}
	})
}

// TestSearchShowsAllNodesInTheOrderOfTime, and its pages are stable while every
// node writes.
func TestSearchShowsAllNodesInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	eachLog(t, func(t *testing.T, opt Options, _ attacked) {
		opt.Witness = ""
		var second atomic.Int64
		opt.Now = func() time.Time { return time.Unix(1_800_000_000+second.Add(1)/5, 0) }
		var nodes []*Trail
		for _, name := range []string{"n1", "n10", "n2"} {
			opt.Origin = name
			nodes = append(nodes, mustOpen(t, opt))
		}
		record := func() {
			for i, n := range nodes {
				mustRecord(t, n, readEvent(byte(i)))
				mustRecord(t, n, readEvent(7))
			}
		}
		for range 12 {
			record()
		}
		p := patient(7)
		want, err := nodes[0].Search(t.Context(), Query{Patient: &p})
		if err != nil || len(want) != 36 || !newestFirst(want) {
			t.Fatalf("%d events, %v", len(want), err)
		}
		got := pages(t, nodes[1], Query{Patient: &p, Limit: 5}, record)
		if d := gocmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		e, err := nodes[2].Get(t.Context(), "n10", want[0].Seq)
		if err != nil || e.Origin != "n10" {
			t.Errorf("%+v, %v", e, err)
		}
		nodes[0].Close()
		proof, err := nodes[1].Prove(t.Context(), "n1", 17)
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.Verify(nodes[0].origin.PublicKey); err != nil {
			t.Error(err)
		}
	})
}

// TestRootsThatACrashLeftOutAreMadeAgain.
func TestRootsThatACrashLeftOutAreMadeAgain(t *testing.T) {
	t.Parallel()
	opt, log, _ := memoryOptions(t)
	tr := mustOpen(t, opt)
	for range 60 {
		mustRecord(t, tr, readEvent(1))
	}
	tr.Close()
	for _, first := range []uint64{33, 17} {
		log.delete(entryID(kindRoot, "n1", first))
	}
	mustOpen(t, opt).Close()
	for _, first := range []uint64{1, 17, 33} {
		if _, err := one(t.Context(), log, entryID(kindRoot, "n1", first)); err != nil {
			t.Errorf("root of segment %d: %v", first, err)
		}
	}
	sound(t, opt, 62)
}

// TestRolledBackDatabaseIsRefused: a backup of the database was restored that
// ends before what the witness saw.
func TestRolledBackDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	eachTampered(t, 40, func(c tampered) {
		c.cut(30)
		for _, e := range c.entries(kindCheckpoint) {
			c.db.delete(e.ID)
		}
		if _, err := Open(c.t.Context(), c.opt); !errors.Is(err, ErrCorrupt) {
			c.t.Errorf("got %v", err)
		}
	})
}

// unread has answers lost twice: that of an insert, so that its repetition
// meets what is there, and that of the look at what is there.
type unread struct{ *memoryLog }

func (u unread) Append(ctx context.Context, entries []repository.LogEntry) error {
	return errors.Join(u.memoryLog.Append(ctx, entries), repository.ErrConflict)
}

func (u unread) Range(context.Context, string, string, int) ([]repository.LogEntry, error) {
	return nil, repository.ErrUnavailable
}

// TestRepeatedInsertIsNoConflict: what cannot be told is an outage. A reader
// who was told of a conflict would think that a resource had changed.
func TestRepeatedInsertIsNoConflict(t *testing.T) {
	t.Parallel()
	_, log, _ := memoryOptions(t)
	entries := []repository.LogEntry{{ID: entryID(kindFrame, "a", 1), Time: 1, Body: []byte("x")}}
	n, err := put(t.Context(), unread{log}, entries)
	if n != 0 || errors.Is(err, repository.ErrConflict) || !errors.Is(err, repository.ErrUnavailable) {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := put(t.Context(), log, entries); n != 1 || err != nil {
		t.Errorf("the repetition: %d, %v", n, err)
	}
}
