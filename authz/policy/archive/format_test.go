package archive

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
)

const frozenText = "role, role:x, x\np, role:x, Patient, read, *, *, all_patients, allow\n"

// What a release stored, every later one opens (docs/format/policy.md).
func TestFrozenRowsOpen(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/format/v1/rows.json")
	wants(t, err, nil)
	var rows map[string]json.RawMessage
	wants(t, json.Unmarshal(b, &rows), nil)
	table := keyringtest.NewTable()
	for key, value := range rows {
		var compact bytes.Buffer
		wants(t, json.Compact(&compact, value), nil)
		table.Put([]byte(key), compact.Bytes())
	}
	n := newNode(t, table)
	wants(t, n.Refresh(t.Context()), nil)
	v, d, err := n.Active()
	wants(t, err, nil)
	if v.Number != 2 || v.Text != frozenText+"# second\n" || v.Author != "user:ann" || v.Approver != "user:bob" || v.Reason != "a reason" ||
		len(v.Overrides) != 1 || v.Overrides[0].Golden != "nurse-reads-Patient" || len(v.Previous) != 64 || d.Text() != v.Text {
		t.Errorf("%+v", v)
	}
	p, err := n.Proposal(t.Context(), "0123456789ab")
	wants(t, err, nil)
	if p.Text != frozenText || p.Author != "user:ann" || p.Reason != "back" || p.Base != v.Hash {
		t.Errorf("%+v", p)
	}
}
