package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// Announce begins a round without waiting for it.
func (r *Register) Announce(ctx context.Context) (round uint64, err error) {
	for {
		row, err := r.opts.Table.Get(ctx, []byte(roundKey))
		if errors.Is(err, repository.ErrNotFound) {
			row, err = repository.Row{Value: make([]byte, 8)}, nil
		}
		if err != nil {
			return 0, fmt.Errorf("beginning a round: %w", err)
		}
		n, err := parseRound(row.Value)
		if err != nil {
			return 0, err
		}
		_, err = r.opts.Table.PutIf(ctx, []byte(roundKey), binary.BigEndian.AppendUint64(nil, n+1), row.Revision)
		if err == nil {
			r.Nudge()
			return n + 1, nil
		}
		if !errors.Is(err, repository.ErrConflict) {
			return 0, fmt.Errorf("beginning a round: %w", err)
		}
	}
}

// Barrier begins a round and returns when every node, this one too, has taken
// over what was stored before and ended the requests that began before, or is
// dead. With living nodes it takes a few beats.
func (r *Register) Barrier(ctx context.Context) error {
	round, err := r.Announce(ctx)
	if err != nil {
		return err
	}
	for {
		if !r.Valid() {
			return ErrLapsed
		}
		s, err := read(ctx, r.opts.Table)
		if err != nil {
			return err
		}
		behind := false
		for _, o := range s.nodes {
			behind = behind || o.Round < round
		}
		if !behind {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.opts.Beat / 4):
		}
	}
}

// Alone runs work that only one node may do at a time, under a name. ErrBusy:
// another node, or another call here, does it. The work's context ends when
// this node lapses; a node that died is followed by whoever tries next, once it
// counts as dead.
func (r *Register) Alone(ctx context.Context, name string, work func(ctx context.Context) error) error {
	r.mu.Lock()
	valid, term := r.validLocked(), r.term
	busy := r.held[name]
	if valid && !busy {
		r.held[name] = true
	}
	r.mu.Unlock()
	switch {
	case !valid:
		return ErrLapsed
	case busy:
		return fmt.Errorf("%w on this node", ErrBusy)
	}
	defer func() {
		r.mu.Lock()
		delete(r.held, name)
		r.mu.Unlock()
	}()
	revision, err := r.take(ctx, name)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.opts.Validity)
		defer cancel()
		// A lease that stays is taken again by this node, or ends with its row.
		_ = r.opts.Table.DeleteIf(ctx, []byte(leasePrefix+name), revision)
	}()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(term, func() { cancel(ErrLapsed) })()
	return work(ctx)
}

// take writes the lease's row unless a living node holds it.
func (r *Register) take(ctx context.Context, name string) (revision uint64, err error) {
	key := []byte(leasePrefix + name)
	value, err := json.Marshal(leaseRow{r.opts.Name, r.instance})
	if err != nil {
		return 0, err
	}
	for {
		row, err := r.opts.Table.Get(ctx, key)
		if err != nil && !errors.Is(err, repository.ErrNotFound) {
			return 0, fmt.Errorf("taking a lease: %w", err)
		}
		if err == nil {
			var holder leaseRow
			if err := json.Unmarshal(row.Value, &holder); err != nil {
				return 0, fmt.Errorf("the row of a lease: %w", repository.ErrCorrupt)
			}
			living, err := r.living(ctx, holder)
			if err != nil {
				return 0, err
			}
			if living {
				return 0, fmt.Errorf("%w on node %s", ErrBusy, holder.Node)
			}
		}
		if revision, err = r.opts.Table.PutIf(ctx, key, value, row.Revision); !errors.Is(err, repository.ErrConflict) {
			return revision, err
		}
	}
}

// living reports whether the process that holds a lease is another one and has
// its row.
func (r *Register) living(ctx context.Context, holder leaseRow) (bool, error) {
	if holder.Instance == r.instance {
		return false, nil // left over by this process, which does not hold it
	}
	row, err := r.opts.Table.Get(ctx, nodeKey(holder.Node))
	if errors.Is(err, repository.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the holder of a lease: %w", err)
	}
	var found nodeRow
	if err := json.Unmarshal(row.Value, &found); err != nil {
		return false, fmt.Errorf("the row of a node: %w", repository.ErrCorrupt)
	}
	return found.Instance == holder.Instance, nil
}

// Here reports whether a node of the name is there, or has not counted as dead
// for long enough that what it began has certainly ended.
func (r *Register) Here(ctx context.Context, name string) (bool, error) {
	_, err := r.opts.Table.Get(ctx, nodeKey(name))
	if errors.Is(err, repository.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
