package node

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
)

// TestRowsOfFormat1AreRead: nodes of two releases may run side by side.
func TestRowsOfFormat1AreRead(t *testing.T) {
	t.Parallel()
	frozen, err := os.ReadFile("testdata/format/v1/rows.txt")
	if err != nil {
		t.Fatal(err)
	}
	table := keyringtest.NewTable()
	rows := map[string]string{roundKey: "\x00\x00\x00\x00\x00\x00\x00\x0c"}
	for line := range strings.Lines(string(frozen)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		rows[key] = value
	}
	for key, value := range rows {
		if _, err := table.PutIf(t.Context(), []byte(key), []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	s, err := read(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	want := nodeRow{Instance: "5f0c9a7e1b2d43568899aabbccddeeff", Round: 12, Rules: "90be01020304a5b6", Beat: 4711}
	if s.round != 12 || len(s.nodes) != 1 || s.nodes["eu1"].nodeRow != want {
		t.Errorf("read %+v", s)
	}
	lease := leaseRow{"eu1", want.Instance}
	for key, value := range map[string]any{"node/eu1": want, "lease/index": lease} {
		if b, err := json.Marshal(value); err != nil || string(b) != rows[key] {
			t.Errorf("%s is written as %s", key, b)
		}
	}
}
