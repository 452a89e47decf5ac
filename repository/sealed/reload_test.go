package sealed

import (
	"context"
	"fmt"
	"testing"
)

// TestIndexRotationWithTwoNodes: one rotates, the other serves and follows when
// it is told to.
func TestIndexRotationWithTwoNodes(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	a, b := s.mustStart(ProfileStandard), s.mustStart(ProfileStandard)
	s.fill(a, 6)
	s.check(b, 6, true, "on the other node")
	old := a.ring.IndexEpoch()
	rewrite := func(n int) {
		s.put(b, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","identifier":[{"system":"urn:mrn","value":"%d"}],"gender":"male"}`, n, n))
	}
	drains := 0
	a.drain = func(ctx context.Context) error {
		rewrite(drains) // by what it knew
		if err := b.Reload(ctx); err != nil {
			return err
		}
		rewrite(drains + 1) // by what it knows now
		drains++
		s.check(a, 6, true, "while the other node follows")
		s.check(b, 6, true, "on the node that follows")
		return nil
	}
	if err := a.RotateIndex(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]*Vault{"rotated": a, "followed": b} {
		if epochs := v.ring.IndexEpochs(); len(epochs) != 1 || epochs[0].ID != old.ID+1 {
			t.Errorf("%s: %d epochs", name, len(epochs))
		}
		s.check(v, 6, true, name)
		s.noTokensOf(v, old, name)
	}
}

// TestOtherNodeFinishesARotation kills the node that rotates at each step; one
// that ran all the time goes on with it.
func TestOtherNodeFinishesARotation(t *testing.T) {
	t.Parallel()
	base := newShelf(t)
	base.fill(base.mustStart(ProfileStandard), 4)
	old := base.mustStart(ProfileStandard).ring.IndexEpoch()
	for step, killed := 1, true; killed; step++ {
		s := base.clone()
		other := s.mustStart(ProfileStandard)
		killed = s.killedRotation(step, func(ctx context.Context) error { return other.Reload(ctx) })
		at := fmt.Sprintf("step %d", step)
		s.check(other, 4, true, at+", before it goes on")
		s.put(other, `{"resourceType":"Patient","id":"p2","identifier":[{"system":"urn:mrn","value":"2"}],"gender":"male"}`)
		if err := other.RotateIndex(t.Context(), nil); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		s.check(other, 4, true, at+", at the end")
		s.noTokensOf(other, old, at)
		s.check(s.mustStart(ProfileStandard), 4, true, at+", on a node that starts")
	}
}

// TestNodesThatStartTogether write first at the same time.
func TestNodesThatStartTogether(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	a, b := s.mustStart(ProfileStandard), s.mustStart(ProfileStandard)
	s.fill(a, 2)
	s.fill(b, 3)
	s.check(a, 3, true, "on the first")
	s.check(b, 3, true, "on the second")
}
