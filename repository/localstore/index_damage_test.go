package localstore_test

import (
	"errors"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
)

// TestDamagedForwardRowIsReported: a query that tests the row, a count and a
// write that needs its tokens fail; what needs no row goes on.
func TestDamagedForwardRowIsReported(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(*testing.T, *localstore.Store, repository.Key){
		"a flipped bit": localstore.CorruptForward,
		"a lost row":    localstore.LoseForward,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, small(t.TempDir()))
			bad, good := numbered(1), numbered(2)
			put(t, s, bad, []byte("bad"), 7, 8)
			put(t, s, good, []byte("good"), 9)
			damage(t, s, bad)
			one := [][]repository.Token{{7}}
			tested := repository.Query{Type: "Patient", All: append([][]repository.Token{{8, 10}}, one...), Limit: 5}
			if _, err := s.Find(t.Context(), tested); !errors.Is(err, repository.ErrCorrupt) {
				t.Fatalf("Find: %v", err)
			}
			if _, err := s.Count(t.Context(), tested, 5); !errors.Is(err, repository.ErrCorrupt) {
				t.Fatalf("Count: %v", err)
			}
			next := repository.Write{Expect: 1, Record: repository.Record{Key: bad, Version: 2}}
			if _, err := s.Commit(t.Context(), repository.Batch{Writes: []repository.Write{next}}); !errors.Is(err, repository.ErrCorrupt) {
				t.Fatalf("Commit: %v", err)
			}
			retoken := []repository.Retoken{{Key: bad, Version: 1}}
			if _, err := s.Retoken(t.Context(), retoken); !errors.Is(err, repository.ErrCorrupt) {
				t.Fatalf("Retoken: %v", err)
			}
			if r, err := s.Get(t.Context(), bad); err != nil || string(r.Body) != "bad" {
				t.Fatalf("Get: %v", err)
			}
			page, err := s.Find(t.Context(), repository.Query{Type: "Patient", All: one, Limit: 5})
			if err != nil || len(page.Records) != 1 {
				t.Fatalf("found %d, %v", len(page.Records), err)
			}
			put2 := repository.Write{Expect: 1, Record: repository.Record{Key: good, Version: 2, Tokens: []repository.Token{11}}}
			if _, err := s.Commit(t.Context(), repository.Batch{Writes: []repository.Write{put2}}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestRecordUnderAnotherIDIsReported: two ids that lead to each other's record.
func TestRecordUnderAnotherIDIsReported(t *testing.T) {
	t.Parallel()
	s := open(t, small(t.TempDir()))
	put(t, s, numbered(1), []byte("one"), 7)
	put(t, s, numbered(2), []byte("two"), 7)
	localstore.SwapIDs(t, s, numbered(1), numbered(2))
	for _, k := range []repository.Key{numbered(1), numbered(2)} {
		if _, err := s.Get(t.Context(), k); !errors.Is(err, repository.ErrCorrupt) {
			t.Fatalf("Get: %v", err)
		}
	}
}
