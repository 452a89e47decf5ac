package localstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/fieldseal/fieldseal/repository"
)

// guards are revision counters in memory, many tokens on one stripe. Memory is
// enough: a guard protects the requests that are under way in this process,
// and only this process may have the folder open. Counters start at random, so
// that a guard taken before a restart does not hold after it.
type guards struct{ stripes [8192]atomic.Uint64 }

func newGuards() *guards {
	g := new(guards)
	for i := range g.stripes {
		g.stripes[i].Store(rand.Uint64()) // #nosec G404 -- a start value that must differ, not be secret
	}
	return g
}

func (g *guards) of(t repository.Token) *atomic.Uint64 {
	h := uint64(t) * 0x9E3779B97F4A7C15 // tokens are random, but need not be
	return &g.stripes[h>>51]
}

// check runs in the committer.
func (g *guards) check(expect []repository.Guard) error {
	for _, e := range expect {
		if g.of(e.Token).Load() != e.Revision {
			return fmt.Errorf("checking guards: %w", repository.ErrConflict)
		}
	}
	return nil
}

// bump runs in the committer after the batch has become visible: who
// reads the new revision then also finds the new records.
func (g *guards) bump(tokens []repository.Token) {
	for _, t := range tokens {
		g.of(t).Add(1)
	}
}

// Guards implements repository.Store.
func (s *Store) Guards(ctx context.Context, tokens []repository.Token) (gs []repository.Guard, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave(&err)
	gs = make([]repository.Guard, len(tokens))
	for i, t := range tokens {
		gs[i] = repository.Guard{Token: t, Revision: s.guards.of(t).Load()}
	}
	return gs, nil
}
