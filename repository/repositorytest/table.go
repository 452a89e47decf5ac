package repositorytest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

// TestTable runs the contract of repository.Table.
func TestTable(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Opened)
	}{
		{"compare and set", testCompareAndSet},
		{"delete", testDelete},
		{"a row made again has a new revision", testRevisionReuse},
		{"scan by prefix", testScan},
		{"tables are apart", testTablesApart},
		{"no increment is lost", testCounter},
		{"one of many inserts wins", testInsertRace},
		{"a cancelled context has no effect", testTableCancellation},
		{"rows survive a restart", testTableRestart},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, open(t))
		})
	}
}

func put(t *testing.T, tb repository.Table, key, value string, revision uint64) uint64 {
	t.Helper()
	next, err := tb.PutIf(t.Context(), []byte(key), []byte(value), revision)
	if err != nil {
		t.Fatalf("PutIf: %v", err)
	}
	if next == revision || next == 0 {
		t.Fatalf("revision %d after %d", next, revision)
	}
	return next
}

func wantRow(t *testing.T, tb repository.Table, key, value string, revision uint64) {
	t.Helper()
	row, err := tb.Get(t.Context(), []byte(key))
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if string(row.Key) != key || string(row.Value) != value || row.Revision != revision {
		t.Fatalf("got %q = %q at %d, want %q at %d", row.Key, row.Value, row.Revision, value, revision)
	}
}

func testCompareAndSet(t *testing.T, o Opened) {
	tb := o.Table("t")
	_, err := tb.Get(t.Context(), []byte("k"))
	wantErr(t, err, repository.ErrNotFound)
	_, err = tb.PutIf(t.Context(), []byte("k"), []byte("x"), 7)
	wantErr(t, err, repository.ErrConflict)
	first := put(t, tb, "k", "one", 0)
	wantRow(t, tb, "k", "one", first)
	_, err = tb.PutIf(t.Context(), []byte("k"), []byte("x"), 0)
	wantErr(t, err, repository.ErrConflict)
	second := put(t, tb, "k", "", first)
	wantRow(t, tb, "k", "", second)
	_, err = tb.PutIf(t.Context(), []byte("k"), []byte("x"), first)
	wantErr(t, err, repository.ErrConflict)
	wantRow(t, tb, "k", "", second)
}

func testDelete(t *testing.T, o Opened) {
	tb := o.Table("t")
	wantErr(t, tb.DeleteIf(t.Context(), []byte("k"), 7), repository.ErrNotFound)
	revision := put(t, tb, "k", "one", 0)
	wantErr(t, tb.DeleteIf(t.Context(), []byte("k"), revision+1), repository.ErrConflict)
	wantRow(t, tb, "k", "one", revision)
	if err := tb.DeleteIf(t.Context(), []byte("k"), revision); err != nil {
		t.Fatal(err)
	}
	_, err := tb.Get(t.Context(), []byte("k"))
	wantErr(t, err, repository.ErrNotFound)
}

// testRevisionReuse is the ABA attack on a compare-and-set.
func testRevisionReuse(t *testing.T, o Opened) {
	tb := o.Table("t")
	first := put(t, tb, "k", "one", 0)
	if err := tb.DeleteIf(t.Context(), []byte("k"), first); err != nil {
		t.Fatal(err)
	}
	second := put(t, tb, "k", "two", 0)
	_, err := tb.PutIf(t.Context(), []byte("k"), []byte("x"), first)
	wantErr(t, err, repository.ErrConflict)
	wantErr(t, tb.DeleteIf(t.Context(), []byte("k"), first), repository.ErrConflict)
	wantRow(t, tb, "k", "two", second)
}

