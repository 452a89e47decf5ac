package trail

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
)

// fakeKeys is a keystore in memory: keys follow from the owner, so that a child
// process has the same ones.
type fakeKeys struct {
	mu     sync.Mutex
	epoch  uint32
	down   bool
	erased map[audit.Owner]bool
	names  map[Pseudonym]audit.Owner
}

func newFakeKeys() *fakeKeys {
	return &fakeKeys{epoch: 1, erased: map[audit.Owner]bool{}, names: map[Pseudonym]audit.Owner{}}
}

var errDown = errors.New("keystore is down")

func (k *fakeKeys) PatientKeys(_ context.Context, o audit.Owner) (PatientKeys, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return PatientKeys{}, errDown
	}
	if k.erased[o] {
		return PatientKeys{}, ErrErased
	}
	h := sha256.Sum256(append([]byte("key"), o[:]...))
	p := sha256.Sum256(append([]byte("pseudonym"), o[:]...))
	out := PatientKeys{Key: h[:], Pseudonym: Pseudonym(p[:16])}
	k.names[out.Pseudonym] = o
	return out, nil
}

func (k *fakeKeys) Patient(_ context.Context, p Pseudonym) (audit.Owner, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	o, ok := k.names[p]
	if !ok || k.erased[o] {
		return o, ErrErased
	}
	return o, nil
}

func (k *fakeKeys) CurrentEpoch(ctx context.Context) (Epoch, error) {
	k.mu.Lock()
	id := k.epoch
	k.mu.Unlock()
	return k.Epoch(ctx, id)
}

func (k *fakeKeys) Epoch(_ context.Context, id uint32) (Epoch, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return Epoch{}, errDown
	}
	h := sha256.Sum256(binary.BigEndian.AppendUint32([]byte("epoch"), id))
	return Epoch{ID: id, Key: h[:]}, nil
}

func (k *fakeKeys) IndexKey() []byte { h := sha256.Sum256([]byte("index")); return h[:] }

func (k *fakeKeys) CheckpointKey() ed25519.PrivateKey {
	h := sha256.Sum256([]byte("checkpoint"))
	return ed25519.NewKeyFromSeed(h[:])
}

func testOptions(t testing.TB, keys Keys) Options {
	dir := t.TempDir()
	return Options{
		Dir: filepath.Join(dir, "trail"), Origin: "n1", Keys: keys, Witness: filepath.Join(dir, "witness"),
		MinFree: 1 << 20, SegmentRecords: 16, CheckpointEvents: 5,
	}
}

func mustOpen(t testing.TB, opt Options) *Trail {
	t.Helper()
	tr, err := Open(context.Background(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

func patient(n byte) audit.Owner { return audit.Owner{n, 0xaa} }

// readEvent is a read of an Observation of a patient by a clinician.
func readEvent(n byte) audit.Event {
	return audit.Event{
		Kind: audit.REST, Subtype: "read", Action: audit.Read, Outcome: audit.Success,
		Agent: audit.Agent{Subject: "user:dr-demo", Who: "Practitioner/p1", Client: "demo", Roles: []string{"role:clinician"},
			Purpose: "TREAT", Address: "127.0.0.1"},
		Entities: []audit.Entity{{Type: "Observation", ID: "obs-MARKER", Version: 3, Patients: []audit.Owner{patient(n)},
			PatientIDs: []string{"pat-MARKER"}, Classes: 0x44}},
		RequestID: "req-1", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", PolicyRevision: "7",
	}
}

func mustRecord(t testing.TB, tr *Trail, e audit.Event) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := tr.Record(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	return r.Seq()
}

// otherSigner has another checkpoint key.
type otherSigner struct{ *fakeKeys }

func (otherSigner) CheckpointKey() ed25519.PrivateKey {
	h := sha256.Sum256([]byte("another"))
	return ed25519.NewKeyFromSeed(h[:])
}
