package trail

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/merkle"
)

// The tests of this file are what every form of the trail promises.

func TestEventsAreReadBackAsRecorded(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, opt Options) {
		tr := mustOpen(t, opt)
		want := map[uint64]audit.Event{}
		for n := range byte(40) {
			e := readEvent(n % 3)
			switch n % 4 {
			case 1: // a page about two patients
				e.Subtype, e.Query = "search-type", "code=1"
				e.Entities = append(e.Entities, audit.Entity{Type: "Encounter", ID: "e1", Version: 1, Classes: 2,
					Patients: []audit.Owner{patient(8), patient(9)}, PatientIDs: []string{"p8", "p9"}})
			case 2: // no patient, full identity of a write
				e.Outcome, e.Entities = audit.Success, []audit.Entity{{Type: "Organization", ID: "o1", Version: 2, Expect: 1, Key: [16]byte{5}, ContentHash: [32]byte{6}}}
			case 3: // a patient reads about itself
				e.Agent.Who, e.Query = "Patient/pat-MARKER", "patient=pat-MARKER"
			}
			last := tr.Status().Events
			seq := mustRecord(t, tr, e)
			if want[seq] = e; seq != last+1 {
				t.Fatalf("sequence %d after %d events", seq, last)
			}
		}
		check := func(tr *Trail) {
			t.Helper()
			for seq := range want {
				got, err := tr.Get(t.Context(), "n1", seq)
				if err != nil {
					t.Fatal(err)
				}
				if d := gocmp.Diff(want[seq], got.Event); d != "" || got.Seq != seq || got.Origin != "n1" {
					t.Fatalf("event %d (-recorded +read):\n%s", seq, d)
				}
			}
		}
		check(tr)
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		tr = mustOpen(t, opt)
		check(tr)
		for _, place := range []place{{"n1", 0}, {"n1", tr.Status().Events + 1}, {"n2", 1}} {
			if _, err := tr.Get(t.Context(), place.origin, place.seq); !errors.Is(err, ErrNotFound) {
				t.Errorf("event that does not exist: %v", err)
			}
		}
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, opt Options) {
		var minute atomic.Int64
		opt.Now = func() time.Time { return time.Date(2026, 1, 1, 0, int(minute.Add(1)), 0, 0, time.UTC) }
		tr := mustOpen(t, opt)
		for n := range 60 {
			e := readEvent(byte(n % 5))
			if n%2 == 1 {
				e.Subtype, e.Agent.Subject = "vread", "user:other"
			}
			mustRecord(t, tr, e)
		}
		all, err := tr.Search(t.Context(), Query{Kinds: []audit.Kind{audit.REST, audit.System}})
		if err != nil || uint64(len(all)) != tr.Status().Events {
			t.Fatalf("%d of %d events, %v", len(all), tr.Status().Events, err)
		}
		p := patient(3)
		mid := all[30].Time
		for name, q := range map[string]Query{
			"all":             {},
			"patient":         {Patient: &p},
			"agent":           {Agent: "user:other"},
			"patient, agent":  {Patient: &p, Agent: "user:other"},
			"unknown agent":   {Agent: "user:nobody"},
			"kind":            {Kinds: []audit.Kind{audit.REST}},
			"other kind":      {Kinds: []audit.Kind{audit.Login}},
			"kind or subtype": {Kinds: []audit.Kind{audit.Login}, Subtypes: []Subtype{{audit.REST, "vread"}}},
			"subtype":         {Subtypes: []Subtype{{audit.REST, "vread"}}},
			"from":            {From: mid},
			"to":              {To: mid},
			"patient in time": {Patient: &p, From: all[40].Time, To: all[9].Time},
			"before":          {Before: PositionOf(all[27])},
			"limit":           {Limit: 7},
			"page":            {Patient: &p, Before: PositionOf(all[20]), Limit: 3},
		} {
			var want []uint64
			for i := range all {
				e := &all[i]
				in := (q.From.IsZero() || !e.Time.Before(q.From)) && (q.To.IsZero() || !e.Time.After(q.To)) && (q.Before == Position{} || e.Seq < q.Before.Seq)
				if in && q.matches(e) && (q.Limit == 0 || len(want) < q.Limit) {
					want = append(want, e.Seq)
				}
			}
			got, err := tr.Search(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			var seqs []uint64
			for _, e := range got {
				seqs = append(seqs, e.Seq)
			}
			if d := gocmp.Diff(want, seqs); d != "" {
				t.Errorf("%s (-want +got):\n%s", name, d)
			}
		}
	})
}

// pages reads a search page by page.
func pages(t *testing.T, tr *Trail, q Query, between func()) (out []audit.Entry) {
	t.Helper()
	for {
		got, err := tr.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if out = append(out, got...); len(got) < q.Limit {
			return out
		}
		q.Before = PositionOf(got[len(got)-1])
		between()
	}
}

