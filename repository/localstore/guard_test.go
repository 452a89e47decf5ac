package localstore

import (
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

// Unrelated tokens never disturb each other, and what is forgotten counts as
// changed.
func TestGuardsAreExactUntilForgotten(t *testing.T) {
	t.Parallel()
	g := newGuards()
	bump := func(from, count int) {
		ts := make([]repository.Token, count)
		for i := range ts {
			ts[i] = repository.Token(from + i)
		}
		g.bump(ts)
	}
	held := []repository.Guard{{Token: -1, Revision: g.now.Load()}}
	bump(0, guardsKept)
	if err := g.check(held); err != nil {
		t.Errorf("%d other tokens broke a guard: %v", guardsKept, err)
	}
	if g.check([]repository.Guard{{Token: 7, Revision: held[0].Revision}}) == nil {
		t.Error("a bumped guard held")
	}
	bump(guardsKept, 1)
	if g.check(held) == nil {
		t.Error("a guard held that is older than what is remembered")
	}
	if g.check([]repository.Guard{{Token: -1, Revision: g.now.Load() + 1}}) == nil {
		t.Error("a guard of another process held")
	}
	if len(g.last) > guardsKept || len(g.ring) > guardsKept {
		t.Errorf("%d tokens, %d bumps kept", len(g.last), len(g.ring))
	}
}
