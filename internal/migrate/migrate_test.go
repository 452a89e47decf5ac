package migrate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/repositorytest"
)

func silent(string, uint64, uint64) {}

func options(t *testing.T) localstore.Options {
	return localstore.Options{Dir: t.TempDir(), Ballast: -1, MemTable: 1 << 20}
}

func open(t *testing.T, o localstore.Options) *localstore.Store {
	t.Helper()
	s, err := localstore.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func filled(t *testing.T, o localstore.Options) *localstore.Store {
	t.Helper()
	s := open(t, o)
	repositorytest.Fill(t, repositorytest.Opened{Store: s, Purger: s, Table: s.Table})
	return s
}

func into(o localstore.Options) func(context.Context, []byte) (Target, error) {
	return func(ctx context.Context, source []byte) (Target, error) { return localstore.OpenImport(ctx, o, source) }
}

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	there, back := options(t), options(t)
	from := filled(t, options(t))
	first, err := Run(t.Context(), from, into(there), silent)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, there)
	second, err := Run(t.Context(), s, into(back), silent)
	if err != nil {
		t.Fatal(err)
	}
	if first.Checksum != second.Checksum || first.Versions == 0 || first.Purged == 0 || first.Tokens == 0 || first.Rows["keys"] != 10 {
		t.Fatalf("there %+v, back %+v", first, second)
	}
	if _, err := Verify(t.Context(), from, open(t, back), silent); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Table("keys").PutIf(t.Context(), []byte("new"), nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(t.Context(), from, s, silent); !errors.Is(err, ErrDiffers) {
		t.Fatalf("a changed target: %v", err)
	}
}

var errCut = errors.New("cut")

func TestInterruptedMoveGoesOn(t *testing.T) {
	t.Parallel()
	o := options(t)
	from := filled(t, options(t))
	const cuts = 15
	for opened := range cuts + 1 {
		_, err := Run(t.Context(), from, func(ctx context.Context, source []byte) (Target, error) {
			to, err := into(o)(ctx, source)
			if err != nil || opened == cuts {
				return to, err
			}
			place, _, _ := to.Reached(ctx) // some entries, then nothing more
			return nil, errors.Join(to.Import(ctx, first(t, from, place, 5)), to.Close(), errCut)
		}, silent)
		if opened == cuts {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		if !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		if _, err := localstore.Open(t.Context(), o); !errors.Is(err, repository.ErrUnfinished) {
			t.Fatalf("the target opens: %v", err)
		}
	}
}

func first(t *testing.T, s *localstore.Store, after repository.Place, n int) (es []repository.Entry) {
	t.Helper()
	for e, err := range s.Export(t.Context(), after) {
		if err != nil {
			t.Fatal(err)
		}
		if es = append(es, e); len(es) == n {
			break
		}
	}
	return es
}

// altered changes one entry on its way out.
type altered struct {
	*localstore.Store
	change func(*repository.Entry)
	reads  int
}

func (a *altered) Export(ctx context.Context, after repository.Place) iter.Seq2[repository.Entry, error] {
	a.reads++
	reads := a.reads
	return func(yield func(repository.Entry, error) bool) {
		for e, err := range a.Store.Export(ctx, after) {
			if reads == 2 { // the first names the source, the second is copied
				a.change(&e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func TestWhatChangesOnTheWayIsFound(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*repository.Entry){
		"a body":      func(e *repository.Entry) { e.Record.Body = slices.Concat(e.Record.Body, []byte{0}) },
		"a token":     func(e *repository.Entry) { e.Record.Tokens = nil },
		"a time":      func(e *repository.Entry) { e.Record.Updated++ },
		"an owner":    func(e *repository.Entry) { e.Record.Owner[0]++ },
		"a revision":  func(e *repository.Entry) { e.Row.Revision++ },
		"a row":       func(e *repository.Entry) { e.Row.Value = append(e.Row.Value, 0) },
		"a tombstone": func(e *repository.Entry) { e.Record.Deleted = !e.Record.Deleted; e.Record.Tokens = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			from := &altered{Store: filled(t, options(t)), change: change}
			if _, err := Run(t.Context(), from, into(o), silent); !errors.Is(err, ErrDiffers) {
				t.Fatalf("got %v", err)
			}
			if _, err := localstore.Open(t.Context(), o); !errors.Is(err, repository.ErrUnfinished) {
				t.Fatalf("the target opens: %v", err)
			}
		})
	}
}

// A source that a server has used since the move began is another one.
func TestSourceThatWasUsedIsRefused(t *testing.T) {
	t.Parallel()
	o := options(t)
	from := filled(t, options(t))
	stop := func(ctx context.Context, source []byte) (Target, error) {
		to, err := into(o)(ctx, source)
		if err != nil {
			return nil, err
		}
		return nil, errors.Join(to.Import(ctx, first(t, from, "", 5)), to.Close(), errCut)
	}
	if _, err := Run(t.Context(), from, stop, silent); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	if _, err := from.Table("meta").PutIf(t.Context(), []byte("openings"), []byte("2"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), from, into(o), silent); !errors.Is(err, repository.ErrNotEmpty) {
		t.Fatalf("got %v", err)
	}
}

func TestProgressReachesItsEnd(t *testing.T) {
	t.Parallel()
	last := map[string]string{}
	r, err := Run(t.Context(), filled(t, options(t)), into(options(t)), func(step string, done, total uint64) {
		last[step] = fmt.Sprintf("%d of %d", done, total)
	})
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%d of %d", r.Position, r.Position)
	for _, step := range []string{"moving", "checking the source", "checking the target"} {
		if last[step] != want {
			t.Errorf("%s: %s, want %s", step, last[step], want)
		}
	}
}
