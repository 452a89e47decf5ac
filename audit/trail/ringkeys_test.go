package trail

import (
	"errors"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

func TestErasureThroughTheKeyringUnlinksThePatient(t *testing.T) {
	t.Parallel()
	table := keyringtest.NewTable()
	ring := keyringtest.InitRing(t, keyring.Options{Table: table})
	keys := NewRingKeys(ring, table)
	opt := testOptions(t, keys)
	tr := mustOpen(t, opt)
	mustRecord(t, tr, readEvent(1))
	mustRecord(t, tr, readEvent(2))
	p := patient(1)
	if got, err := tr.Search(t.Context(), Query{Patient: &p}); err != nil || len(got) != 1 {
		t.Fatalf("%d events, %v", len(got), err)
	}
	o := repository.Owner(patient(1))
	if err := ring.Fence(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if n, err := keys.Sweep(t.Context()); err != nil || n != 0 {
		t.Fatalf("a fenced patient lost its way back: %d, %v", n, err)
	}
	if err := ring.Destroy(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if n, err := keys.Sweep(t.Context()); err != nil || n != 1 {
		t.Fatalf("swept %d, %v", n, err)
	}
	for row, err := range table.Scan(t.Context(), []byte(pseudonymPrefix)) {
		if err != nil || string(row.Value) == string(o[:]) {
			t.Errorf("the way back to the erased patient is still there: %v", err)
		}
	}
	if err := ring.Readmit(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	mustRecord(t, tr, readEvent(1)) // a new generation with another pseudonym
	for seq, erased := range map[uint64]bool{1: true, 2: false, 3: false} {
		e, err := tr.Get(t.Context(), "n1", seq)
		if err != nil || e.Entities[0].Erased != erased {
			t.Errorf("event %d: %+v, %v", seq, e.Entities, err)
		}
	}
	tr.Close()
	fresh := NewRingKeys(ring, table) // as after a restart
	opt.Keys = fresh
	tr = mustOpen(t, opt)
	if e, err := tr.Get(t.Context(), "n1", 2); err != nil || e.Entities[0].Patients[0] != patient(2) {
		t.Errorf("%+v, %v", e, err)
	}
	if _, err := fresh.Patient(t.Context(), Pseudonym{9}); !errors.Is(err, ErrErased) {
		t.Errorf("unknown pseudonym: %v", err)
	}
	if got, err := tr.Search(t.Context(), Query{Patient: &p}); err != nil || len(got) != 1 || got[0].Seq != 3 {
		t.Errorf("after readmission: %d events, %v", len(got), err)
	}
	_ = audit.Owner(p)
}
