package trail

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/repository"
)

// sameTrail compares the files that make a chain.
func sameTrail(t *testing.T, a, b string) {
	t.Helper()
	names, err := os.ReadDir(a)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, n := range names {
		if n.Name() == lockName {
			continue
		}
		want, err1 := os.ReadFile(filepath.Join(a, n.Name()))
		got, err2 := os.ReadFile(filepath.Join(b, n.Name()))
		if err := errors.Join(err1, err2); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs: %v", n.Name(), err)
		}
		compared++
	}
	if compared < 5 {
		t.Errorf("only %d files were compared", compared)
	}
}

// TestChainMovesIntoADatabaseAndBack keeps every byte, and the witness stays
// good for it.
func TestChainMovesIntoADatabaseAndBack(t *testing.T) {
	t.Parallel()
	eachLog(t, func(t *testing.T, opt Options, _ attacked) {
		src, _ := written(t, 50)
		for range 2 { // a move that is repeated changes nothing
			if n, err := CopyToLog(t.Context(), src.Dir, opt.Log); err != nil || n != 50 {
				t.Fatalf("%d events, %v", n, err)
			}
		}
		moved := opt
		moved.Witness = src.Witness
		if rep := verifyForm(t, moved); !rep.OK() || rep.Events != 50 || rep.Witnessed != 50 {
			t.Errorf("%+v", rep)
		}
		if _, err := Open(t.Context(), moved); !errors.Is(err, ErrMoved) {
			t.Errorf("a node continued a chain that was moved: %v", err)
		}
		opt.Origin, opt.Keys = "n2", src.Keys
		node := mustOpen(t, opt)
		mustRecord(t, node, readEvent(1))
		p := patient(1)
		if got, err := node.Search(t.Context(), Query{Patient: &p}); err != nil || len(got) != 18 || got[17].Origin != "n1" || got[0].Origin != "n2" {
			t.Errorf("%d events, %v", len(got), err)
		}
		if names, err := node.Orphans(t.Context()); err != nil || len(names) != 0 {
			t.Errorf("history has orphans: %v, %v", names, err)
		}
		node.Close()
		back := testOptions(t, src.Keys)
		back.Origin = "n3"
		for _, name := range []string{"n1", "n2"} {
			dir := filepath.Join(back.Dir, historyName, name)
			if _, err := CopyToFolder(t.Context(), opt.Log, name, dir); err != nil {
				t.Fatal(err)
			}
			if _, err := CopyToFolder(t.Context(), opt.Log, name, dir); !errors.Is(err, fs.ErrExist) {
				t.Errorf("a folder was overwritten: %v", err)
			}
		}
		sameTrail(t, src.Dir, filepath.Join(back.Dir, historyName, "n1"))
		history(t, back)
	})
}

// history opens a folder that holds the chains n1 and n2 as history.
func history(t *testing.T, opt Options) {
	t.Helper()
	tr := mustOpen(t, opt)
	mustRecord(t, tr, readEvent(1))
	p := patient(1)
	got := pages(t, tr, Query{Patient: &p, Limit: 4}, func() { mustRecord(t, tr, readEvent(1)) })
	if len(got) != 19 || !newestFirst(got) || got[0].Origin != "n3" || got[1].Origin != "n2" || got[18].Origin != "n1" {
		t.Errorf("%d events", len(got))
	}
	proof, err := tr.Prove(t.Context(), "n1", 20)
	if err != nil || proof.Seq != 20 {
		t.Errorf("%v", err)
	}
	if e, err := tr.Get(t.Context(), "n2", 2); err != nil || e.Kind != audit.REST {
		t.Errorf("%+v, %v", e, err)
	}
	tr.Close()
	reps, err := VerifyFolder(t.Context(), VerifyOptions{Dir: opt.Dir})
	if err != nil || len(reps) != 3 {
		t.Fatalf("%d reports, %v", len(reps), err)
	}
	for _, r := range reps {
		if !r.OK() {
			t.Errorf("%+v", r.Problems)
		}
	}
	opt.Origin = "n1"
	opt.Witness = ""
	if _, err := Open(t.Context(), opt); !errors.Is(err, ErrMoved) {
		t.Errorf("a chain of the history was continued: %v", err)
	}
}

// TestInterruptedMoveGoesOn: the database fails in the middle.
func TestInterruptedMoveGoesOn(t *testing.T) {
	t.Parallel()
	src, _ := written(t, 50)
	log := &memoryLog{}
	calls := 0
	log.setFault(func(n int) (int, error) {
		if calls++; calls > 3 {
			return n / 3, repository.ErrFull
		}
		return n, nil
	})
	if _, err := CopyToLog(t.Context(), src.Dir, log); err == nil {
		t.Fatal("the fault was not noticed")
	}
	log.setFault(nil)
	if n, err := CopyToLog(t.Context(), src.Dir, log); err != nil || n != 50 {
		t.Fatalf("%d events, %v", n, err)
	}
	reps, err := VerifyLog(t.Context(), log, VerifyOptions{Witness: src.Witness})
	if err != nil || len(reps) != 1 || !reps[0].OK() || reps[0].Events != 50 {
		t.Errorf("%+v, %v", reps, err)
	}
}

// TestMoveRefusesATakenName: a node of the database has the chain's name, or
// the place holds another chain.
func TestMoveRefusesATakenName(t *testing.T) {
	t.Parallel()
	src, _ := written(t, 20)
	opt, log, _ := memoryOptions(t)
	mustOpen(t, opt).Close()
	if _, err := CopyToLog(t.Context(), src.Dir, log); !errors.Is(err, repository.ErrConflict) {
		t.Errorf("over the chain of a node: %v", err)
	}
	other, _ := written(t, 20)
	second := &memoryLog{}
	if _, err := CopyToLog(t.Context(), other.Dir, second); err != nil {
		t.Fatal(err)
	}
	if _, err := CopyToLog(t.Context(), src.Dir, second); !errors.Is(err, repository.ErrConflict) {
		t.Errorf("over another chain: %v", err)
	}
	running := mustOpen(t, testOptions(t, newFakeKeys()))
	if _, err := CopyToLog(t.Context(), running.opt.Dir, &memoryLog{}); !errors.Is(err, ErrLocked) {
		t.Errorf("of a running server: %v", err)
	}
}
