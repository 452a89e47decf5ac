package sealed

import (
	"bytes"
	"errors"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/kmstest"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
	"github.com/fieldseal/fieldseal/repository"
)

func TestRoundTripKeepsEveryByte(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	n := 0
	for name, b := range fhirtest.Examples(t) {
		if n++; n%5 != 0 {
			continue
		}
		res := parse(t, string(b))
		want := res.AppendJSON(nil)
		st := r.put(r.draft(string(b), nil))
		got, err := r.AppendOpen(nil, st)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes, error %v", name, err)
		}
		tree, err := r.Open(st, field.AllClasses)
		if err != nil || !bytes.Equal(tree.AppendJSON(nil), want) {
			t.Errorf("%s: other tree, error %v", name, err)
		}
	}
}

func TestMovedRecordDoesNotOpen(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	rec := r.put(r.draft(patientJSON, nil)).Record
	other := r.put(r.draft(`{"resourceType":"Patient","id":"p2"}`, nil)).Record
	for _, tc := range []struct {
		attack string
		move   func(*repository.Record)
	}{
		{"another key", func(rec *repository.Record) { rec.Key.ID = other.Key.ID }},
		{"another type", func(rec *repository.Record) { rec.Key.Type = "Person" }},
		{"another version", func(rec *repository.Record) { rec.Version++ }},
		{"another owner", func(rec *repository.Record) { rec.Owner = other.Owner }},
		{"a flipped byte", func(rec *repository.Record) {
			rec.Body = bytes.Clone(rec.Body)
			rec.Body[len(rec.Body)/2] ^= 1
		}},
		{"a cut body", func(rec *repository.Record) { rec.Body = rec.Body[:len(rec.Body)-1] }},
	} {
		moved := rec
		tc.move(&moved)
		st, err := r.Adopt(t.Context(), moved)
		if err == nil {
			_, err = r.AppendOpen(nil, st)
		}
		if err == nil {
			t.Errorf("a record moved to %s opened", tc.attack)
		}
	}
}

func TestForgedBookkeepingIsRefused(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	rec := r.put(r.draft(patientJSON, nil)).Record
	for name, forge := range map[string]func(*repository.Record){
		"deleted": func(rec *repository.Record) { rec.Deleted = true },
		"updated": func(rec *repository.Record) { rec.Updated++ },
	} {
		forged := rec
		forge(&forged)
		if _, err := r.Adopt(t.Context(), forged); !errors.Is(err, field.ErrCorrupt) {
			t.Errorf("forged %s: %v, want ErrCorrupt", name, err)
		}
	}
}

func TestUnknownIDCostsADecoyOpen(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	known := r.put(r.draft(patientJSON, nil)).Record.Key
	cost := func(k repository.Key, want error) int64 {
		before := r.cipher.heads.Load()
		if _, err := r.Load(t.Context(), k); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
		return r.cipher.heads.Load() - before
	}
	if a, b := cost(known, nil), cost(r.Key("Patient", "nobody"), repository.ErrNotFound); a != b || a != 1 {
		t.Errorf("a known id opens %d heads, an unknown one %d; both must open one", a, b)
	}
	before := r.cipher.heads.Load()
	if _, err := r.LoadVersion(t.Context(), known, 9); !errors.Is(err, repository.ErrNotFound) || r.cipher.heads.Load() != before+1 {
		t.Errorf("an unknown version: %v without the decoy", err)
	}
}

func TestLoadOpensNoElement(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.put(r.draft(patientJSON, nil))
	if n := r.cipher.opens.Load(); n != 0 {
		t.Errorf("Load opened %d bodies before a decision", n)
	}
}

func TestErasedOwnerIsErased(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	st := r.put(r.draft(patientJSON, nil))
	for _, step := range []func() error{
		func() error { return r.ring.Fence(t.Context(), st.Record.Owner) },
		func() error { return r.ring.Destroy(t.Context(), st.Record.Owner) },
		func() error { return r.ring.Readmit(t.Context(), st.Record.Owner) }, // old records stay dead
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Load(t.Context(), st.Record.Key); !errors.Is(err, ErrErased) {
			t.Errorf("load: %v, want ErrErased", err)
		}
	}
}

func TestSealForErasedOwnerIsRefused(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	if err := r.ring.Fence(t.Context(), r.PatientOwner("gone")); err != nil {
		t.Fatal(err)
	}
	obs := parse(t, `{"resourceType":"Observation","id":"o","status":"final","subject":{"reference":"Patient/gone"}}`)
	if _, err := r.Seal(t.Context(), obs, nil, 1, false); !errors.Is(err, ErrErased) {
		t.Errorf("sealed for a fenced owner: %v", err)
	}
}

func TestRolledBackKeystoreGetsNoNewKeys(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	kms := kmstest.New()
	r.keys = keyringtest.NewTable()
	r.open(keyringtest.InitRing(t, keyring.Options{Table: r.keys, Wrapper: kms, Holds: r.engine.HoldsOwner}))
	backup := r.keys.Clone()
	key := r.put(r.draft(patientJSON, nil)).Record.Key
	ring, err := keyring.Open(t.Context(), keyring.Options{Table: backup, Wrapper: kms, Holds: r.engine.HoldsOwner})
	if err != nil {
		t.Fatal(err)
	}
	r.open(ring)
	if _, err := r.Load(t.Context(), key); !errors.Is(err, ErrKeysLost) || errors.Is(err, ErrErased) {
		t.Errorf("load: %v, want ErrKeysLost", err)
	}
	if _, err := r.Seal(t.Context(), parse(t, patientJSON), nil, 1, false); !errors.Is(err, ErrKeysLost) {
		t.Errorf("seal: %v, want ErrKeysLost", err)
	}
	if _, err := ring.Owner(t.Context(), r.PatientOwner("p1")); !errors.Is(err, keyring.ErrNoKey) {
		t.Errorf("keys were made beside old records: %v", err)
	}
	r.put(r.draft(`{"resourceType":"Patient","id":"new"}`, nil)) // others go on
}

func TestUnavailableKMSIsNotErased(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	rec := r.put(r.draft(patientJSON, nil)).Record
	r.keys.SetFault(func(keyringtest.Op, []byte) error { return errors.New("disk") })
	rec.Owner[0] ^= 1 // not cached
	if _, err := r.Adopt(t.Context(), rec); !errors.Is(err, keyring.ErrUnavailable) || errors.Is(err, ErrErased) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
}