// TestPagesAreStable: what comes while somebody turns pages neither repeats nor
// hides an event, even when many have the same time.
func TestPagesAreStable(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, opt Options) {
		var second atomic.Int64
		opt.Now = func() time.Time { return time.Unix(1_800_000_000+second.Load()/8, 0) }
		tr := mustOpen(t, opt)
		record := func() { second.Add(1); mustRecord(t, tr, readEvent(1)) }
		for range 40 {
			record()
		}
		p := patient(1)
		want, err := tr.Search(t.Context(), Query{Patient: &p})
		if err != nil || len(want) != 40 {
			t.Fatalf("%d events, %v", len(want), err)
		}
		got := pages(t, tr, Query{Patient: &p, Limit: 7}, record)
		if d := gocmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
	})
}

func TestSecondWriterIsRefused(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, opt Options) {
		tr := mustOpen(t, opt)
		mustRecord(t, tr, readEvent(1))
		if _, err := Open(t.Context(), opt); !errors.Is(err, ErrLocked) {
			t.Errorf("got %v", err)
		}
		mustRecord(t, tr, readEvent(1))
		if rep := verifyForm(t, opt); !rep.OK() {
			t.Errorf("%+v", rep.Problems)
		}
	})
}

func TestClosedTrailRefuses(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, opt Options) {
		tr := mustOpen(t, opt)
		tr.Close()
		if _, err := tr.Record(t.Context(), readEvent(1)); !errors.Is(err, audit.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

func TestForeignKeyOrOriginIsRefused(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, opt Options) {
		tr := mustOpen(t, opt)
		mustRecord(t, tr, readEvent(1))
		tr.Close()
		opt.Keys = otherSigner{newFakeKeys()}
		if _, err := Open(t.Context(), opt); !errors.Is(err, ErrCorrupt) {
			t.Errorf("another key continued the chain: %v", err)
		}
	})
}

func TestIntentsWithoutOutcomeAreFoundAfterACrash(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, opt Options) {
		tr := mustOpen(t, opt)
		for range 30 {
			mustRecord(t, tr, readEvent(1))
		}
		open := mustRecord(t, tr, intentEvent())
		for range 30 {
			tr.Queue(outcomeOf(mustRecord(t, tr, intentEvent())))
		}
		if got, err := tr.OpenIntents(t.Context()); err != nil || len(got) != 0 {
			t.Fatalf("intents of this process: %v, %v", got, err)
		}
		tr.Close()
		for round := range 2 { // the low-water mark holds over several starts
			tr = mustOpen(t, opt)
			got, err := tr.OpenIntents(t.Context())
			if err != nil || len(got) != 1 || got[0].Seq != open || got[0].Entities[0].ID == "" {
				t.Fatalf("round %d: %+v, %v", round, got, err)
			}
			if round == 0 {
				for range 20 {
					mustRecord(t, tr, readEvent(1))
				}
			} else {
				mustRecord(t, tr, outcomeOf(open))
				if got, err := tr.OpenIntents(t.Context()); err != nil || len(got) != 0 {
					t.Fatalf("after the outcome: %+v, %v", got, err)
				}
			}
			tr.Close()
		}
		if tr = mustOpen(t, opt); len(tr.intents.open) != 0 {
			t.Error("resolved intent is still open")
		}
		if low := tr.intents.lowWater(tr.last.seq); low != tr.last.seq+1 {
			t.Errorf("low-water mark %d", low)
		}
	})
}

func TestProveIsAcceptedOffline(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, opt Options) {
		tr := mustOpen(t, opt)
		for range 45 {
			mustRecord(t, tr, readEvent(1))
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		tr = mustOpen(t, opt)
		for seq := uint64(1); seq <= 45; seq++ {
			p, err := tr.Prove(t.Context(), "n1", seq)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(tr.origin.PublicKey); err != nil {
				t.Fatalf("event %d: %v", seq, err)
			}
			p.Leaf[10] ^= 1
			if err := p.Verify(tr.origin.PublicKey); !errors.Is(err, merkle.ErrProof) {
				t.Fatalf("changed event %d was accepted: %v", seq, err)
			}
		}
		if _, err := tr.Prove(t.Context(), "n1", tr.Status().Events+1); !errors.Is(err, ErrNotFound) {
			t.Errorf("event that does not exist: %v", err)
		}
	})
}

func TestCleanTrailVerifies(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, opt Options) {
		for range 2 {
			tr := mustOpen(t, opt)
			for range 25 {
				mustRecord(t, tr, readEvent(1))
			}
			if err := tr.Close(); err != nil {
				t.Fatal(err)
			}
		}
		rep := verifyForm(t, opt)
		if !rep.OK() || rep.Events < 50 || rep.Segments != 4 || rep.Checkpoint != rep.Events || rep.Witnessed != rep.Events {
			t.Errorf("%+v", rep)
		}
	})
}

// newestFirst reports whether entries stand in the order of Search.
func newestFirst(es []audit.Entry) bool {
	return slices.IsSortedFunc(es, func(a, b audit.Entry) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Origin, a.Origin), cmp.Compare(b.Seq, a.Seq))
	})
}
