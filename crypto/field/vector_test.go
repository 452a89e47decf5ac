package field

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
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

// vector is a keystore and what was sealed with it by the first release of a
// format.
type vector struct {
	Rows    []repository.Row
	Counter []byte // the suite without random nonces, with salts 1, 2, 3, …
	Random  []byte // the suite with random nonces
}

// formatNow is the folder of what is sealed now.
const formatNow = "v3"

// vectorFile is the vector of a format.
func vectorFile(format string) string {
	return filepath.Join("testdata", "format", format, "patient.json")
}

var vectorOwner = repository.Owner{0xA}

// readVector returns a frozen vector with its owner's keys.
func readVector(t *testing.T, format string) (v vector, keys Keys) {
	t.Helper()
	raw, err := os.ReadFile(vectorFile(format))
	if err != nil {
		t.Fatal(err)
	}
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
	owner, err := ring.Owner(t.Context(), vectorOwner)
	if err != nil {
		t.Fatal(err)
	}
	return v, owner
}

func TestFrozenRecordsStillOpen(t *testing.T) {
	t.Parallel()
	if *update {
		writeVector(t)
	}
	c := newCipher(t, SuiteDerived)
	for _, format := range []string{"v1", "v2", "v2-deceased", formatNow} {
		v, keys := readVector(t, format)
		for _, body := range [][]byte{v.Counter, v.Random} {
			if got, err := openAs(c, keys, binding("Patient"), body, AllClasses); err != nil || string(got) != patientJSON {
				t.Errorf("frozen record %s: %v", format, err)
			}
		}
		if format != formatNow {
			continue
		}
		if got := sealVector(t, SuiteDerived, keys); !bytes.Equal(got, v.Counter) {
			t.Error("sealing the same gives other bytes than the frozen record")
		}
		if got := sealVector(t, SuiteDrawn, keys); len(got) != len(v.Random) {
			t.Error("random nonces give another length than the frozen record")
		}
	}
}

// TestEveryFlippedBitOfOlderRecordsIsRefused, and no record passes for one of
// the other format.
func TestEveryFlippedBitOfOlderRecordsIsRefused(t *testing.T) {
	t.Parallel()
	c := newCipher(t, SuiteDerived)
	formats := []string{"v1", "v2", formatNow}
	for own, name := range formats {
		v, keys := readVector(t, name)
		for _, body := range [][]byte{v.Counter, v.Random} {
			for i := range len(body) * 8 {
				bad := slices.Clone(body)
				bad[i/8] ^= 1 << (i % 8)
				refuse(t, c, keys, binding("Patient"), bad, fmt.Sprintf("%s: bit %d", name, i))
			}
			for other := range formats {
				if bad := slices.Clone(body); other != own {
					bad[0] = byte(other + 1)
					refuse(t, c, keys, binding("Patient"), bad, name+" as "+formats[other])
				}
			}
		}
		// A tombstone has no class groups that could tell the formats apart.
		dead, err := c.Seal(nil, binding("Patient"), keys, &Head{ID: "p1", Deleted: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, form := range []byte{formatHeaders, formatRecordKeys} {
			dead[0] = form
			for _, suite := range []Suite{SuiteCounter, SuiteDerived} {
				dead[1] = byte(suite)
				if _, err := c.OpenHead(binding("Patient"), keys, dead); err == nil {
					t.Errorf("a tombstone opened as format %d", form)
				}
			}
		}
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
	v := vector{Counter: sealVector(t, SuiteDerived, keys), Random: sealVector(t, SuiteDrawn, keys)}
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
	if err := os.WriteFile(vectorFile(formatNow), append(b, '\n'), 0o644); err != nil {
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
