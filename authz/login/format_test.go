package login

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// TestFrozenRowsOpen: what an earlier binary stored is still read (docs/format/login.md).
func TestFrozenRowsOpen(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	plain, err := os.ReadFile("testdata/format/v1/credentials.json")
	d.must(err)
	value, err := json.Marshal(sealedRow{1, plain})
	d.must(err)
	d.table.Put(d.credentialKey("user:chief"), value)
	c, _, err := d.load(t.Context(), "user:chief")
	d.must(err)
	if ok, err := d.matches(t.Context(), *c.Password, phrase); !ok || err != nil {
		t.Errorf("the frozen password: %v", err)
	}
	var frozen, now map[string]any
	d.must(json.Unmarshal(plain, &frozen))
	again, err := json.Marshal(c)
	d.must(err)
	d.must(json.Unmarshal(again, &now))
	if !reflect.DeepEqual(frozen, now) {
		t.Errorf("stored now as %s", again)
	}
	f, err := d.Factors(t.Context(), "user:chief")
	if err != nil || !f.TOTP || len(f.Passkeys) != 1 || f.RecoveryLeft != 10 || f.Invited.IsZero() {
		t.Errorf("%+v %v", f, err)
	}
}
