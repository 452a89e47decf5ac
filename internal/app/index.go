package app

import (
	"context"
	"errors"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/internal/adminapi"
	"github.com/fieldseal/fieldseal/internal/node"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Reindex implements adminapi.Backend.
func (a *App) Reindex(ctx context.Context, progress func(adminapi.Progress)) error {
	return a.recorded(ctx, "index-rebuild", func() error {
		return a.inTurn(ctx, workIndex, func(ctx context.Context) error {
			return a.vault.Reindex(ctx, indexProgress("indexing", progress))
		})
	})
}

// RotateIndex implements adminapi.Backend.
func (a *App) RotateIndex(ctx context.Context, progress func(adminapi.Progress)) error {
	return a.recorded(ctx, "index-rotate", func() error {
		err := a.inTurn(ctx, workIndex, func(ctx context.Context) error {
			return a.vault.RotateIndex(ctx, indexProgress("indexing under the new key", progress))
		})
		if err != nil {
			return err
		}
		return a.scrub(ctx) // what was overwritten leaves the files too
	})
}

func indexProgress(step string, progress func(adminapi.Progress)) sealed.Progress {
	return func(done, total int) { progress(adminapi.Progress{Step: step, Done: done, Total: total}) }
}

// recorded runs long work between two audit events: that it began, durable
// before it does, and how it ended.
func (a *App) recorded(ctx context.Context, subtype string, work func() error) error {
	ev := a.operatorEvent(audit.Security, subtype, audit.Execute)
	started := ev
	started.Reason = "started"
	if err := a.record(ctx, started); err != nil {
		return err
	}
	err := work()
	if err != nil {
		ev.Outcome, ev.Reason = audit.SeriousFailure, "interrupted"
	}
	return errors.Join(err, a.record(context.WithoutCancel(ctx), ev))
}

// resumeEvery is how often the index is looked at for work that was left.
const resumeEvery = time.Minute

// tendIndex owns the goroutine that finishes what is left to do on the index:
// after a change of its policy, a restore, or a rebuild that was cut short. stop
// ends it and waits.
func (a *App) tendIndex(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(resumeEvery)
		defer tick.Stop()
		for {
			a.resumeIndex(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			case <-a.indexWake:
			}
		}
	}()
	return func() { cancel(); <-done }
}

// wakeIndex has the index looked at now.
func (a *App) wakeIndex() {
	select {
	case a.indexWake <- struct{}{}:
	default:
	}
}

func (a *App) resumeIndex(ctx context.Context) {
	last := 0
	if a.vault.Building() {
		a.log.Info("the index is being rebuilt; searches that it cannot answer yet look at every resource")
	}
	err := a.peers.Alone(ctx, workIndex, func(ctx context.Context) error {
		epochs := len(a.ring.IndexEpochs())
		err := a.vault.ResumeIndex(ctx, func(done, _ int) { last = done })
		if err == nil && epochs > 1 && len(a.ring.IndexEpochs()) == 1 {
			err = a.scrub(ctx)
		}
		return err
	})
	if errors.Is(err, node.ErrBusy) { // another node does it: see how far it is
		err = a.vault.Reload(ctx)
	}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		a.log.Warn("rebuilding the index failed and is tried again", "error", err.Error())
	case last > 0:
		a.log.Info("the index is complete", "count", last)
	}
}
