package app

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/internal/config"
	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// Names of the trail's collection and of the table of leases in a database.
const (
	trailLog    = "trail"
	trailLeases = "leases"
)

// openTrail opens this node's chain: in the database of the data when nodes
// share one, else in the data folder.
func (a *App) openTrail(ctx context.Context) (err error) {
	a.trailKeys = trail.NewRingKeys(a.ring, a.keystore.Table("keys"))
	o := trail.Options{Origin: a.cfg.NodeName(), Keys: a.trailKeys, Witness: a.cfg.Witness, OnFailure: a.trailFailed}
	if a.database != nil {
		if o.Log, err = a.database.Log(ctx, trailLog); err != nil {
			return err
		}
		o.Leases, o.Alone = a.database.Table(trailLeases), true // the register of nodes has seen to it
	} else {
		o.Dir, o.MinFree = a.path("trail"), uint64(a.cfg.AuditMinFree)
	}
	if a.trail, err = trail.Open(ctx, o); err != nil {
		return err
	}
	a.onClose(a.trail.Close)
	if a.node == nil { // else afterRestore
		_, err = a.trailKeys.Sweep(ctx)
	}
	return err
}

// VerifyTrail checks every chain of audit events of a deployment, without keys and
// reading only: in the data folder, or in the database that its nodes share.
func VerifyTrail(ctx context.Context, cfg config.Options) (_ []trail.Report, err error) {
	o := trail.VerifyOptions{Dir: filepath.Join(cfg.Data, "trail"), Witness: cfg.Witness}
	if !cfg.OnMongoDB() {
		return trail.VerifyFolder(ctx, o)
	}
	d := cfg.StoreDatabase()
	log, err := mongostore.OpenLog(mongostore.Options{URI: d.URI, Database: d.Name}, trailLog)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return trail.VerifyLog(ctx, log, o)
}

// trailFailed hears of a failure that no retry mends. A node whose name another
// one has taken ends; one whose disk failed goes on refusing, for its operator
// to see.
func (a *App) trailFailed(err error) {
	a.log.Error("audit trail failed", "error", err.Error())
	if errors.Is(err, trail.ErrLocked) {
		a.fail("audit trail")(err)
	}
}

// orphanEvery is how often a node looks for writes that another one left.
const orphanEvery = 15 * time.Second

// concludeOrphans lets this node, as long as it runs, write the outcome of
// writes that nodes which are gone had begun. A single node has none.
func (a *App) concludeOrphans() {
	if a.database == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	a.onClose(func() error { cancel(); <-done; return nil })
	go func() {
		defer close(done)
		tick := time.NewTicker(orphanEvery)
		defer tick.Stop()
		for failed := false; ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := a.concludeEach(ctx)
			if err != nil && !failed && ctx.Err() == nil {
				a.log.Warn("interrupted writes of another node are not resolved yet", "component", "trail", "error", err.Error())
			}
			failed = err != nil
		}
	}()
}

func (a *App) concludeEach(ctx context.Context) error {
	names, err := a.trail.Orphans(ctx)
	for _, name := range names {
		here, herr := a.node.Here(ctx, name) // what it began may not have ended
		if herr == nil && !here {
			herr = a.conclude(ctx, name)
		}
		err = errors.Join(err, herr)
	}
	return err
}

// conclude takes over the chain of a node that is gone for as long as it takes.
// When the node is back, it resolves its writes itself.
func (a *App) conclude(ctx context.Context, node string) error {
	chain, err := a.trail.Adopt(ctx, node)
	if errors.Is(err, trail.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := a.service.RecoverFrom(ctx, chain)
	if n > 0 {
		a.log.Info("resolved writes that another node left", "node", node, "count", n)
	}
	return errors.Join(err, chain.Close())
}
