package mongostore_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// during are the commands that a call sends, by name.
func (c *commands) during(call func()) string {
	c.mu.Lock()
	clear(c.counts)
	c.mu.Unlock()
	call()
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.counts)) {
		if n := c.counts[name]; n > 1 {
			name = fmt.Sprintf("%d %s", n, name)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// TestCommandsOnTheWire counts round trips: what each call may cost, and why it
// does. docs/mongodb.md has the same table.
func TestCommandsOnTheWire(t *testing.T) {
	t.Parallel()
	s, sent := watched(t)
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	commit := func(b repository.Batch) func() { return func() { must(s.Commit(ctx, b)) } }
	var many []repository.Write
	var wanted []repository.Wanted
	for n := range 230 { // below the first milepost
		many = append(many, write(10_000+n, 0, 42))
		wanted = append(wanted, repository.Wanted{Key: key(10_000 + n)})
	}
	must(s.Commit(ctx, batch(many...)))
	must(s.Stamp(ctx))
	identified := batch(write(2, 0, 7))
	identified.Bump = []repository.Token{7}
	guarded := batch(write(3, 0, 8))
	guarded.Expect, guarded.Bump = []repository.Guard{{Token: 8}}, []repository.Token{8}
	changed := batch(write(2, 1, 7))
	changed.Bump = []repository.Token{7}
	gone := write(2, 2)
	gone.Record.Deleted, gone.Record.Tokens = true, nil
	page := repository.Query{Type: "Patient", All: [][]repository.Token{{42}}, Limit: 200}
	each := func(seq func(yield func(repository.Change, error) bool)) func() {
		return func() {
			for _, err := range seq {
				must(nil, err)
			}
		}
	}
	rows := s.Table("t")
	revision := uint64(0)
	for _, c := range []struct {
		name string
		call func()
		want string
	}{
		{"read", func() { must(s.Get(ctx, key(10_000))) }, "find"},
		{"read of the current version by number", func() { must(s.GetVersion(ctx, key(10_000), 1)) }, "find"},
		{"230 reads at once", func() { must(s.Gather(ctx, wanted)) }, "find"},
		{"… and of past versions", func() { must(s.Gather(ctx, append(wanted, repository.Wanted{Key: key(1), Version: 9}))) }, "2 find"},
		{"search page", func() { must(s.Find(ctx, page)) }, "find"},
		{"count", func() { must(s.Count(ctx, page, 1000)) }, "aggregate"},
		{"estimate", func() { must(s.Estimate(ctx, "Patient", []repository.Token{42, 43})) }, "aggregate"},
		{"guards", func() { must(s.Guards(ctx, []repository.Token{1, 2, 3})) }, "find"},
		{"stamp", func() { must(s.Stamp(ctx)) }, ""},
		{"history of a resource", func() { must(s.History(ctx, repository.HistoryRange{Key: key(10_000), Limit: 300})) }, "2 find"},
		{"since", func() { must(s.Since(ctx, 1)) }, "find"},
		{"feed, up to 1,000 changes", each(s.Changes(ctx, "")), "3 find"},
		{"feed, backwards", each(s.ChangesBefore(ctx, "")), "3 find"},
		// Positions, the version, the end.
		{"create", commit(batch(write(1, 0, 5))), "commitTransaction, findAndModify, insert"},
		// And the guards of its identifiers.
		{"create with identifiers", commit(identified), "commitTransaction, findAndModify, insert, update"},
		// And the revisions that it relies on.
		{"conditional create", commit(guarded), "commitTransaction, find, findAndModify, insert, update"},
		// What is replaced is read, and written to the history.
		{"update", commit(batch(write(1, 1, 5))), "commitTransaction, find, findAndModify, insert, update"},
		{"read of a past version", func() { must(s.GetVersion(ctx, key(1), 1)) }, "2 find"},
		{"update with identifiers", commit(changed), "commitTransaction, find, findAndModify, insert, 2 update"},
		{"delete", commit(batch(gone)), "commitTransaction, find, findAndModify, insert, update"},
		{"retoken", func() {
			must(s.Retoken(ctx, []repository.Retoken{{Key: key(10_001), Version: 1, Tokens: []repository.Token{4}}}))
		}, "commitTransaction, update"},
		{"row read", func() { _, _ = rows.Get(ctx, []byte("k")) }, "find"},
		{"row written", func() {
			var err error
			revision, err = rows.PutIf(ctx, []byte("k"), nil, 0)
			must(nil, err)
		}, "insert"},
		{"row changed", func() {
			var err error
			revision, err = rows.PutIf(ctx, []byte("k"), nil, revision)
			must(nil, err)
		}, "update"},
		{"row deleted", func() { must(nil, rows.DeleteIf(ctx, []byte("k"), revision)) }, "delete"},
	} {
		if got := sent.during(c.call); got != c.want {
			t.Errorf("%s: sent %q, want %q", c.name, got, c.want)
		}
	}
}

// TestRequestsThatWaitShareATransaction: what queued up while another
// transaction was under way costs as many commands as one request, whatever it
// mixes.
func TestRequestsThatWaitShareATransaction(t *testing.T) {
	t.Parallel()
	s, sent := watched(t)
	var creates, both []repository.Batch
	for n := range 20 {
		creates = append(creates, batch(write(n, 0, 1)))
		both = append(both, batch(write(n, 1, 1)), batch(write(1000+n, 0, 1)))
	}
	stale := batch(write(1, 0))
	got := sent.during(func() { mongostore.CommitTogether(t, s, creates...) })
	if want := "commitTransaction, findAndModify, insert"; got != want {
		t.Errorf("20 creates: sent %q, want %q", got, want)
	}
	got = sent.during(func() {
		for i, err := range mongostore.CommitTogether(t, s, append(both, stale)...) {
			if refused := i == len(both); refused != (err != nil) {
				t.Errorf("batch %d of the group: %v", i, err)
			}
		}
	})
	if want := "commitTransaction, find, findAndModify, 2 insert, update"; got != want {
		t.Errorf("20 creates, 20 updates and a stale one: sent %q, want %q", got, want)
	}
}
