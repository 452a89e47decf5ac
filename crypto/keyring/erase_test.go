package keyring_test

import (
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/kmstest"
	"github.com/fieldseal/fieldseal/repository"
)

func eraseNow(t *testing.T, r *keyring.Ring, o repository.Owner) {
	t.Helper()
	if err := r.Fence(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := r.Destroy(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func checkErased(t *testing.T, what string, r *keyring.Ring, o repository.Owner) {
	t.Helper()
	_, err := r.Owner(t.Context(), o)
	wantErr(t, what+": Owner", err, keyring.ErrErased)
	_, err = r.EnsureOwner(t.Context(), o)
	wantErr(t, what+": EnsureOwner", err, keyring.ErrErased)
}

func TestFencedOwnerGivesNoKey(t *testing.T) {
	t.Parallel()
	r := keyringtest.NewRing(t)
	ensure(t, r, 2)
	for _, o := range []repository.Owner{owner(0), owner(5)} { // with keys, and never seen
		wantErr(t, "destroying without a fence", r.Destroy(t.Context(), o), keyring.ErrNotFenced)
		for range 2 {
			if err := r.Fence(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			checkErased(t, "fenced", r, o)
		}
	}
	mustOwner(t, r, owner(1))
}

func TestErasureWorksWithoutKMS(t *testing.T) {
	t.Parallel()
	kms, table := kmstest.New(), keyringtest.NewTable()
	r := keyringtest.InitRing(t, keyring.Options{Table: table, Wrapper: kms})
	ensure(t, r, 2)
	_, before := ownerRow(t, table, owner(0))
	kms.SetDown(true)
	_, unwraps := kms.Calls()
	eraseNow(t, r, owner(0))
	eraseNow(t, r, owner(0)) // may be repeated
	if _, after := kms.Calls(); after != unwraps {
		t.Error("erasing asked the KMS")
	}
	checkErased(t, "erased", r, owner(0))
	if erased, err := r.Erased(t.Context(), owner(0)); err != nil || !erased {
		t.Errorf("Erased: %v %v", erased, err)
	}
	if _, row := ownerRow(t, table, owner(0)); len(row) != len(before)-len(before[29:]) {
		t.Errorf("the tombstone has %d bytes: wrapped keys remain", len(row))
	}
	mustOwner(t, r, owner(1))
}

// TestErasedOwnerStaysErased reopens with the current keystore, as after a
// restore of an older data backup, and rotates.
func TestErasedOwnerStaysErased(t *testing.T) {
	t.Parallel()
	o := keyring.Options{Table: keyringtest.NewTable(), Wrapper: kmstest.New()}
	r := keyringtest.InitRing(t, o)
	ensure(t, r, 2)
	eraseNow(t, r, owner(0))
	if err := r.RotateKEK(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	r, err := keyring.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	checkErased(t, "after restart and rotation", r, owner(0))
	mustOwner(t, r, owner(1))
}

// TestReadmittedOwnerCannotReadTheErased gives new keys under new versions.
func TestReadmittedOwnerCannotReadTheErased(t *testing.T) {
	t.Parallel()
	r := keyringtest.NewRing(t)
	ensure(t, r, 1)
	wantErr(t, "readmitting a live owner", r.Readmit(t.Context(), owner(0)), repository.ErrConflict)
	wantErr(t, "readmitting a stranger", r.Readmit(t.Context(), owner(1)), keyring.ErrNoKey)
	old := mustOwner(t, r, owner(0))
	for generation := uint32(2); generation < 4; generation++ {
		eraseNow(t, r, owner(0))
		if err := r.Readmit(t.Context(), owner(0)); err != nil {
			t.Fatal(err)
		}
		k := mustOwner(t, r, owner(0))
		if k.Version() != generation || k.Generation() != generation || k.AuditPseudonym() == old.AuditPseudonym() || k.IndexKey().Equal(old.IndexKey()) {
			t.Error("the new generation shares something with the old")
		}
		_, err := k.ClassKey(old.Version(), 1)
		wantErr(t, "version of the erased generation", err, keyring.ErrErased)
	}
}

// TestFenceReachesOtherProcesses bounds how long another process serves.
func TestFenceReachesOtherProcesses(t *testing.T) {
	t.Parallel()
	clock := keyringtest.NewClock()
	o := keyring.Options{Table: keyringtest.NewTable(), Wrapper: kmstest.New(), Now: clock.Now}
	a := keyringtest.InitRing(t, o)
	ensure(t, a, 1)
	b, err := keyring.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	mustOwner(t, b, owner(0))
	if err := a.Fence(t.Context(), owner(0)); err != nil {
		t.Fatal(err)
	}
	clock.Advance(keyring.MaxOwnerTTL - time.Nanosecond)
	mustOwner(t, b, owner(0)) // within the documented minute
	clock.Advance(time.Nanosecond)
	checkErased(t, "elsewhere, after the lifetime", b, owner(0))
}

// TestLoadDuringFenceIsNotKept fences while a load of the same owner hangs in
// the table: the late result must not enter the cache.
func TestLoadDuringFenceIsNotKept(t *testing.T) {
	t.Parallel()
	table, kms := keyringtest.NewTable(), kmstest.New()
	clock := keyringtest.NewClock()
	o := keyring.Options{Table: table, Wrapper: kms, Now: clock.Now}
	ensure(t, keyringtest.InitRing(t, o), 1)
	r, err := keyring.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	// Past the KEK's lifetime the load reads the row and then waits for the
	// slow KMS; meanwhile the owner is fenced.
	clock.Advance(keyring.DefaultKEKTTL)
	kms.SetSlow(100 * time.Millisecond)
	started := make(chan struct{})
	go func() {
		close(started)
		_, _ = r.Owner(t.Context(), owner(0))
	}()
	<-started
	for {
		if _, unwraps := kms.Calls(); unwraps > 2 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := r.Fence(t.Context(), owner(0)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	checkErased(t, "after a load that overlapped the fence", r, owner(0))
}
