package field

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/repository"
)

// plainWrapper stands for a KMS: what it wraps is the key itself, so that a
// vector carries its keys.
type plainWrapper struct{}

func (plainWrapper) Wrap(_ context.Context, dek secret.Bytes, _ []byte) (keyring.Wrapped, error) {
	return keyring.Wrapped{KeyID: "test", Blob: slices.Clone(dek.Expose())}, nil
}

func (plainWrapper) Unwrap(_ context.Context, w keyring.Wrapped, _ []byte) (secret.Bytes, error) {
	return secret.New(slices.Clone(w.Blob)), nil
}

// counting is a reader of known bytes in place of the random source.
type counting struct{ n byte }

func (c *counting) Read(p []byte) (int, error) {
	for i := range p {
		c.n++
		p[i] = c.n
	}
	return len(p), nil
}

// vector is a keystore and what was sealed with it by the first release.
type vector struct {
	Rows    []repository.Row
	Counter []byte // suite 1 with salts 1, 2, 3, …
	Random  []byte // suite 2
}

var vectorFile = filepath.Join("testdata", "format", "v1", "patient.json")

var vectorOwner = repository.Owner{0xA}

func TestFrozenRecordsStillOpen(t *testing.T) {
	t.Parallel()
	if *update {
		writeVector(t)
	}
	raw, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	rows := keyringtest.NewTable()
	for _, r := range v.Rows {
		if _, err := rows.PutIf(t.Context(), r.Key, r.Value, 0); err != nil {
			t.Fatal(err)
		}
	}
	ring, err := keyring.Open(t.Context(), keyring.Options{Table: rows, Wrapper: plainWrapper{}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ring.Owner(t.Context(), vectorOwner)
	if err != nil {
		t.Fatal(err)
	}
	c := newCipher(t, SuiteCounter)
	for _, body := range [][]byte{v.Counter, v.Random} {
		if got, err := openAs(c, keys, binding("Patient"), body, AllClasses); err != nil || string(got) != patientJSON {
			t.Errorf("frozen record: %v", err)
		}
	}
	if got := sealVector(t, SuiteCounter, keys); !bytes.Equal(got, v.Counter) {
		t.Error("sealing the same gives other bytes than the frozen record")
	}
	if got := sealVector(t, SuiteRandom, keys); len(got) != len(v.Random) {
		t.Error("suite 2 gives another length than the frozen record")
	}
}

func sealVector(t *testing.T, s Suite, k Keys) []byte {
	c := newCipher(t, s)
	c.random = &counting{}
	h := Head{ID: "p1", Updated: 1_000_000, Owner: StorageID(vectorOwner), Patients: []StorageID{StorageID(vectorOwner)}, Orgs: []StorageID{{7}}, Security: []Label{{"sys", "R"}}}
	body, err := c.Seal(nil, binding("Patient"), k, &h, parse(t, patientJSON))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func writeVector(t *testing.T) {
	rows := keyringtest.NewTable()
	ring, err := keyring.Init(t.Context(), keyring.Options{Table: rows, Wrapper: plainWrapper{}})
	if err != nil {
		t.Fatal(err)
	}
	keys := ownerKeys(t, ring, vectorOwner)
	v := vector{Counter: sealVector(t, SuiteCounter, keys), Random: sealVector(t, SuiteRandom, keys)}
	for r, err := range rows.Scan(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		v.Rows = append(v.Rows, r)
	}
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDictionaryIsFrozen: stored slot maps name elements by their line in
// names.txt; lines may only be appended.
func TestDictionaryIsFrozen(t *testing.T) {
	t.Parallel()
	const lines, want = 1756, "8ece987822d2bc62"
	end := 0
	for range lines {
		end += bytes.IndexByte([]byte(namesText[end:]), '\n') + 1
	}
	sum := sha256.Sum256([]byte(namesText[:end]))
	if got := hexOf(sum[:8]); got != want {
		t.Errorf("the first %d names changed: %s", lines, got)
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var out []byte
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}
