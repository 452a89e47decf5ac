package trail

import (
	"errors"
	"testing"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

func TestProveIsAcceptedOffline(t *testing.T) {
	t.Parallel()
	opt := testOptions(t, newFakeKeys())
	tr := mustOpen(t, opt)
	for range 45 {
		mustRecord(t, tr, readEvent(1))
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	tr = mustOpen(t, opt)
	for seq := uint64(1); seq <= 45; seq++ {
		p, err := tr.Prove(seq)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Verify(tr.origin.PublicKey); err != nil {
			t.Fatalf("event %d: %v", seq, err)
		}
		p.Leaf[10] ^= 1
		if err := p.Verify(tr.origin.PublicKey); !errors.Is(err, merkle.ErrProof) {
			t.Fatalf("changed event %d was accepted: %v", seq, err)
		}
	}
	if _, err := tr.Prove(46); !errors.Is(err, ErrNotFound) {
		t.Errorf("event that does not exist: %v", err)
	}
}
