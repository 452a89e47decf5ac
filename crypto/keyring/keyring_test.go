package keyring_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/kmstest"
	"github.com/fieldseal/fieldseal/repository"
)

func ownerRow(t *testing.T, table *keyringtest.Table, o repository.Owner) (key, value []byte) {
	t.Helper()
	row, err := table.Get(t.Context(), append([]byte("owner/"), o[:]...))
	if err != nil {
		t.Fatal(err)
	}
	return row.Key, row.Value
}

func wantErr(t *testing.T, what string, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("%s: got %v, want %v", what, err, target)
		}
	}
}

func TestInitAndOpen(t *testing.T) {
	t.Parallel()
	o := keyring.Options{Table: keyringtest.NewTable(), Wrapper: kmstest.New()}
	_, err := keyring.Open(t.Context(), o)
	wantErr(t, "opening an empty table", err, keyring.ErrNotInitialized)
	a := keyringtest.InitRing(t, o)
	ensure(t, a, 3)
	_, err = keyring.Init(t.Context(), o)
	wantErr(t, "initialising twice", err, keyring.ErrInitialized)
	b, err := keyring.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if a.Tenant() != b.Tenant() || fmt.Sprint(fingerprints(t, a, 3)) != fmt.Sprint(fingerprints(t, b, 3)) {
		t.Error("a reopened keystore gives other keys")
	}
	_, err = keyring.Open(t.Context(), keyring.Options{OwnerTTL: time.Hour, KEKTTL: -1})
	if err == nil || strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("not every problem is reported: %v", err)
	}
}

func TestWrongRootKeyIsRefusedAtOpen(t *testing.T) {
	t.Parallel()
	table := keyringtest.NewTable()
	keyringtest.InitRing(t, keyring.Options{Table: table})
	_, err := keyring.Open(t.Context(), keyring.Options{Table: table, Wrapper: kmstest.New()})
	wantErr(t, "wrong root key", err, keyring.ErrWrongKEK)
}

func TestFlippedBitInTenantRowIsRefused(t *testing.T) {
	t.Parallel()
	kms, table := kmstest.New(), keyringtest.NewTable()
	keyringtest.InitRing(t, keyring.Options{Table: table, Wrapper: kms})
	row, err := table.Get(t.Context(), []byte("tenant"))
	if err != nil {
		t.Fatal(err)
	}
	// Times and progress of a rotation are not key material: flips there show
	// in Status only, so the keys must still be the same ones.
	ref, err := keyring.Open(t.Context(), keyring.Options{Table: table, Wrapper: kms})
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(fingerprints(t, ref, 0))
	refused := 0
	for bit := range len(row.Value) * 8 {
		damaged := append([]byte(nil), row.Value...)
		damaged[bit/8] ^= 1 << (bit % 8)
		copied := keyringtest.NewTable()
		copied.Put(row.Key, damaged)
		r, err := keyring.Open(t.Context(), keyring.Options{Table: copied, Wrapper: kms})
		if err != nil {
			refused++
			continue
		}
		if got := fmt.Sprint(fingerprints(t, r, 0)); got != want {
			t.Fatalf("bit %d of byte %d changes the keys silently", bit%8, bit/8)
		}
	}
	if refused < len(row.Value)*6 {
		t.Errorf("only %d of %d flips refused", refused, len(row.Value)*8)
	}
}

func TestFlippedBitInOwnerRowIsRefused(t *testing.T) {
	t.Parallel()
	kms, table := kmstest.New(), keyringtest.NewTable()
	r := keyringtest.InitRing(t, keyring.Options{Table: table, Wrapper: kms})
	ensure(t, r, 1)
	key, value := ownerRow(t, table, owner(0))
	var wg sync.WaitGroup
	for bit := range len(value) * 8 {
		if at := bit / 8; at >= 9 && at < 17 {
			continue // time of the last change: not key material
		}
		wg.Go(func() { // all at once: a row of an unknown KEK is waited for
			damaged := append([]byte(nil), value...)
			damaged[bit/8] ^= 1 << (bit % 8)
			table := table.Clone()
			table.Put(key, damaged)
			r, err := keyring.Open(t.Context(), keyring.Options{Table: table, Wrapper: kms, KMSTimeout: time.Hour})
			if err != nil {
				t.Error(err)
				return
			}
			if k, err := r.Owner(t.Context(), owner(0)); err == nil || k != nil {
				t.Errorf("flipped bit %d of byte %d opens", bit%8, bit/8)
			}
			if _, err := r.EnsureOwner(t.Context(), owner(0)); err == nil {
				t.Errorf("flipped bit %d of byte %d: a new key was made under an old id", bit%8, bit/8)
			}
		})
	}
	wg.Wait()
	for n := range value {
		table.Put(key, value[:n:n])
		if n == 0 {
			continue // an empty value removes the row in the fake
		}
		if _, err := r.Erased(t.Context(), owner(0)); !errors.Is(err, keyring.ErrCorrupt) {
			t.Fatalf("row cut to %d bytes: %v", n, err)
		}
	}
}

