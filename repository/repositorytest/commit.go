package repositorytest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

func testReadBack(t *testing.T, o Opened) {
	first := write(key(patient, 1), 0, token("a", 1))
	second := write(key(patient, 1), 1, token("a", 2))
	second.Record.Owner = owner(7)
	commit(t, o.Store, first)
	wantStored(t, o.Store, first)
	commit(t, o.Store, second)
	wantStored(t, o.Store, second)
	for _, w := range []repository.Write{first, second} {
		got, err := o.Store.GetVersion(t.Context(), w.Record.Key, w.Record.Version)
		if err != nil {
			t.Fatal(err)
		}
		wantRecord(t, got, w)
	}
	_, err := o.Store.GetVersion(t.Context(), key(patient, 1), 3)
	wantErr(t, err, repository.ErrNotFound)
}

func testUnknown(t *testing.T, o Opened) {
	commit(t, o.Store, write(key(patient, 1), 0))
	same := repository.Key{Type: observation, ID: key(patient, 1).ID}
	for _, k := range []repository.Key{key(patient, 2), key("Unheard", 1), same} {
		_, err := o.Store.Get(t.Context(), k)
		wantErr(t, err, repository.ErrNotFound)
		_, err = o.Store.GetVersion(t.Context(), k, 1)
		wantErr(t, err, repository.ErrNotFound)
		page, err := o.Store.History(t.Context(), repository.HistoryRange{Key: k, Limit: 10})
		if err != nil || len(page.Records) != 0 {
			t.Fatalf("history of an unknown resource: %v, %v", page, err)
		}
	}
}

func testStaleVersion(t *testing.T, o Opened) {
	k := key(patient, 1)
	commit(t, o.Store, write(k, 0))
	commit(t, o.Store, write(k, 1))
	for _, expect := range []repository.Version{0, 1, 3, 9} {
		_, err := o.Store.Commit(t.Context(), batch(write(k, expect)))
		wantErr(t, err, repository.ErrConflict)
	}
	_, err := o.Store.Commit(t.Context(), batch(write(key(patient, 2), 1)))
	wantErr(t, err, repository.ErrConflict)
	wantStored(t, o.Store, write(k, 1))
}

func testAtomic(t *testing.T, o Opened) {
	commit(t, o.Store, write(key(patient, 3), 0))
	end := lastSeq(changes(t, o.Store, ""))
	_, err := o.Store.Commit(t.Context(), batch(
		write(key(patient, 1), 0, token("a", 1)),
		write(key("Device", 2), 0, token("a", 1)),
		write(key(patient, 3), 0),
	))
	wantErr(t, err, repository.ErrConflict)
	for _, k := range []repository.Key{key(patient, 1), key("Device", 2)} {
		_, err := o.Store.Get(t.Context(), k)
		wantErr(t, err, repository.ErrNotFound)
	}
	q := repository.Query{Type: patient, All: [][]repository.Token{{token("a", 1)}}, Limit: 10}
	if found := findAll(t, o.Store, q); len(found) != 0 {
		t.Fatalf("a refused batch left %d index entries", len(found))
	}
	if more := changes(t, o.Store, end); len(more) != 0 {
		t.Fatalf("a refused batch left %d changes", len(more))
	}
}

func lastSeq(cs []repository.Change) repository.Seq { return cs[len(cs)-1].Seq }

func testMalformedBatch(t *testing.T, o Opened) {
	k := key(patient, 1)
	skipped := write(k, 0)
	skipped.Record.Version = 2
	for name, b := range map[string]repository.Batch{
		"a key twice":       batch(write(k, 0), write(k, 1)),
		"a skipped version": batch(skipped),
		"no type":           batch(write(repository.Key{ID: k.ID}, 0)),
	} {
		if _, err := o.Store.Commit(t.Context(), b); err == nil || errors.Is(err, repository.ErrUnavailable) {
			t.Fatalf("%s: got error %v", name, err)
		}
	}
	_, err := o.Store.Get(t.Context(), k)
	wantErr(t, err, repository.ErrNotFound)
}

func testCallerMemory(t *testing.T, o Opened) {
	w := write(key(patient, 1), 0, token("a", 1))
	body := w.Record.Body
	commit(t, o.Store, w)
	clear(body)
	wantStored(t, o.Store, write(key(patient, 1), 0))
	got, err := o.Store.Get(t.Context(), key(patient, 1))
	if err != nil {
		t.Fatal(err)
	}
	clear(got.Body)
	wantStored(t, o.Store, write(key(patient, 1), 0))
}

func testRacingWriters(t *testing.T, o Opened) {
	const writers, rounds = 16, 20
	k := key(patient, 1)
	var won atomic.Int64
	for round := range repository.Version(rounds) {
		var wg sync.WaitGroup
		for n := range writers {
			wg.Go(func() {
				w := write(k, round)
				w.Record.Body = fmt.Append(nil, n)
				_, err := o.Store.Commit(t.Context(), batch(w))
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, repository.ErrConflict) {
					t.Errorf("Commit: %v", err)
				}
			})
		}
		wg.Wait()
	}
	if won.Load() != rounds {
		t.Fatalf("%d writers won %d rounds", won.Load(), rounds)
	}
	if n := len(changes(t, o.Store, "")); n != rounds {
		t.Fatalf("%d changes for %d versions", n, rounds)
	}
}

func testTombstone(t *testing.T, o Opened) {
	k := key(patient, 1)
	commit(t, o.Store, write(k, 0, token("a", 1)))
	commit(t, o.Store, tombstone(k, 1))
	wantStored(t, o.Store, tombstone(k, 1))
	for _, q := range []repository.Query{
		{Type: patient, Limit: 5},
		{Type: patient, Limit: 5, All: [][]repository.Token{{token("a", 1)}}},
	} {
		if found := findAll(t, o.Store, q); len(found) != 0 {
			t.Fatal("a deleted resource was found")
		}
	}
	_, err := o.Store.Commit(t.Context(), batch(write(k, 0)))
	wantErr(t, err, repository.ErrConflict)
	back := write(k, 2, token("a", 1))
	commit(t, o.Store, back)
	wantStored(t, o.Store, back)
	q := repository.Query{Type: patient, Limit: 5}
	if found := findAll(t, o.Store, q); len(found) != 1 {
		t.Fatal("a resource that was created again is not found")
	}
}

func testCancellation(t *testing.T, o Opened) {
	w := write(key(patient, 1), 0)
	commit(t, o.Store, w)
	ctx, s := cancelled(t), o.Store
	calls := map[string]func() error{
		"Get":        func() error { _, err := s.Get(ctx, w.Record.Key); return err },
		"GetVersion": func() error { _, err := s.GetVersion(ctx, w.Record.Key, 1); return err },
		"Commit":     func() error { _, err := s.Commit(ctx, batch(write(w.Record.Key, 1))); return err },
		"Find":       func() error { _, err := s.Find(ctx, repository.Query{Type: patient, Limit: 1}); return err },
		"Guards":     func() error { _, err := s.Guards(ctx, []repository.Token{1}); return err },
		"Stamp":      func() error { _, err := s.Stamp(ctx); return err },
		"History": func() error {
			_, err := s.History(ctx, repository.HistoryRange{Key: w.Record.Key, Limit: 1})
			return err
		},
		"Changes": func() error {
			for _, err := range s.Changes(ctx, "") {
				return err
			}
			return nil
		},
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, ctx.Err()) {
			t.Errorf("%s: got error %v, want %v", name, err, ctx.Err())
		}
	}
	wantStored(t, s, w)
}
