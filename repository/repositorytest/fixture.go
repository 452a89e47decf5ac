package repositorytest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

// Opened is an engine with an empty database of its own, closed by t.Cleanup.
type Opened struct {
	Store repository.Store
	// Purger is nil when the engine cannot purge.
	Purger repository.Purger
	// Table opens a table by name.
	Table func(name string) repository.Table
	// Reopen closes the engine in good order and opens the same database
	// again. Nil skips the tests of restarts.
	Reopen func(t *testing.T) Opened
	// Slow asks for fewer records and questions where many only take time.
	Slow bool
}

// engine is what every engine has.
type engine interface {
	repository.Store
	repository.Purger
	Table(name string) repository.Table
	Close() error
}

// Reopening is an Opened of an engine that open opens, again and again, over one
// database.
func Reopening[E engine](t *testing.T, slow bool, open func(*testing.T) E) Opened {
	t.Helper()
	s := open(t)
	return Opened{Store: s, Purger: s, Table: s.Table, Slow: slow, Reopen: func(t *testing.T) Opened {
		t.Helper()
		if err := s.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		return Reopening(t, slow, open)
	}}
}

// Open makes a new Opened for one test.
type Open func(t *testing.T) Opened

const (
	patient     = "Patient"
	observation = "Observation"
)

// key is the n-th resource of a type; ids look as random as real ones.
func key(typ string, n int) repository.Key {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", typ, n))
	return repository.Key{Type: typ, ID: repository.StorageID(sum[:16])}
}

func owner(n int) repository.Owner {
	sum := sha256.Sum256(fmt.Appendf(nil, "owner/%d", n))
	return repository.Owner(sum[:16])
}

func token(name string, n int) repository.Token {
	sum := sha256.Sum256(fmt.Appendf(nil, "token/%s/%d", name, n))
	return repository.Token(binary.LittleEndian.Uint64(sum[:]))
}

// write is version expect+1 of a key with a body that names both.
func write(k repository.Key, expect repository.Version, tokens ...repository.Token) repository.Write {
	v := expect + 1
	return repository.Write{Expect: expect, Record: repository.Record{
		Key: k, Version: v, Updated: repository.Stamp(v) * 1000, Owner: owner(0),
		Body: fmt.Appendf(nil, "body of %x version %d", k.ID, v), Tokens: tokens,
	}}
}

func tombstone(k repository.Key, expect repository.Version) repository.Write {
	w := write(k, expect)
	w.Record.Deleted = true
	return w
}

func owned(w repository.Write, o repository.Owner) repository.Write {
	w.Record.Owner = o
	return w
}

func batch(ws ...repository.Write) repository.Batch { return repository.Batch{Writes: ws} }

func commit(t *testing.T, s repository.Store, ws ...repository.Write) repository.Seq {
	t.Helper()
	seq, err := s.Commit(t.Context(), batch(ws...))
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return seq
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// wantRecord compares what an engine returns with what was written.
func wantRecord(t *testing.T, got repository.Record, want repository.Write) {
	t.Helper()
	w := want.Record
	if got.Key != w.Key || got.Version != w.Version || got.Updated != w.Updated ||
		got.Deleted != w.Deleted || got.Owner != w.Owner || string(got.Body) != string(w.Body) {
		t.Fatalf("got %+v, want %+v", got, w)
	}
	if got.Tokens != nil {
		t.Fatal("tokens in a result")
	}
}

func wantStored(t *testing.T, s repository.Store, want repository.Write) {
	t.Helper()
	got, err := s.Get(t.Context(), want.Record.Key)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	wantRecord(t, got, want)
}

// findAll pages through a query.
func findAll(t *testing.T, s repository.Store, q repository.Query) []repository.Record {
	t.Helper()
	var all []repository.Record
	for {
		page, err := s.Find(t.Context(), q)
		if err != nil {
			t.Fatalf("Find: %v", err)
		}
		if len(page.Records) > q.Limit {
			t.Fatalf("page of %d records, limit %d", len(page.Records), q.Limit)
		}
		all = append(all, page.Records...)
		if page.Next == "" {
			return all
		}
		if len(page.Records) == 0 {
			t.Fatal("an empty page that is not the last")
		}
		q.After = page.Next
	}
}

func findKeys(t *testing.T, s repository.Store, q repository.Query) map[repository.Key]int {
	t.Helper()
	found := map[repository.Key]int{}
	for _, r := range findAll(t, s, q) {
		found[r.Key]++
	}
	return found
}

// changes reads the feed to its end.
func changes(t *testing.T, s repository.Store, after repository.Seq) []repository.Change {
	t.Helper()
	var all []repository.Change
	for c, err := range s.Changes(t.Context(), after) {
		if err != nil {
			t.Fatalf("Changes: %v", err)
		}
		if c.Seq <= after {
			t.Fatalf("position %x does not follow %x", c.Seq, after)
		}
		after = c.Seq
		all = append(all, c)
	}
	return all
}

// cancelled is a context that has ended.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
