package mongostore

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/fieldseal/fieldseal/repository"
)

// TestStoredFormatIsFrozen: what the first release wrote, later ones read. The
// lines of the file are documents as BSON in hexadecimal.
func TestStoredFormatIsFrozen(t *testing.T) {
	t.Parallel()
	w := repository.Write{Record: repository.Record{
		Key:     repository.Key{Type: "Patient", ID: repository.StorageID([]byte("0123456789abcdef"))},
		Version: 3, Updated: 1_700_000_000_000_000, Owner: repository.Owner([]byte("OWNEROWNEROWNER!")),
		Body: []byte("sealed"), Tokens: []repository.Token{7, -2, 7},
	}, Expect: 2}
	current := newDocument(&w, 300)
	w.Record.Deleted = true
	tombstone := newDocument(&w, 301)
	husk := document{ID: recordID(w.Record.Key), Version: 3, State: hollow}
	husk.Sum = husk.sum()
	past := current.past()
	written := []*document{&current, &tombstone, &past, &husk}
	frozen, err := os.ReadFile("testdata/format/v1/documents.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(frozen))
	if len(lines) != len(written) {
		t.Fatalf("%d frozen documents, want %d", len(lines), len(written))
	}
	for i, d := range written {
		b, err := bson.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(b); got != lines[i] {
			t.Errorf("document %d is written as\n%s, was\n%s", i, got, lines[i])
		}
		raw, err := hex.DecodeString(lines[i])
		if err != nil {
			t.Fatal(err)
		}
		var old document
		if err := bson.Unmarshal(raw, &old); err != nil {
			t.Fatal(err)
		}
		if old.Sum != old.sum() {
			t.Errorf("document %d does not pass its checksum", i)
		}
	}
}

// TestFeedDocumentsAreFrozen: the counter and a milepost, as format 2 has them.
func TestFeedDocumentsAreFrozen(t *testing.T) {
	t.Parallel()
	frozen, err := os.ReadFile("testdata/format/v2/documents.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(frozen))
	for i, d := range []any{milepost{Seq: 512, Newest: 1_700_000_000_000_000}, counter{N: 513, Newest: 1_700_000_000_000_001}} {
		b, err := bson.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(b); got != lines[i] {
			t.Errorf("document %d is written as\n%s, was\n%s", i, got, lines[i])
		}
	}
	var c counter
	raw, err := hex.DecodeString(lines[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := bson.Unmarshal(raw, &c); err != nil || c.N != 513 || c.Newest != 1_700_000_000_000_001 {
		t.Errorf("the counter is read as %+v, %v", c, err)
	}
}

// TestDamagedDocumentIsNotServed flips each bit of what the checksum covers.
func TestDamagedDocumentIsNotServed(t *testing.T) {
	t.Parallel()
	w := repository.Write{Record: repository.Record{
		Key: repository.Key{Type: "Patient", ID: repository.StorageID{1}}, Version: 1, Body: []byte("sealed"), Owner: repository.Owner{2},
	}}
	whole := newDocument(&w, 9)
	if _, err := whole.record(); err != nil {
		t.Fatal(err)
	}
	flip := func(b []byte, bit int) []byte {
		c := append([]byte{}, b...)
		c[bit/8] ^= 1 << (bit % 8)
		return c
	}
	for bit := range 8 * len(whole.Body) {
		d := whole
		d.Body = flip(whole.Body, bit)
		wantDamage(t, d)
	}
	for bit := range 8 * len(whole.Owner) {
		d := whole
		d.Owner = flip(whole.Owner, bit)
		wantDamage(t, d)
	}
	for bit := 8 * len("Patient\x00"); bit < 8*len(whole.ID); bit++ {
		d := whole
		d.ID = flip(whole.ID, bit)
		wantDamage(t, d)
	}
	for bit := range 63 {
		d := whole
		d.Version ^= 1 << bit
		wantDamage(t, d)
		d = whole
		d.Seq ^= 1 << bit
		wantDamage(t, d)
		d = whole
		d.Updated ^= 1 << bit
		wantDamage(t, d)
	}
}

func wantDamage(t *testing.T, d document) {
	t.Helper()
	if _, err := d.record(); err == nil {
		t.Error("a damaged document was served")
	}
}
