package localstore

import (
	"encoding/hex"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

// TestStoredFormatIsFrozen is the worked example of
// docs/format/localstore.md: what one release wrote, every later one opens.
func TestStoredFormatIsFrozen(t *testing.T) {
	t.Parallel()
	id := repository.StorageID([]byte("0123456789abcdef"))
	owner := repository.Owner([]byte("OWNEROWNEROWNER!"))
	key, pastKey, rowKey := appendRecordKey(nil, 1, 7), appendVersionKey(nil, 1, id, 3), appendForwardKey(nil, 1, 7)
	r := stored{
		version: 3, updated: 1_700_000_000_000_000, seq: 300, id: id, ordinal: 7, owner: owner, body: []byte("sealed"),
	}
	w := forward{version: 3, updated: 1_700_000_000_000_000, owner: owner, tokens: appendTokenPrefix(nil, 1, -2)[2:]}
	value, past := r.append(nil, key), r.appendPast(nil, pastKey)
	if len(value) != r.size() || len(past) != r.sizePast() {
		t.Fatalf("sizes %d, %d, lengths %d, %d", r.size(), r.sizePast(), len(value), len(past))
	}
	const idHex, ownerHex = "30313233343536373839616263646566", "4f574e45524f574e45524f574e455221"
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"id key":            {appendIDKey(nil, 1, id), "7201" + idHex},
		"record key":        {key, "6f01" + "0000000007"},
		"record":            {value, "20" + "03" + "8080f9c0c1c48203" + "ac02" + idHex + ownerHex + "7365616c6564" + goldenRecordSum},
		"past version":      {past, "10" + "03" + "8080f9c0c1c48203" + "ac02" + "0000000007" + ownerHex + "00" + "7365616c6564" + goldenPastSum},
		"forward key":       {rowKey, "6601" + "0000000007"},
		"forward row":       {w.append(nil, rowKey), "20" + ownerHex + "03" + "8080f9c0c1c48203" + "fffffffffffffffe" + goldenForwardSum},
		"time key":          {appendUpdatedKey(nil, 1, 1_700_000_000_000_000, 7), "7501" + "80060a24181e4000" + "0000000007"},
		"posting key":       {appendOrdinal(appendTokenPrefix(nil, 1, -2), 7), "7001" + "fffffffffffffffe" + "0000000007"},
		"version key":       {appendVersionKey(nil, 1, id, 2), "7601" + "30313233343536373839616263646566" + "fffffffffffffffd"},
		"owner key":         {appendOwnerKey(nil, owner, 1, 7), "77" + "4f574e45524f574e45524f574e455221" + "01" + "0000000007"},
		"wide type":         {appendRecordKey(nil, 300, 7), "6f" + "c12c" + "0000000007"},
		"feed key":          {appendFeedKey(nil, 300), "73" + "000000000000012c"},
		"row of revision 5": {appendRow(nil, []byte("k\x01tx"), 5, []byte("v")), "10" + "05" + "76" + goldenRowSum},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	var back, backPast stored
	if err := back.decode(key, value); err != nil || back.ordinal != 7 || back.id != id || string(back.body) != "sealed" {
		t.Fatalf("decoded %+v, %v", back, err)
	}
	if err := backPast.decode(pastKey, past); err != nil || backPast.id != id || string(backPast.body) != "sealed" {
		t.Fatalf("decoded %+v, %v", backPast, err)
	}
	var row forward
	if err := row.decode(rowKey, w.append(nil, rowKey)); err != nil || !row.live || row.owner != owner || len(row.tokens) != 8 {
		t.Fatalf("decoded %+v, %v", row, err)
	}
}

const (
	goldenRecordSum  = "f96e6b02"
	goldenPastSum    = "90cf4a75"
	goldenForwardSum = "226fdf89"
	goldenRowSum     = "51a344bf"
)

// FuzzDecodeRecord: damaged values are refused, without a panic, even when
// their checksum was made to fit. The first byte of the key says what they are.
func FuzzDecodeRecord(f *testing.F) {
	id := repository.StorageID([]byte("0123456789abcdef"))
	record, old := appendRecordKey(nil, 1, 7), appendIDKey(nil, 1, id)
	f.Add(record, []byte{valueFormat2, 1, 2, 3})
	f.Add(record, (&stored{version: 1, body: []byte("sealed")}).append(nil, record)[:40])
	f.Add(old, (&stored{version: 1, body: []byte("sealed")}).appendPast(nil, old)[:30])
	f.Add(appendForwardKey(nil, 1, 7), (&forward{version: 1, tokens: make([]byte, 16)}).append(nil, nil)[:35])
	f.Fuzz(func(t *testing.T, key, head []byte) {
		if len(head) == 0 || len(key) < 2 {
			return
		}
		value := appendChecksum(append([]byte{}, head...), key)
		var r stored
		if err := r.decode(key, value); err == nil && len(r.body)+len(r.tokens) > len(head) {
			t.Fatal("decoded more than there is")
		}
		var w forward
		if err := w.decode(key, value); err == nil && len(w.tokens) > len(head) {
			t.Fatal("decoded more than there is")
		}
	})
}
