package keyring_test

import (
	"context"
	"errors"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/kmstest"
	"github.com/fieldseal/fieldseal/repository"
)

// orphan leaves a row under KEK version 1 after version 1 was dropped: its
// creator read the tenant row, a rotation ran from end to end, and the creator
// died after it had written the row and before it looked again.
func orphan(t *testing.T, held bool) (*keyring.Ring, repository.Owner) {
	t.Helper()
	table := keyringtest.NewTable()
	holds := func(context.Context, repository.Owner) (bool, error) { return held, nil }
	kms := kmstest.New()
	r := keyringtest.InitRing(t, keyring.Options{Table: table, Wrapper: kms, Holds: func(context.Context, repository.Owner) (bool, error) { return false, nil }})
	o := owner(1)
	if _, err := r.EnsureOwner(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	var left repository.Row
	for row, err := range table.Scan(t.Context(), []byte("owner/")) {
		if err != nil {
			t.Fatal(err)
		}
		left = row
	}
	if left.Key == nil {
		t.Fatal("no owner row")
	}
	if err := r.RotateKEK(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	now, err := table.Get(t.Context(), left.Key)
	if err == nil {
		_, err = table.PutIf(t.Context(), left.Key, left.Value, now.Revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	again, err := keyring.Open(t.Context(), keyring.Options{Table: table, Wrapper: kms, Holds: holds})
	if err != nil {
		t.Fatal(err)
	}
	return again, o
}

// TestCreatorThatDiedDuringARotationBlocksNothing: keys that sealed nothing
// stop neither the next rotation nor the owner.
func TestCreatorThatDiedDuringARotationBlocksNothing(t *testing.T) {
	t.Parallel()
	r, _ := orphan(t, false)
	if err := r.RotateKEK(t.Context(), nil); err != nil {
		t.Errorf("rotating: %v", err)
	}
	r, o := orphan(t, false)
	if _, err := r.EnsureOwner(t.Context(), o); err != nil {
		t.Errorf("keys for the owner: %v", err)
	}
}

// TestRowWithoutItsKEKIsKeptWhereRecordsExist: with records it is a keystore
// that is not of one piece, and nothing of it may be thrown away.
func TestRowWithoutItsKEKIsKeptWhereRecordsExist(t *testing.T) {
	t.Parallel()
	r, o := orphan(t, true)
	if err := r.RotateKEK(t.Context(), nil); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("rotating: %v", err)
	}
	if _, err := r.EnsureOwner(t.Context(), o); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("keys for the owner: %v", err)
	}
}
