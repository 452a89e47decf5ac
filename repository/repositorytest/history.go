package repositorytest

import (
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

func history(t *testing.T, s repository.Store, q repository.HistoryRange) []repository.Record {
	t.Helper()
	var all []repository.Record
	for {
		page, err := s.History(t.Context(), q)
		if err != nil {
			t.Fatalf("History: %v", err)
		}
		all = append(all, page.Records...)
		if page.Next == "" {
			return all
		}
		q.After = page.Next
	}
}

func testHistoryOrder(t *testing.T, o Opened) {
	k := key(patient, 1)
	commit(t, o.Store, write(k, 0), write(key(patient, 2), 0))
	commit(t, o.Store, write(k, 1))
	commit(t, o.Store, tombstone(k, 2))
	commit(t, o.Store, write(k, 3))
	want := []repository.Write{write(k, 3), tombstone(k, 2), write(k, 1), write(k, 0)}
	for limit := 1; limit <= len(want)+1; limit++ {
		got := history(t, o.Store, repository.HistoryRange{Key: k, Limit: limit})
		if len(got) != len(want) {
			t.Fatalf("limit %d: %d versions, want %d", limit, len(got), len(want))
		}
		for i := range want {
			wantRecord(t, got[i], want[i])
		}
	}
	page, err := o.Store.History(t.Context(), repository.HistoryRange{Key: k, Limit: len(want)})
	if err != nil || page.Next != "" {
		t.Fatalf("the last page has a successor: %v", err)
	}
	if _, err := o.Store.History(t.Context(), repository.HistoryRange{Key: k}); err == nil {
		t.Fatal("a limit of zero was accepted")
	}
}

func testHistoryCursor(t *testing.T, o Opened) {
	k := key(patient, 1)
	for v := range repository.Version(9) {
		commit(t, o.Store, write(k, v))
	}
	q := repository.HistoryRange{Key: k, Limit: 2}
	next := repository.Version(9)
	for added := next; ; added++ {
		page, err := o.Store.History(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			wantRecord(t, r, write(k, next-1))
			next--
		}
		if q.After = page.Next; q.After == "" {
			break
		}
		commit(t, o.Store, write(k, added))
	}
	if next != 0 {
		t.Fatalf("history ended above version %d", next)
	}
}

func testForeignPositions(t *testing.T, o Opened) {
	k := key(patient, 1)
	commit(t, o.Store, write(k, 0))
	_, err := o.Store.Find(t.Context(), repository.Query{Type: patient, After: "abc", Limit: 1})
	wantErr(t, err, repository.ErrPosition)
	_, err = o.Store.History(t.Context(), repository.HistoryRange{Key: k, After: "abc", Limit: 1})
	wantErr(t, err, repository.ErrPosition)
	for _, err := range o.Store.Changes(t.Context(), "abc") {
		wantErr(t, err, repository.ErrPosition)
		return
	}
	t.Fatal("a foreign position of the feed ends the feed")
}
