package keyring_test

import (
	"bytes"
	"crypto/fips140"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/secret"
)

// plainHMAC is RFC 2104 written out, sharing nothing with the product.
func plainHMAC(key, text []byte) []byte {
	inner, outer := bytes.Repeat([]byte{0x36}, 64), bytes.Repeat([]byte{0x5c}, 64)
	for i, b := range key {
		inner[i] ^= b
		outer[i] ^= b
	}
	h := sha256.Sum256(append(inner, text...))
	o := sha256.Sum256(append(outer, h[:]...))
	return o[:]
}

// plainKDF is SP 800-108r1 §4.1 written out.
func plainKDF(key []byte, n int, label string, context []byte) []byte {
	var out []byte
	for i := uint32(1); len(out) < n; i++ {
		in := binary.BigEndian.AppendUint32(nil, i)
		in = append(append(append(in, label...), 0), context...)
		in = binary.BigEndian.AppendUint32(in, uint32(n*8))
		out = append(out, plainHMAC(key, in)...)
	}
	return out[:n]
}

func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// vectors computes every derivation, by the product and written out.
func vectors() (got, want []string) {
	hexOf := func(b []byte) string { return hex.EncodeToString(b) }
	dek := counting(32)
	for _, class := range []byte{0, 1, 8} {
		for _, n := range []int{0, 1, 95, 120, 300} {
			var d [64]byte
			keyring.ClassKeyOf(secret.Copy(dek), class).Derive(&d, counting(n))
			got = append(got, hexOf(d[:]))
			classKey := plainKDF(dek, 32, "fieldseal/class/v1", []byte{class})
			want = append(want, hexOf(plainKDF(classKey, 64, "fs/rec1", counting(n))))
		}
	}
	id := keyring.StorageIDOf(secret.Copy(dek), "Patient", "p1")
	got = append(got, hexOf(id[:]))
	want = append(want, hexOf(plainHMAC(dek, []byte("\x00\x00\x00\x07Patient\x00\x00\x00\x02p1"))[:16]))
	key, pseudonym := keyring.AuditKeysOf(secret.Copy(dek))
	got = append(got, hexOf(key.Expose()), hexOf(pseudonym[:]))
	want = append(want, hexOf(plainKDF(dek, 32, "fieldseal/audit-key/v1", nil)), hexOf(plainKDF(dek, 16, "fieldseal/audit-pseudonym/v1", nil)))
	return got, want
}

func TestVectors(t *testing.T) {
	t.Parallel()
	got, want := vectors()
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("derivation %d: %s, written out %s", i, got[i], want[i])
		}
	}
	frozen(t, "derivations.txt", strings.Join(got, "\n")+"\n")
}

func TestRowFormatsAreFrozen(t *testing.T) {
	t.Parallel()
	tenant, owner, tombstone := keyring.FrozenRows()
	frozen(t, "rows.txt", fmt.Sprintf("tenant %x\nowner %x\ntombstone %x\naad %x\n", tenant, owner, tombstone, keyring.SeatAAD()))
	for i, raw := range [][]byte{tenant, owner, tombstone} {
		if again, err := keyring.Reencode(i == 0, raw); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("row %d does not survive decoding: %v", i, err)
		}
	}
}

// frozen compares with what version 1 wrote. The files are never rewritten;
// UPDATE_FROZEN exists for a new format in a new folder.
func frozen(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/format/v1/" + name
	if os.Getenv("UPDATE_FROZEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s changed: stored data would become unreadable", name)
	}
}

// TestFIPSOnly runs vectors, erasure and rotation in a process that refuses
// every algorithm that is not approved.
func TestFIPSOnly(t *testing.T) {
	t.Parallel()
	if os.Getenv("KEYRING_FIPS_CHILD") != "" {
		t.Skip("already inside")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^(TestVectors|TestMarks|TestFIPSMode|TestErasureWorksWithoutKMS|TestRotationKilledAtEveryStep|TestWrongRootKeyIsRefusedAtOpen)$")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", "KEYRING_FIPS_CHILD=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "--- PASS"); n != 6 {
		t.Errorf("%d tests ran\n%s", n, out)
	}
}

func TestFIPSMode(t *testing.T) {
	t.Parallel()
	if os.Getenv("KEYRING_FIPS_CHILD") == "" {
		t.Skip("for the child of TestFIPSOnly")
	}
	if !fips140.Enabled() {
		t.Error("the FIPS module is not in force")
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools are lossy under the race detector")
	}
	r := keyringtest.NewRing(t)
	k, err := r.EnsureOwner(t.Context(), owner(1))
	if err != nil {
		t.Fatal(err)
	}
	info := counting(85)
	var mark [keyring.MarkBytes]byte
	var digest [keyring.DigestBytes]byte
	for name, f := range map[string]func(){
		"StorageID": func() { _ = r.StorageID("Observation", "0123456789abcdef") },
		"Owner":     func() { _, _ = r.Owner(t.Context(), owner(1)) },
		"Derive": func() {
			c, _ := k.ClassKey(1, 3)
			var d [64]byte
			c.Derive(&d, info)
		},
		"Mark": func() {
			s, _ := k.Sealer(1, 3, true)
			s.Mark(&mark, &digest)
		},
	} {
		f()
		if n := testing.AllocsPerRun(200, f); n > 0.5 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func FuzzRows(f *testing.F) {
	a, b, c := keyring.FrozenRows()
	f.Add(true, a)
	f.Add(false, b)
	f.Add(false, c)
	f.Fuzz(func(t *testing.T, tenant bool, raw []byte) {
		if again, err := keyring.Reencode(tenant, raw); err == nil && !bytes.Equal(again, raw) {
			t.Errorf("decodes to another row")
		}
	})
}
