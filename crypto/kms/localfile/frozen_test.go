package localfile_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/localfile"
	"github.com/fieldseal/fieldseal/repository"
)

const frozenPath = "testdata/format/v1/keystore.json"

// frozenStore is a whole keystore as version 1 wrote it, with a root key made
// for this file only.
type frozenStore struct {
	KeyFile string            `json:"keyFile"`
	Rows    map[string]string `json:"rows"`  // hex to hex
	Gives   map[string]string `json:"gives"` // what the keys must be
}

var (
	frozenLive   = repository.Owner{0x11}
	frozenErased = repository.Owner{0x22}
)

// TestKeystoreOfVersion1Opens: what one release wrote, every later one opens.
func TestKeystoreOfVersion1Opens(t *testing.T) {
	t.Parallel()
	if os.Getenv("UPDATE_FROZEN") != "" {
		writeFrozen(t)
	}
	raw, err := os.ReadFile(frozenPath)
	if err != nil {
		t.Fatal(err)
	}
	var f frozenStore
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	table := keyringtest.NewTable()
	for k, v := range f.Rows {
		table.Put(unhex(t, k), unhex(t, v))
	}
	path := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(path, []byte(f.KeyFile), 0o600); err != nil {
		t.Fatal(err)
	}
	kms, err := localfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := keyring.Open(t.Context(), keyring.Options{Table: table, Wrapper: kms})
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range gives(t, r) {
		if got != f.Gives[name] {
			t.Errorf("%s changed", name)
		}
	}
	if erased, err := r.Erased(t.Context(), frozenErased); err != nil || !erased {
		t.Errorf("the erased owner came back: %v", err)
	}
}

func gives(t *testing.T, r *keyring.Ring) map[string]string {
	t.Helper()
	k, err := r.Owner(t.Context(), frozenLive)
	if err != nil {
		t.Fatal(err)
	}
	c, err := k.ClassKey(1, 1)
	if err != nil {
		t.Fatal(err)
	}
	audit, err := r.CurrentAuditEpoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var d [64]byte
	c.Derive(&d, []byte("example"))
	tenant, id, pseudonym := r.Tenant(), r.StorageID("Patient", "p1"), k.AuditPseudonym()
	return map[string]string{
		"tenant": hex.EncodeToString(tenant[:]), "storageId": hex.EncodeToString(id[:]),
		"record": hex.EncodeToString(d[:]), "pseudonym": hex.EncodeToString(pseudonym[:]),
		"ownerIndex": hex.EncodeToString(k.IndexKey().Expose()), "ownerAudit": hex.EncodeToString(k.AuditKey().Expose()),
		"indexEpoch": hex.EncodeToString(r.IndexEpoch().Key.Expose()), "auditEpoch": hex.EncodeToString(audit.Key.Expose()),
		"auditIndex": hex.EncodeToString(r.AuditIndexKey().Expose()), "checkpoint": hex.EncodeToString(r.CheckpointKey().Seed()),
	}
}

func writeFrozen(t *testing.T) {
	t.Helper()
	kms, path := create(t)
	table := keyringtest.NewTable()
	r := keyringtest.InitRing(t, keyring.Options{Table: table, Wrapper: kms})
	for _, o := range []repository.Owner{frozenLive, frozenErased} {
		if _, err := r.EnsureOwner(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Fence(t.Context(), frozenErased); err != nil {
		t.Fatal(err)
	}
	if err := r.Destroy(t.Context(), frozenErased); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := frozenStore{KeyFile: string(text), Rows: map[string]string{}, Gives: gives(t, r)}
	for row, err := range table.Scan(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		f.Rows[hex.EncodeToString(row.Key)] = hex.EncodeToString(row.Value)
	}
	out, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(frozenPath, append(out, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
