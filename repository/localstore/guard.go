package localstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/fieldseal/fieldseal/repository"
)

// guardsKept is how many bumped tokens are remembered: those of some hundred
// large transactions, in about 15 MB.
const guardsKept = 1 << 18

// guards know when a token was last bumped. A guard's revision is the number of
// the last bump of any token at the time it was read. Memory is enough: a guard
// protects the requests that are under way in this process, and only this
// process may have the folder open. The count starts at random, so that a guard
// taken before a restart does not hold after it.
type guards struct {
	now atomic.Uint64

	// What follows belongs to the committer.
	floor uint64 // bumps up to here may be forgotten
	last  map[repository.Token]uint64
	ring  []bumped
	next  int
}

type bumped struct {
	token repository.Token
	at    uint64
}

func newGuards() *guards {
	g := &guards{last: map[repository.Token]uint64{}}
	g.floor = rand.Uint64() >> 1 // #nosec G404 -- a start value that must differ, not be secret
	g.now.Store(g.floor)
	return g
}

// check runs in the committer. A guard that is older than what is remembered
// does not hold: a needless conflict, never a missed one.
func (g *guards) check(expect []repository.Guard) error {
	for _, e := range expect {
		if e.Revision < g.floor || e.Revision > g.now.Load() || g.last[e.Token] > e.Revision {
			return fmt.Errorf("checking guards: %w", repository.ErrConflict)
		}
	}
	return nil
}

// bump runs in the committer after the batch has become visible: who
// reads the new revision then also finds the new records.
func (g *guards) bump(tokens []repository.Token) {
	if len(tokens) == 0 {
		return
	}
	at := g.now.Load() + 1
	for _, t := range tokens {
		g.remember(bumped{t, at})
	}
	g.now.Store(at)
}

func (g *guards) remember(b bumped) {
	g.last[b.token] = b.at
	if len(g.ring) < guardsKept {
		g.ring = append(g.ring, b)
		return
	}
	old := g.ring[g.next]
	if g.last[old.token] == old.at {
		delete(g.last, old.token)
	}
	g.floor = old.at
	g.ring[g.next] = b
	g.next = (g.next + 1) % guardsKept
}

// Guards implements repository.Store.
func (s *Store) Guards(ctx context.Context, tokens []repository.Token) (gs []repository.Guard, err error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave(&err)
	now := s.guards.now.Load()
	gs = make([]repository.Guard, len(tokens))
	for i, t := range tokens {
		gs[i] = repository.Guard{Token: t, Revision: now}
	}
	return gs, nil
}
