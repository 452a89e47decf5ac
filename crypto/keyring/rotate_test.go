package keyring_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/kmstest"
	"github.com/fieldseal/fieldseal/repository"
)

func owner(n int) (o repository.Owner) {
	binary.BigEndian.PutUint32(o[12:], uint32(n))
	return o
}

// fingerprints of everything that a ring gives out, for n owners.
func fingerprints(t *testing.T, r *keyring.Ring, n int) []string {
	t.Helper()
	id := r.StorageID("Patient", "p1")
	out := []string{fmt.Sprintf("%x %x %x %x", id, r.IndexEpoch().Key.Expose(), r.AuditIndexKey().Expose(), []byte(r.CheckpointKey()))}
	audit, err := r.CurrentAuditEpoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out = append(out, fmt.Sprintf("%d %x", audit.ID, audit.Key.Expose()))
	for i := range n {
		out = append(out, keyPrint(t, mustOwner(t, r, owner(i))))
	}
	return out
}

func keyPrint(t *testing.T, k *keyring.OwnerKeys) string {
	t.Helper()
	c, err := k.ClassKey(k.Version(), 3)
	if err != nil {
		t.Fatal(err)
	}
	var d [64]byte
	c.Derive(&d, []byte("info"))
	return fmt.Sprintf("%d %x %x %x %x", k.Version(), d, k.IndexKey().Expose(), k.AuditKey().Expose(), k.AuditPseudonym())
}

func mustOwner(t *testing.T, r *keyring.Ring, o repository.Owner) *keyring.OwnerKeys {
	t.Helper()
	k, err := r.Owner(t.Context(), o)
	if err != nil {
		t.Fatalf("owner %x: %v", o[12:], err)
	}
	return k
}

func ensure(t *testing.T, r *keyring.Ring, n int) {
	t.Helper()
	for i := range n {
		if _, err := r.EnsureOwner(t.Context(), owner(i)); err != nil {
			t.Fatal(err)
		}
	}
}

var errKilled = errors.New("killed here")

// TestRotationKilledAtEveryStep kills a rotation before and after each write
// in turn, reopens the keystore as after a restart and finishes.
func TestRotationKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	const owners = 5
	kms := kmstest.New()
	base := keyringtest.NewTable()
	o := keyring.Options{Table: base, Wrapper: kms}
	r := keyringtest.InitRing(t, o)
	ensure(t, r, owners)
	eraseNow(t, r, owner(owners-1))
	want := fingerprints(t, r, owners-1)
	for _, op := range []keyringtest.Op{keyringtest.BeforePut, keyringtest.AfterPut} {
		for step := 1; ; step++ {
			table := base.Clone()
			killed := killedRotation(t, keyring.Options{Table: table, Wrapper: kms}, op, step)
			table.SetFault(nil)
			checkAfterKill(t, keyring.Options{Table: table, Wrapper: kms}, want, fmt.Sprintf("%s, step %d", op, step))
			if !killed {
				break
			}
		}
	}
}

// killedRotation lets every operation fail from the given write on.
func killedRotation(t *testing.T, o keyring.Options, op keyringtest.Op, step int) bool {
	t.Helper()
	r, err := keyring.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	writes, dead := 0, false
	o.Table.(*keyringtest.Table).SetFault(func(at keyringtest.Op, _ []byte) error {
		if at == op {
			writes++
		}
		if dead = dead || writes == step; dead {
			return errKilled
		}
		return nil
	})
	err = r.RotateKEK(t.Context(), nil)
	if dead && !errors.Is(err, errKilled) {
		t.Fatalf("%s, step %d: rotation was killed and reports %v", op, step, err)
	}
	if !dead && err != nil {
		t.Fatal(err)
	}
	return dead
}

