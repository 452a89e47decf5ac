package sealed

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/repository"
)

// reindexPage is how many records get their tokens in one commit. A kill
// repeats at most so many.
const reindexPage = 256

// ErrNoIndexer means that the engine cannot rebuild its index.
var ErrNoIndexer = errors.New("the storage engine cannot rebuild its index")

// Progress hears how many records have their tokens. total is 0 when it is not
// known.
type Progress func(done, total int)

// Reindex gives every record new tokens, as after a doubt about the index.
// Requests go on, and searches stay complete: what has tokens keeps them until
// it has new ones. When a pass over everything is under way it is finished
// instead.
//
// Reindex, ResumeIndex and RotateIndex may be killed at any step and run one at
// a time, of all nodes too: the caller sees to that. What was begun is finished by ResumeIndex, also after a restart. An
// unreadable record stops them, for what it is found by is unknown.
func (v *Vault) Reindex(ctx context.Context, progress Progress) error {
	v.indexing.Lock()
	defer v.indexing.Unlock()
	if err := v.begin(ctx); err != nil {
		return err
	}
	if !v.state.All {
		v.state.restart(v.state.Next, v.catalog.Registry().ResourceTypes())
		if err := v.saveState(ctx); err != nil {
			return err
		}
	}
	return v.pass(ctx, progress)
}

// ResumeIndex finishes what is left to do: a rebuild or rotation that was
// interrupted, or one that a changed policy asks for. When there is nothing it
// returns at once.
func (v *Vault) ResumeIndex(ctx context.Context, progress Progress) error {
	v.indexing.Lock()
	defer v.indexing.Unlock()
	if err := v.begin(ctx); err != nil {
		return err
	}
	return v.pass(ctx, progress)
}

// RotateIndex replaces the index epoch: a new key, new tokens under it for
// every record, and then the old key is destroyed. When a rotation is under way
// it is finished instead.
func (v *Vault) RotateIndex(ctx context.Context, progress Progress) error {
	v.indexing.Lock()
	defer v.indexing.Unlock()
	if len(v.ring.IndexEpochs()) == 1 {
		if _, err := v.ring.NewIndexEpoch(ctx); err != nil {
			return err
		}
	}
	if err := v.begin(ctx); err != nil {
		return err
	}
	return v.pass(ctx, progress)
}

// begin takes over what another node left: its progress, and an epoch that is
// newer than the one that is written.
func (v *Vault) begin(ctx context.Context) error {
	if err := v.reload(ctx); err != nil {
		return err
	}
	if err := v.settle(ctx); err != nil {
		return err
	}
	return v.catchUp(ctx)
}

// catchUp makes new tokens come from the newest epoch. Every request, on every
// node, must ask under both before the first one writes under the new one only;
// and every write under the old one must be committed before the pass begins,
// which goes over each record once.
func (v *Vault) catchUp(ctx context.Context) error {
	epochs := v.ring.IndexEpochs()
	newest := epochs[len(epochs)-1].ID
	if v.state.Next == newest {
		return nil
	}
	v.takeEpochs(v.state.Next)
	if err := v.everywhere(ctx); err != nil {
		return err
	}
	v.state.restart(newest, v.catalog.Registry().ResourceTypes())
	if err := v.saveState(ctx); err != nil {
		return err
	}
	v.takeEpochs(newest)
	return nil
}

// everywhere returns when every request under way follows the saved state.
func (v *Vault) everywhere(ctx context.Context) error {
	if v.drain == nil {
		return nil
	}
	if err := v.drain(ctx); err != nil {
		return fmt.Errorf("waiting for requests in flight: %w", err)
	}
	return nil
}

