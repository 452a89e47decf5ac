package repository_test

import (
	"encoding/hex"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

// docs/format/migration.md, worked example.
func TestCanonicalFormIsFrozen(t *testing.T) {
	t.Parallel()
	key := repository.Key{Type: "Patient", ID: repository.StorageID([]byte("0123456789abcdef"))}
	version := repository.Entry{Kind: repository.VersionEntry, Position: 300, Record: repository.Record{
		Key: key, Version: 2, Updated: 1_700_000_000_000_000, Owner: repository.Owner([]byte("OWNEROWNEROWNER!")),
		Body: []byte("sealed"), Tokens: []repository.Token{-2},
	}}
	past := version
	past.Past, past.Record.Deleted, past.Record.Tokens, past.Record.Body = true, true, nil, nil
	const head = "0107" + "50617469656e74" + "30313233343536373839616263646566" + "0000000000000002" +
		"00060a24181e4000" + "000000000000012c"
	const owner = "4f574e45524f574e45524f574e455221"
	for _, c := range []struct {
		name             string
		entry            repository.Entry
		place, canonical string
	}{
		{"current version", version, "01000000000000012c", head + "0000" + owner + "06" + "7365616c6564" + "01" + "fffffffffffffffe"},
		{"past tombstone", past, "01000000000000012c", head + "0101" + owner + "00" + "00"},
		{"hollow key", repository.Entry{Kind: repository.HollowEntry, Record: repository.Record{Key: key, Version: 2}},
			"02" + "50617469656e74" + "00" + "30313233343536373839616263646566",
			"0207" + "50617469656e74" + "30313233343536373839616263646566" + "0000000000000002"},
		{"row", repository.Entry{Kind: repository.RowEntry, Table: "keys", Row: repository.Row{Key: []byte{1}, Value: []byte("v"), Revision: 7}},
			"03" + "6b657973" + "00" + "01", "0304" + "6b657973" + "0101" + "0176" + "0000000000000007"},
	} {
		if got := hex.EncodeToString([]byte(c.entry.Place())); got != c.place {
			t.Errorf("%s: place %s, want %s", c.name, got, c.place)
		}
		if got := hex.EncodeToString(c.entry.AppendCanonical(nil)); got != c.canonical {
			t.Errorf("%s: canonical form %s, want %s", c.name, got, c.canonical)
		}
	}
	if p := repository.Place("").Position(); p != 0 {
		t.Errorf("the start has position %d", p)
	}
	if p := version.Place().Position(); p != 300 {
		t.Errorf("the version's place has position %d", p)
	}
	if p := repository.HollowPlace(key).Position(); p < 1<<62 {
		t.Errorf("a place behind all versions has position %d", p)
	}
}
