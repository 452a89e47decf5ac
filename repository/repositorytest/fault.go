package repositorytest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

// Faulty is an engine whose disk the test controls.
type Faulty struct {
	Opened
	// FillDisk makes writes to the disk fail for want of space; false gives
	// the space back.
	FillDisk func(full bool)
	// FailSync makes writing to stable storage fail.
	FailSync func(fail bool)
	// Corrupt damages the stored bytes of the current version of a record.
	Corrupt func(t *testing.T, k repository.Key)
	// Crash ends the engine without an orderly close and opens what is on
	// disk.
	Crash func(t *testing.T) Faulty
}

// TestFaults runs what the contract says about a failing disk. Hooks that are
// nil skip their tests.
func TestFaults(t *testing.T, open func(t *testing.T) Faulty) {
	t.Run("a full disk loses nothing", func(t *testing.T) {
		f := open(t)
		testFailingDisk(t, f, f.FillDisk)
	})
	t.Run("a failed sync acknowledges nothing", func(t *testing.T) {
		f := open(t)
		testFailingDisk(t, f, f.FailSync)
	})
	t.Run("damaged bytes are reported, never served", func(t *testing.T) { testCorrupt(t, open(t)) })
}

// testFailingDisk writes until the fault shows, and goes on a little.
func testFailingDisk(t *testing.T, f Faulty, fault func(bool)) {
	if fault == nil || f.Crash == nil {
		t.Skip("the engine has no such hook")
	}
	var acked []repository.Write
	const before, during = 20, 200
	refused := 0
	for n := range before + during {
		if n == before {
			fault(true)
		}
		w := write(key(patient, n), 0, token("a", n))
		w.Record.Body = append(w.Record.Body, make([]byte, 4000)...)
		_, err := f.Store.Commit(t.Context(), batch(w, write(key(observation, n), 0)))
		switch {
		case err == nil:
			acked = append(acked, w)
		case errors.Is(err, repository.ErrFull), errors.Is(err, repository.ErrUnavailable):
			refused++
		default:
			t.Fatalf("neither full nor unavailable: %v", err)
		}
	}
	if refused == 0 {
		t.Fatal("the fault never showed")
	}
	fault(false)
	f = f.Crash(t)
	for _, w := range acked {
		wantStored(t, f.Store, w)
	}
	wantPairs(t, f.Store, before+during)
	commit(t, f.Store, write(key("Device", 1), 0))
}

// wantPairs: batches that were refused are absent or whole.
func wantPairs(t *testing.T, s repository.Store, count int) {
	t.Helper()
	for n := range count {
		_, err1 := s.Get(t.Context(), key(patient, n))
		_, err2 := s.Get(t.Context(), key(observation, n))
		if (err1 == nil) != (err2 == nil) {
			t.Fatalf("half of batch %d is stored: %v, %v", n, err1, err2)
		}
	}
}

func testCorrupt(t *testing.T, f Faulty) {
	if f.Corrupt == nil {
		t.Skip("the engine has no such hook")
	}
	bad, good := write(key(patient, 1), 0, token("a", 1)), write(key(patient, 2), 0, token("a", 2))
	commit(t, f.Store, bad, good)
	f.Corrupt(t, bad.Record.Key)
	_, err := f.Store.Get(t.Context(), bad.Record.Key)
	wantErr(t, err, repository.ErrCorrupt)
	_, err = f.Store.GetVersion(t.Context(), bad.Record.Key, 1)
	wantErr(t, err, repository.ErrCorrupt)
	_, err = f.Store.History(t.Context(), repository.HistoryRange{Key: bad.Record.Key, Limit: 1})
	wantErr(t, err, repository.ErrCorrupt)
	q := repository.Query{Type: patient, All: [][]repository.Token{{token("a", 1)}}, Limit: 1}
	_, err = f.Store.Find(t.Context(), q)
	wantErr(t, err, repository.ErrCorrupt)
	_, err = f.Store.Commit(t.Context(), batch(write(bad.Record.Key, 1)))
	wantErr(t, err, repository.ErrCorrupt)
	if text := fmt.Sprint(err); len(text) > 300 {
		t.Fatalf("an error of %d bytes may carry record bytes", len(text))
	}
	wantStored(t, f.Store, good)
	if n := len(changes(t, f.Store, "")); n != 2 {
		t.Fatalf("a damaged record left %d of 2 changes in the feed", n)
	}
}