func checkAfterKill(t *testing.T, o keyring.Options, want []string, at string) {
	t.Helper()
	for range 2 { // before and after resuming
		r, err := keyring.Open(t.Context(), o)
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if got := fingerprints(t, r, len(want)-2); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%s: keys changed", at)
		}
		if s, err := r.Status(t.Context()); err != nil || s.Erased != 1 {
			t.Fatalf("%s: tombstone lost: %+v %v", at, s, err)
		}
		if s, _ := r.Status(t.Context()); s.Rotation != nil || s.KEKs[0].Version == 1 {
			if err := r.RotateKEK(t.Context(), nil); err != nil {
				t.Fatalf("%s: resuming: %v", at, err)
			}
		}
		s, err := r.Status(t.Context())
		if err != nil || len(s.KEKs) != 1 || s.KEKs[0].Version != 2 || s.Rotation != nil {
			t.Fatalf("%s: after resuming: %+v %v", at, s, err)
		}
	}
}

// TestRotationUnderLoad reads and creates owners while KEKs rotate.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	r := keyringtest.InitRing(t, keyring.Options{OwnerCache: 1})
	ensure(t, r, 50)
	want := fingerprints(t, r, 50)
	var wg sync.WaitGroup
	var stop atomic.Bool
	for g := range 4 {
		wg.Go(func() {
			for i := g; !stop.Load(); i++ {
				if _, err := r.Owner(t.Context(), owner(i%50)); err != nil {
					t.Errorf("reading: %v", err)
					return
				}
				if _, err := r.EnsureOwner(t.Context(), owner(1000*(g+1)+i%500)); err != nil {
					t.Errorf("creating: %v", err)
					return
				}
			}
		})
	}
	for range 5 {
		if err := r.RotateKEK(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	wg.Wait()
	if got := fingerprints(t, r, 50); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("rotation changed keys")
	}
	s, err := r.Status(t.Context())
	if err != nil || len(s.KEKs) != 1 || s.KEKs[0].Version != 6 || s.KEKs[0].Owners != s.Owners {
		t.Errorf("status after five rotations: %+v, %v", s, err)
	}
}

// TestSecondProcessFollowsRotation has two rings on one table.
func TestSecondProcessFollowsRotation(t *testing.T) {
	t.Parallel()
	clock := keyringtest.NewClock()
	o := keyring.Options{Table: keyringtest.NewTable(), Wrapper: kmstest.New(), Now: clock.Now}
	a := keyringtest.InitRing(t, o)
	ensure(t, a, 3)
	b, err := keyring.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	want := keyPrint(t, mustOwner(t, b, owner(1)))
	calls := 0
	if err := a.RotateKEK(t.Context(), func(done, total int) { calls = done }); err != nil || calls != 3 {
		t.Fatalf("rotation: %v, progress %d", err, calls)
	}
	if _, err := b.EnsureOwner(t.Context(), owner(9)); err != nil {
		t.Fatalf("creating under the stale KEK version: %v", err)
	}
	clock.Advance(keyring.DefaultKEKTTL + 1)
	if got := keyPrint(t, mustOwner(t, b, owner(1))); got != want {
		t.Error("the second process reads other keys")
	}
	if _, err := b.CurrentAuditEpoch(t.Context()); err != nil {
		t.Errorf("the second process lost the audit epoch: %v", err)
	}
	if s, err := b.Status(t.Context()); err != nil || s.KEKs[0].Owners != 4 || len(s.KEKs) != 1 {
		t.Errorf("status %+v %v", s, err)
	}
}

// TestRotationStopsAtDamagedRow keeps the old KEK: forgetting it would make a
// repairable row a lost one.
func TestRotationStopsAtDamagedRow(t *testing.T) {
	t.Parallel()
	table := keyringtest.NewTable()
	r := keyringtest.InitRing(t, keyring.Options{Table: table})
	ensure(t, r, 3)
	key, good := ownerRow(t, table, owner(1))
	bad := append([]byte(nil), good...)
	bad[len(bad)-1] ^= 1
	table.Put(key, bad)
	if err := r.RotateKEK(t.Context(), nil); !errors.Is(err, keyring.ErrCorrupt) {
		t.Fatalf("rotation over a damaged row: %v", err)
	}
	table.Put(key, good)
	if err := r.RotateKEK(t.Context(), nil); err != nil {
		t.Fatalf("after repair: %v", err)
	}
	mustOwner(t, r, owner(1))
}
