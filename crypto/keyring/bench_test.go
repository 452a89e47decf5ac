package keyring_test

import (
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
)

func BenchmarkStorageID(b *testing.B) {
	r := keyringtest.NewRing(b)
	b.ReportAllocs()
	for b.Loop() {
		_ = r.StorageID("Observation", "0123456789abcdef")
	}
}

func BenchmarkDerive(b *testing.B) {
	r := keyringtest.NewRing(b)
	k, err := r.EnsureOwner(b.Context(), owner(1))
	if err != nil {
		b.Fatal(err)
	}
	info := counting(85)
	b.ReportAllocs()
	for b.Loop() {
		c, _ := k.ClassKey(1, 3)
		var d [64]byte
		c.Derive(&d, info)
	}
}

func BenchmarkOwnerWarm(b *testing.B) {
	r := keyringtest.NewRing(b)
	for i := range 1000 {
		if _, err := r.EnsureOwner(b.Context(), owner(i)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			_, _ = r.Owner(b.Context(), owner(i%1000))
		}
	})
}

func BenchmarkOwnerCold(b *testing.B) {
	r := keyringtest.InitRing(b, keyring.Options{OwnerCache: 16})
	for i := range 1000 {
		if _, err := r.EnsureOwner(b.Context(), owner(i)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, _ = r.Owner(b.Context(), owner(i%1000))
	}
}
