package keyring_test

import (
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/kmstest"
)

// twoNodes are two rings on one keystore, both with warm keys.
func twoNodes(t *testing.T, owners int) (a, b *keyring.Ring, kms *kmstest.KMS) {
	t.Helper()
	kms = kmstest.New()
	o := keyring.Options{Table: keyringtest.NewTable(), Wrapper: kms}
	a = keyringtest.InitRing(t, o)
	b, err := keyring.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ensure(t, a, owners)
	for i := range owners {
		mustOwner(t, b, owner(i))
	}
	return a, b, kms
}

func TestErasureOnAnotherNodeReachesWarmKeys(t *testing.T) {
	t.Parallel()
	a, b, kms := twoNodes(t, 2)
	if err := a.Fence(t.Context(), owner(0)); err != nil {
		t.Fatal(err)
	}
	mustOwner(t, b, owner(0)) // it has not heard yet
	kms.SetDown(true)
	b.Forget()
	if err := b.Reload(t.Context()); err != nil {
		t.Fatal("an erasure must not need the KMS: ", err)
	}
	checkErased(t, "once it has", b, owner(0))
	mustOwner(t, b, owner(1))
}

func TestReloadTakesOverEpochsAndKEKs(t *testing.T) {
	t.Parallel()
	a, b, _ := twoNodes(t, 3)
	made, err := a.NewIndexEpoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reload := func() {
		t.Helper()
		if err := b.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	reload()
	if got := b.IndexEpochs(); len(got) != 2 || got[1].ID != made.ID || !got[1].Key.Equal(made.Key) {
		t.Fatalf("%d epochs after the reload", len(got))
	}
	if err := a.DropIndexEpochs(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if err := a.RotateKEK(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	reload()
	if got := b.IndexEpochs(); len(got) != 1 || got[0].ID != made.ID {
		t.Fatalf("%d epochs after the old one was destroyed", len(got))
	}
	for i := range 3 {
		mustOwner(t, b, owner(i))
	}
	ensure(t, b, 5)
	if _, err := b.CurrentAuditEpoch(t.Context()); err != nil {
		t.Error(err)
	}
}