// pass rebuilds the types that are left, and then drops the epochs that
// nothing needs any more.
func (v *Vault) pass(ctx context.Context, progress Progress) error {
	r := rebuild{v: v, progress: progress}
	if err := r.begin(ctx); err != nil {
		return err
	}
	if len(v.state.Todo) > 0 {
		if err := v.everywhere(ctx); err != nil {
			return err
		}
	}
	for len(v.state.Todo) > 0 {
		typ := v.state.Todo[0]
		before := r.done
		if err := r.records(ctx, typ); err != nil {
			return fmt.Errorf("indexing %s: %w", typ, err)
		}
		v.state.Ready[typ] = v.ruleDigest(typ)
		v.state.Todo, v.state.Cursor, v.state.Aim = v.state.Todo[1:], nil, ""
		if r.done == before {
			continue // to find that out again costs less than to save it
		}
		if err := v.saveState(ctx); err != nil {
			return err
		}
		v.takeEpochs(v.state.Next)
	}
	return v.finish(ctx)
}

func (v *Vault) finish(ctx context.Context) error {
	v.state.Epoch, v.state.All = v.state.Next, false
	if err := v.saveState(ctx); err != nil {
		return err
	}
	v.takeEpochs(v.state.Epoch)
	if len(v.ring.IndexEpochs()) == 1 {
		return nil
	}
	if err := v.ring.DropIndexEpochs(ctx, v.state.Epoch); err != nil {
		return err
	}
	v.takeEpochs(v.state.Epoch)
	return v.everywhere(ctx) // nobody has the old key any more
}

// rebuild is one pass.
type rebuild struct {
	v           *Vault
	engine      repository.Indexer
	progress    Progress
	done, total int
}

func (r *rebuild) begin(ctx context.Context) error {
	if len(r.v.state.Todo) == 0 {
		return nil
	}
	var ok bool
	if r.engine, ok = r.v.store.(repository.Indexer); !ok {
		return ErrNoIndexer
	}
	if r.progress == nil {
		r.progress = func(int, int) {}
	}
	counter, ok := r.v.store.(repository.Counter)
	for _, typ := range r.v.state.Todo {
		if !ok {
			break
		}
		n, err := counter.Count(ctx, repository.Query{Type: typ}, maxCount)
		if err != nil {
			return fmt.Errorf("counting records: %w", err)
		}
		r.total += n
	}
	return nil
}

// maxCount bounds what is counted for people.
const maxCount = 1 << 30

// records gives every record of a type, from the cursor on, its tokens.
func (r *rebuild) records(ctx context.Context, typ string) error {
	st := &r.v.state
	if aim := r.v.ruleDigest(typ); st.Aim != aim {
		st.Cursor, st.Aim = nil, aim
	}
	for {
		page, err := r.v.store.Find(ctx, repository.Query{Type: typ, After: repository.Cursor(st.Cursor), Limit: r.v.rebuildPage})
		if err != nil {
			return err
		}
		batch := make([]repository.Retoken, 0, len(page.Records))
		for _, rec := range page.Records {
			tokens, err := r.v.recordTokens(ctx, rec)
			if err != nil {
				return fmt.Errorf("record %v: %w", rec.Key, err)
			}
			batch = append(batch, repository.Retoken{Key: rec.Key, Version: rec.Version, Tokens: tokens})
		}
		if len(batch) > 0 {
			if _, err := r.engine.Retoken(ctx, batch); err != nil {
				return err
			}
		}
		r.done += len(batch)
		r.progress(r.done, max(r.total, r.done))
		if page.Next == "" {
			return nil
		}
		st.Cursor = []byte(page.Next)
		if err := r.v.saveState(ctx); err != nil {
			return err
		}
	}
}

// recordTokens are the tokens that a stored record should have: none when its
// owner was erased.
func (v *Vault) recordTokens(ctx context.Context, rec repository.Record) ([]repository.Token, error) {
	s, err := v.Adopt(ctx, rec)
	if errors.Is(err, ErrErased) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tree, err := v.Open(s, field.AllClasses)
	if err != nil {
		return nil, err
	}
	return v.resourceTokens(tree, s.keys, s.Head.Patients), nil
}
