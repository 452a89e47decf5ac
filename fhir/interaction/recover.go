package interaction

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/repository"
)

// Recover resolves the intents that a crash left without an outcome (decision
// 33): it asks the store whether the intended versions are there and writes
// the outcome. It must run before the service takes requests and reports how
// many intents it resolved.
func (s *Service) Recover(ctx context.Context) (int, error) {
	return s.RecoverFrom(ctx, struct {
		Trail
		audit.Recorder
	}{s.Trail, s.Recorder})
}

// Chain is the chain of audit events of one node.
type Chain interface {
	OpenIntents(ctx context.Context) ([]audit.Entry, error)
	Record(ctx context.Context, e audit.Event) (audit.Receipt, error)
}

// RecoverFrom does the same for a node that is gone, in that node's chain: the
// store, which all nodes share, tells what became of the writes it had begun.
func (s *Service) RecoverFrom(ctx context.Context, c Chain) (int, error) {
	open, err := c.OpenIntents(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading open intents: %w", err)
	}
	for _, e := range open {
		ev := e.Event
		ev.IntentSeq = e.Seq
		ev.Outcome, ev.Reason = s.fate(ctx, e.Entities)
		if _, err := c.Record(ctx, ev); err != nil {
			return 0, err
		}
	}
	return len(open), nil
}

// fate tells what became of a batch: a batch is atomic, so that one version
// decides for all.
func (s *Service) fate(ctx context.Context, entities []audit.Entity) (audit.Outcome, string) {
	for _, e := range entities {
		if e.Erased || e.ContentHash == ([sha256.Size]byte{}) { // a stream of reads: its chunks have events of their own
			continue
		}
		key := repository.Key{Type: e.Type, ID: e.Key}
		rec, err := s.Store.GetVersion(ctx, key, repository.Version(e.Expect+1))
		switch {
		case errors.Is(err, repository.ErrNotFound):
			return audit.SeriousFailure, "not-committed"
		case err != nil:
			return audit.Unknown, "store-unreadable"
		case sha256.Sum256(rec.Body) == e.ContentHash:
			return audit.Success, "recovered"
		}
		return audit.SeriousFailure, "superseded"
	}
	return audit.Unknown, "nothing-to-compare"
}
