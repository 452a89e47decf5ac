package app

import (
	"context"
	"errors"
	"time"

	"github.com/fieldseal/fieldseal/internal/node"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// peers is what a node does together with the others on its database.
type peers interface {
	// Barrier returns when every node follows what is stored, and every request
	// that began before has ended.
	Barrier(ctx context.Context) error
	// Alone runs work that one node does at a time; node.ErrBusy: another does.
	Alone(ctx context.Context, name string, work func(ctx context.Context) error) error
}

// nodesTable is the register of nodes.
const nodesTable = "nodes"

// Names of work that one node does at a time.
const (
	workIndex = "index"
	workKeys  = "keys"
	workDemo  = "demo"
	workSweep = "sweep"
)

// sole is the one node of an embedded engine.
type sole struct{ flight *inFlight }

func (s sole) Barrier(ctx context.Context) error { return s.flight.drain(ctx) }

func (sole) Alone(ctx context.Context, _ string, work func(context.Context) error) error {
	return work(ctx)
}

// turnEvery is how often a command looks whether its turn has come.
const turnEvery = 250 * time.Millisecond

// inTurn runs an operator's work that one node does at a time. What is under way
// is waited for, as on an embedded engine: another command, what a killed node
// left until it counts as dead, or the regular look of any node at its index.
func (a *App) inTurn(ctx context.Context, name string, work func(context.Context) error) error {
	for {
		err := a.peers.Alone(ctx, name, work)
		if !errors.Is(err, node.ErrBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(turnEvery):
		}
	}
}

// join enters this node among those on the database, before anything is read
// from it that others may change.
func (a *App) join(ctx context.Context, s *mongostore.Store) error {
	r, err := node.Join(ctx, node.Options{Table: s.Table(nodesTable), Name: a.cfg.NodeName(), Folder: a.cfg.Data,
		Rules: sealed.RuleDigest(a.catalog, a.indexPolicy), Longest: mongostore.DefaultTimeout,
		Lost: a.fail("node"), Trouble: a.trouble("node"),
		Departed: func(name string) {
			a.log.Warn("a node is dead", "component", "node", "node", name)
			a.wakeIndex() // it may have left work
		}})
	if err != nil {
		return err
	}
	a.onClose(r.Leave)
	a.node, a.peers = r, r
	s.OnReach(nudge(r))
	return nil
}

// replayWait is how long a repeated request waits for the first one's answer from
// another node. It is longer than a transaction takes, and what a request that
// is repeated after a crash waits in vain.
const replayWait = 5 * time.Second

func (a *App) replayWait() time.Duration {
	if a.node == nil {
		return 0
	}
	return replayWait
}

// forget drops what another node may destroy while this one cannot hear of it.
func (a *App) forget() {
	a.ring.Forget()
	a.trailKeys.Forget()
}

// follow takes over what other nodes changed: keys that were fenced, destroyed
// or made, epochs and the state of the index. Then it waits for the requests
// that began before.
func (a *App) follow(ctx context.Context) error {
	a.forget()
	if err := a.vault.Reload(ctx); err != nil {
		return err
	}
	return a.flight.drain(ctx)
}

// fenced refuses operations while this node may not work: others may go by what
// it has not heard of. What it began before counts as under way for as long as
// an operation lasts (internal/node).
type fenced struct {
	engine
	database repository.Gatherer // the same
	valid    func() bool
}

// errFenced is a state of this node that passes.
var errFenced = errors.Join(repository.ErrUnavailable, node.ErrLapsed)

func (f fenced) fence() error {
	if !f.valid() {
		return errFenced
	}
	return nil
}

func (f fenced) Get(ctx context.Context, k repository.Key) (repository.Record, error) {
	if err := f.fence(); err != nil {
		return repository.Record{}, err
	}
	return f.engine.Get(ctx, k)
}

func (f fenced) GetVersion(ctx context.Context, k repository.Key, v repository.Version) (repository.Record, error) {
	if err := f.fence(); err != nil {
		return repository.Record{}, err
	}
	return f.engine.GetVersion(ctx, k, v)
}

// Gather implements repository.Gatherer, as the engine below does.
func (f fenced) Gather(ctx context.Context, wanted []repository.Wanted) ([]repository.Record, error) {
	if err := f.fence(); err != nil {
		return nil, err
	}
	return f.database.Gather(ctx, wanted)
}

func (f fenced) Find(ctx context.Context, q repository.Query) (repository.Page, error) {
	if err := f.fence(); err != nil {
		return repository.Page{}, err
	}
	return f.engine.Find(ctx, q)
}

func (f fenced) Count(ctx context.Context, q repository.Query, most int) (int, error) {
	if err := f.fence(); err != nil {
		return 0, err
	}
	return f.engine.Count(ctx, q, most)
}

func (f fenced) History(ctx context.Context, r repository.HistoryRange) (repository.Page, error) {
	if err := f.fence(); err != nil {
		return repository.Page{}, err
	}
	return f.engine.History(ctx, r)
}

func (f fenced) Commit(ctx context.Context, b repository.Batch) (repository.Seq, error) {
	if err := f.fence(); err != nil {
		return "", err
	}
	return f.engine.Commit(ctx, b)
}

func (f fenced) Retoken(ctx context.Context, rs []repository.Retoken) (int, error) {
	if err := f.fence(); err != nil {
		return 0, err
	}
	return f.engine.Retoken(ctx, rs)
}

func (f fenced) PurgeOwner(ctx context.Context, o repository.Owner, limit int) (int, bool, error) {
	if err := f.fence(); err != nil {
		return 0, false, err
	}
	return f.engine.PurgeOwner(ctx, o, limit)
}