func testScan(t *testing.T, o Opened) {
	tb := o.Table("t")
	const count = 600
	for n := range count {
		put(t, tb, fmt.Sprintf("a/%04d", n), strconv.Itoa(n), 0)
	}
	for _, k := range []string{"", "a", "b", "a0", "a/\xff", "\xff\xff"} {
		put(t, tb, k, "other", 0)
	}
	n := 0
	for row, err := range tb.Scan(t.Context(), []byte("a/0")) {
		if err != nil {
			t.Fatal(err)
		}
		if string(row.Key) != fmt.Sprintf("a/%04d", n) || string(row.Value) != strconv.Itoa(n) || row.Revision == 0 {
			t.Fatalf("row %d is %q = %q", n, row.Key, row.Value)
		}
		n++
	}
	if n != count {
		t.Fatalf("scanned %d rows, want %d", n, count)
	}
	for prefix, want := range map[string]int{"": count + 6, "\xff": 1, "c": 0} {
		if n := len(scan(t, tb, prefix)); n != want {
			t.Fatalf("prefix %q: %d rows, want %d", prefix, n, want)
		}
	}
}

func scan(t *testing.T, tb repository.Table, prefix string) (rows []repository.Row) {
	t.Helper()
	for row, err := range tb.Scan(t.Context(), []byte(prefix)) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

func testTablesApart(t *testing.T, o Opened) {
	put(t, o.Table("a"), "bc", "one", 0)
	put(t, o.Table("ab"), "c", "two", 0)
	for name, value := range map[string]string{"a": "one", "ab": "two"} {
		rows := scan(t, o.Table(name), "")
		if len(rows) != 1 || string(rows[0].Value) != value {
			t.Fatalf("table %q holds %v", name, rows)
		}
	}
}

func testCounter(t *testing.T, o Opened) {
	const workers, each = 8, 25
	tb := o.Table("t")
	put(t, tb, "n", "0", 0)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for done := 0; done < each; {
				row, err := tb.Get(t.Context(), []byte("n"))
				if err != nil {
					t.Error(err)
					return
				}
				n, _ := strconv.Atoi(string(row.Value))
				_, err = tb.PutIf(t.Context(), []byte("n"), []byte(strconv.Itoa(n+1)), row.Revision)
				switch {
				case err == nil:
					done++
				case !errors.Is(err, repository.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	row, err := tb.Get(t.Context(), []byte("n"))
	if err != nil || string(row.Value) != strconv.Itoa(workers*each) {
		t.Fatalf("counted to %q, want %d, %v", row.Value, workers*each, err)
	}
}

// testInsertRace is how two requests make the keys of one new patient.
func testInsertRace(t *testing.T, o Opened) {
	tb := o.Table("t")
	for round := range 10 {
		k := []byte(strconv.Itoa(round))
		var mu sync.Mutex
		var won []uint64
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				revision, err := tb.PutIf(t.Context(), k, []byte("v"), 0)
				if err == nil {
					mu.Lock()
					won = append(won, revision)
					mu.Unlock()
				} else if !errors.Is(err, repository.ErrConflict) {
					t.Error(err)
				}
				row, err := tb.Get(t.Context(), k)
				if err != nil || row.Revision == 0 {
					t.Errorf("the loser does not see the winner: %v", err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 {
			t.Fatalf("%d inserts won", len(won))
		}
	}
}

func testTableCancellation(t *testing.T, o Opened) {
	tb := o.Table("t")
	revision := put(t, tb, "k", "one", 0)
	ctx := cancelled(t)
	_, err := tb.Get(ctx, []byte("k"))
	wantErr(t, err, ctx.Err())
	_, err = tb.PutIf(ctx, []byte("k"), []byte("two"), revision)
	wantErr(t, err, ctx.Err())
	wantErr(t, tb.DeleteIf(ctx, []byte("k"), revision), ctx.Err())
	err = nil
	for _, err = range tb.Scan(ctx, nil) {
	}
	wantErr(t, err, ctx.Err())
	wantRow(t, tb, "k", "one", revision)
}

func testTableRestart(t *testing.T, o Opened) {
	if o.Reopen == nil {
		t.Skip("the engine has no restart of its own")
	}
	first := put(t, o.Table("t"), "k", "one", 0)
	gone := put(t, o.Table("t"), "gone", "x", 0)
	if err := o.Table("t").DeleteIf(t.Context(), []byte("gone"), gone); err != nil {
		t.Fatal(err)
	}
	o = o.Reopen(t)
	wantRow(t, o.Table("t"), "k", "one", first)
	put(t, o.Table("t"), "k", "two", first)
	if again := put(t, o.Table("t"), "gone", "y", 0); again == gone {
		t.Fatal("a revision was used twice")
	}
}
