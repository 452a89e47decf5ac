package mongostore

import (
	"context"
	"errors"
	"fmt"
	"math"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"github.com/fieldseal/fieldseal/repository"
)

// group is a set of batches that are decided together.
type group struct {
	s       *Store
	jobs    []*job
	refused []error // per job: its precondition does not hold
}

// errStale means that a transaction's writes did not find what it had read or
// assumed; it begins again and looks first.
var errStale = errors.New("a precondition of the group failed")

// look says what a transaction reads before it writes. What it does not read it
// assumes: that nothing is there.
type look struct{ guards, records bool }

// commit tries a group without reading more than its batches ask for: ids of
// new resources are new as a rule, and a guard that is only raised may have any
// revision. Where that does not hold, it begins again and looks first.
func (g *group) commit(ctx context.Context) error {
	l := g.needs()
	err := g.attempt(ctx, l)
	for stale := 0; ctx.Err() == nil && stale < 20; {
		switch {
		case errors.Is(err, errBusy):
			if err = g.s.wait(ctx); err != nil {
				return storeError(ctx, "committing", err)
			}
		case errors.Is(err, errStale):
			stale, l = stale+1, look{guards: true, records: true}
		default:
			return storeError(ctx, "committing", err)
		}
		err = g.attempt(ctx, l)
	}
	if errors.Is(err, errStale) {
		return fmt.Errorf("%w: too many others write the same", repository.ErrUnavailable)
	}
	return storeError(ctx, "committing", err)
}

func (g *group) needs() (l look) {
	for _, j := range g.jobs {
		l.guards = l.guards || len(j.batch.Expect) > 0
		for i := range j.batch.Writes {
			l.records = l.records || j.batch.Writes[i].Expect != 0
		}
	}
	return l
}

// attempt is one transaction.
func (g *group) attempt(ctx context.Context, l look) error {
	return g.s.transact(ctx, func(ctx context.Context) error {
		g.refused = make([]error, len(g.jobs))
		st := state{newest: g.s.newest.Load(), oldest: math.MaxInt64}
		if err := st.load(ctx, g, l); err != nil {
			return err
		}
		for i, j := range g.jobs {
			g.refused[i] = st.apply(j)
		}
		if err := st.number(ctx, g.s, g.jobs, g.refused); err != nil {
			return busy(err)
		}
		return st.write(ctx, g.s)
	})
}

// transact runs a function in a transaction until it is committed, and repeats
// both as MongoDB's rules say.
func (s *Store) transact(ctx context.Context, run func(ctx context.Context) error) error {
	session, err := s.client.StartSession()
	if err != nil {
		return err
	}
	defer session.EndSession(context.WithoutCancel(ctx))
	_, err = session.WithTransaction(ctx, func(ctx context.Context) (any, error) {
		if err := s.gate.pass(ctx); err != nil {
			return nil, err
		}
		err := run(ctx)
		if isDuplicate(err) {
			err = errStale // another transaction made the document that this one found absent
		}
		return nil, err
	}, options.Transaction().SetReadConcern(readconcern.Snapshot()))
	return err
}
