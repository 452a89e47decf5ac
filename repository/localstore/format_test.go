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
	key := appendRecordKey(nil, 1, id)
	r := stored{
		version: 3, updated: 1_700_000_000_000_000, seq: 300, ordinal: 7, owner: owner,
		tokens: appendTokenPrefix(nil, 1, -2)[2:], body: []byte("sealed"),
	}
	value := r.append(nil, key)
	if len(value) != r.size() {
		t.Fatalf("size %d, length %d", r.size(), len(value))
	}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"record key": {key, "7201" + "30313233343536373839616263646566"},
		"record": {value, "10" + "03" + "8080f9c0c1c48203" + "ac02" + "0000000007" +
			"4f574e45524f574e45524f574e455221" + "01" + "fffffffffffffffe" + "7365616c6564" + goldenRecordSum},
		"posting key":       {appendOrdinal(appendTokenPrefix(nil, 1, -2), 7), "7001" + "fffffffffffffffe" + "0000000007"},
		"version key":       {appendVersionKey(nil, 1, id, 2), "7601" + "30313233343536373839616263646566" + "fffffffffffffffd"},
		"owner key":         {appendOwnerKey(nil, owner, 1, 7), "77" + "4f574e45524f574e45524f574e455221" + "01" + "0000000007"},
		"wide type":         {appendOrdinalKey(nil, 300, 7), "6f" + "c12c" + "0000000007"},
		"feed key":          {appendFeedKey(nil, 300), "73" + "000000000000012c"},
		"row of revision 5": {appendRow(nil, []byte("k\x01tx"), 5, []byte("v")), "10" + "05" + "76" + goldenRowSum},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	var back stored
	if err := back.decode(key, value); err != nil || back.version != 3 || string(back.body) != "sealed" {
		t.Fatalf("decoded %+v, %v", back, err)
	}
}

const (
	goldenRecordSum = "120bf393"
	goldenRowSum    = "51a344bf"
)

// FuzzDecodeRecord: damaged values are refused, without a panic, even when
// their checksum was made to fit.
func FuzzDecodeRecord(f *testing.F) {
	key := []byte("r\x01key")
	f.Add([]byte{valueFormat, 1, 2, 3})
	f.Add((&stored{version: 1, body: []byte("sealed")}).append(nil, key)[:30])
	f.Fuzz(func(t *testing.T, head []byte) {
		if len(head) == 0 {
			return
		}
		var r stored
		value := appendChecksum(append([]byte{}, head...), key)
		if err := r.decode(key, value); err == nil && len(r.body)+len(r.tokens) > len(head) {
			t.Fatal("decoded more than there is")
		}
	})
}
