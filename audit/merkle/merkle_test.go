package merkle

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
)

func leaves(n int) []Hash {
	out := make([]Hash, n)
	for i := range out {
		out[i] = Leaf(binary.BigEndian.AppendUint64(nil, uint64(i)))
	}
	return out
}

func slices(hs []Hash) [][]byte {
	var out [][]byte
	for i := range hs {
		out = append(out, hs[i][:])
	}
	return out
}

// RFC 6962 §2.1: hashes agree with two independent implementations.
func TestHashesAgreeWithIndependentImplementations(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 5, 126, 127, 128, 1000} {
		data := make([]byte, n)
		h := Leaf(data)
		if string(h[:]) != string(rfc6962.DefaultHasher.HashLeaf(data)) || tlog.Hash(h) != tlog.RecordHash(data) {
			t.Errorf("leaf of %d bytes differs", n)
		}
	}
	e := Empty()
	if string(e[:]) != string(rfc6962.DefaultHasher.EmptyRoot()) {
		t.Error("empty root differs")
	}
}

func TestProofsVerifyWithIndependentVerifier(t *testing.T) {
	t.Parallel()
	all := leaves(67)
	var r Range
	for size := uint64(1); size <= uint64(len(all)); size++ {
		r.Append(all[size-1])
		root := r.Root()
		for i := uint64(0); i < size; i++ {
			p, err := Proof(Leaves(all[:size]), i, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, i, size, all[i][:], slices(p), root[:]); err != nil {
				t.Fatalf("size %d index %d: %v", size, i, err)
			}
			if err := Verify(all[i], i, size, p, root); err != nil {
				t.Fatalf("size %d index %d: %v", size, i, err)
			}
		}
	}
}

func TestForgedProofIsRefused(t *testing.T) {
	t.Parallel()
	all := leaves(21)
	root := RootOf(all)
	p, err := Proof(Leaves(all), 7, 21)
	if err != nil {
		t.Fatal(err)
	}
	bad := append([]Hash(nil), p...)
	bad[1][3] ^= 1
	for name, err := range map[string]error{
		"flipped sibling": Verify(all[7], 7, 21, bad, root),
		"other leaf":      Verify(all[8], 7, 21, p, root),
		"other index":     Verify(all[7], 6, 21, p, root),
		"shortened":       Verify(all[7], 7, 21, p[:len(p)-1], root),
		"lengthened":      Verify(all[7], 7, 21, append(p[:len(p):len(p)], Hash{}), root),
		"other root":      Verify(all[7], 7, 21, p, Empty()),
	} {
		if !errors.Is(err, ErrProof) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := Verify(all[7], 21, 21, p, root); !errors.Is(err, ErrRange) {
		t.Errorf("index outside the tree: got %v", err)
	}
}

func TestSubtreesGiveTheSameRoot(t *testing.T) {
	t.Parallel()
	all := leaves(8*5 + 3)
	var r Range
	for i := 0; i+8 <= len(all); i += 8 {
		if err := r.AppendSubtree(RootOf(all[i:i+8]), 3); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range all[40:] {
		r.Append(l)
	}
	if r.Root() != RootOf(all) || r.Len() != uint64(len(all)) {
		t.Error("root over subtrees differs from root over leaves")
	}
	if err := r.AppendSubtree(Hash{}, 3); !errors.Is(err, ErrRange) {
		t.Errorf("unaligned subtree: got %v", err)
	}
}

func BenchmarkAppend(b *testing.B) {
	var r Range
	l := leaves(1)[0]
	b.ReportAllocs()
	for b.Loop() {
		r.Append(l)
	}
}
