package field

import (
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/repository"
)

func newRing(t testing.TB) *keyring.Ring {
	t.Helper()
	return keyringtest.NewRing(t)
}

func ownerKeys(t testing.TB, ring *keyring.Ring, o repository.Owner) *keyring.OwnerKeys {
	t.Helper()
	k, err := ring.EnsureOwner(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var table = sync.OnceValue(func() *Table {
	t, err := DefaultTable(definition.Default())
	if err != nil {
		panic(err)
	}
	return t
})

var testTenant = [16]byte{1, 2, 3}

func newCipher(t testing.TB, s Suite) *Cipher {
	t.Helper()
	c, err := NewCipher(Options{Table: table(), Suite: s, Tenant: testTenant})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func binding(typ string) Binding {
	return Binding{Tenant: testTenant, Type: typ, Key: StorageID{9, 8, 7}, Version: 3}
}