func TestSwappedOwnerRowDoesNotOpen(t *testing.T) {
	t.Parallel()
	kms, table := kmstest.New(), keyringtest.NewTable()
	o := keyring.Options{Table: table, Wrapper: kms}
	ensure(t, keyringtest.InitRing(t, o), 2)
	k0, v0 := ownerRow(t, table, owner(0))
	k1, v1 := ownerRow(t, table, owner(1))
	table.Put(k0, v1)
	table.Put(k1, v0)
	r, err := keyring.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		_, err := r.Owner(t.Context(), owner(i))
		wantErr(t, "swapped row", err, keyring.ErrCorrupt)
	}
}

func TestRowOfAnotherTenantDoesNotOpen(t *testing.T) {
	t.Parallel()
	kms := kmstest.New()
	ours, theirs := keyringtest.NewTable(), keyringtest.NewTable()
	r := keyringtest.InitRing(t, keyring.Options{Table: ours, Wrapper: kms})
	ensure(t, keyringtest.InitRing(t, keyring.Options{Table: theirs, Wrapper: kms}), 1)
	ours.Put(ownerRow(t, theirs, owner(0)))
	_, err := r.Owner(t.Context(), owner(0))
	wantErr(t, "row of another tenant", err, keyring.ErrCorrupt)
}

func TestUnknownKeyVersionAndClassAreRefused(t *testing.T) {
	t.Parallel()
	r := keyringtest.NewRing(t)
	k, err := r.EnsureOwner(t.Context(), owner(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []uint32{0, 2, 1 << 31} {
		c, err := k.ClassKey(v, 1)
		wantErr(t, "unknown version", err, keyring.ErrNoKey)
		if c != nil {
			t.Error("a key came with the error")
		}
	}
	_, err = k.ClassKey(1, keyring.MaxClass+1)
	wantErr(t, "unknown class", err, keyring.ErrNoKey)
	_, err = r.Owner(t.Context(), owner(1))
	wantErr(t, "unknown owner", err, keyring.ErrNoKey)
	_, err = r.AuditEpoch(t.Context(), 2)
	wantErr(t, "unknown audit epoch", err, keyring.ErrNoKey)
}

// TestConcurrentCreationAgrees lets two processes and many goroutines create
// the same owners: all get the same keys.
func TestConcurrentCreationAgrees(t *testing.T) {
	t.Parallel()
	o := keyring.Options{Table: keyringtest.NewTable(), Wrapper: kmstest.New()}
	a := keyringtest.InitRing(t, o)
	b, err := keyring.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := make(map[int]string)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			r := []*keyring.Ring{a, b}[g%2]
			for i := range 40 {
				k, err := r.EnsureOwner(t.Context(), owner(i))
				if err != nil {
					t.Error(err)
					return
				}
				p := keyPrint(t, k)
				mu.Lock()
				if old, ok := seen[i]; ok && old != p {
					t.Errorf("owner %d has two keys", i)
				}
				seen[i] = p
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestStatusShowsNoKey(t *testing.T) {
	t.Parallel()
	r := keyringtest.NewRing(t)
	ensure(t, r, 2)
	eraseNow(t, r, owner(7))
	s, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	js, err := json.Marshal(s)
	if err != nil || len(s.Tenant) != 32 || s.Owners != 2 || s.Erased != 1 || s.KMS != "ok" {
		t.Errorf("status %s, %v", js, err)
	}
	e := s.IndexEpochs[0]
	if e.RotateBy == nil || !e.RotateBy.Equal(e.Created.Add(90*24*time.Hour)) || s.KEKs[0].Secrets != 5 {
		t.Errorf("status %s", js)
	}
	for _, form := range fingerprints(t, r, 2) {
		for _, f := range strings.Fields(form) {
			if len(f) >= 32 && strings.Contains(string(js)+fmt.Sprintf("%+v %#v", r, r), f) {
				t.Error("status or a printed ring shows a key")
			}
		}
	}
}
