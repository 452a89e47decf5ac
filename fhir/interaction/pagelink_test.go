package interaction

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPositionsKeepEveryByte: cursors are bytes, of which JSON would replace
// those that are no UTF-8.
func TestPositionsKeepEveryByte(t *testing.T) {
	t.Parallel()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, p := range []position{{}, {Type: 3, After: all}, {After: []byte{0xff}, Asked: 5}, {Started: 7, Rank: &rank{Key: all, ID: [16]byte{1}}}, {Before: 9}} {
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var got position
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, got); diff != "" {
			t.Error(diff)
		}
	}
}
