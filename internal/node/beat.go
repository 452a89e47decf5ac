package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// sighting is a row of another node and since when it has not changed, by our
// clock.
type sighting struct {
	revision uint64
	since    time.Time
}

// beat looks, renews and follows until the node leaves.
func (r *Register) beat(ctx context.Context) {
	tick := time.NewTicker(r.opts.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.wake:
		}
		once, cancel := context.WithTimeout(ctx, r.opts.Validity)
		r.told(ctx, &r.beatFailed, r.pulse(once))
		cancel()
		r.mayFollow(ctx)
	}
}

// told reports a failure that is not one in a row of failures.
func (r *Register) told(ctx context.Context, failed *bool, err error) {
	r.mu.Lock()
	news := err != nil && !*failed
	*failed = err != nil
	r.mu.Unlock()
	if news && ctx.Err() == nil {
		r.opts.Trouble(err)
	}
}

// pulse is one look at the table and one renewal.
func (r *Register) pulse(ctx context.Context) error {
	began := time.Now()
	s, err := read(ctx, r.opts.Table)
	if err != nil {
		clear(r.seen) // what was not looked at may have changed meanwhile
		return err
	}
	r.mu.Lock()
	r.round = s.round
	revision := r.revision
	r.mu.Unlock()
	r.sight(ctx, s, time.Now())
	err = r.put(ctx, began, revision)
	if errors.Is(err, repository.ErrConflict) {
		return r.reclaim(ctx)
	}
	if err == nil {
		r.lapse.Reset(r.opts.Validity - time.Since(began))
	}
	return err
}

// reclaim finds out why the own row is not what was written last: a renewal
// whose outcome was unknown, a removal because nothing was heard of this node,
// or another process under its name.
func (r *Register) reclaim(ctx context.Context) error {
	row, err := r.opts.Table.Get(ctx, nodeKey(r.opts.Name))
	if errors.Is(err, repository.ErrNotFound) {
		r.mu.Lock()
		r.revision = 0
		r.mu.Unlock()
		r.end(true)
		return fmt.Errorf("%w: it was taken for dead and enters again", ErrLapsed)
	}
	if err != nil {
		return err
	}
	var found nodeRow
	if err := json.Unmarshal(row.Value, &found); err != nil {
		return fmt.Errorf("the row of this node: %w", repository.ErrCorrupt)
	}
	if found.Instance != r.instance {
		r.end(true)
		r.opts.Lost(ErrTaken)
		return ErrTaken
	}
	r.mu.Lock()
	r.revision = row.Revision
	r.mu.Unlock()
	r.Nudge()
	return nil
}

// sight keeps account of the other rows and removes those of the dead. Only the
// goroutine that beats calls it, or Join before there is one.
func (r *Register) sight(ctx context.Context, s snapshot, now time.Time) {
	for name := range r.seen {
		if _, ok := s.nodes[name]; !ok {
			delete(r.seen, name)
		}
	}
	for name, o := range s.nodes {
		old, known := r.seen[name]
		switch {
		case o.Instance == r.instance:
		case !known || old.revision != o.revision:
			r.seen[name] = sighting{o.revision, now}
		case now.Sub(old.since) >= r.opts.dead():
			if r.opts.Table.DeleteIf(ctx, nodeKey(name), o.revision) == nil {
				delete(r.seen, name)
				r.opts.Departed(name)
			}
		}
	}
}

// onLapse is called when the row was not renewed in time.
func (r *Register) onLapse() { r.end(false) }

// end takes the node's right to work until it has taken over everything anew,
// unless the row was renewed at the last moment and nothing else is wrong.
func (r *Register) end(certain bool) {
	r.mu.Lock()
	if left := r.opts.Validity - time.Since(r.renewed); left > 0 && !certain {
		r.lapse.Reset(left)
		r.mu.Unlock()
		return
	}
	forget := r.forget
	if !r.admitted {
		forget = nil
	}
	r.admitted = false
	r.lapses++
	r.endTerm()
	r.mu.Unlock()
	if forget != nil {
		forget()
	}
}

// mayFollow starts to take over what others changed, when there is anything
// and this is not under way.
func (r *Register) mayFollow(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.follow == nil || r.following || r.revision == 0 || r.admitted && r.row.Round >= r.round {
		return
	}
	r.following = true
	follow, round, lapses := r.follow, r.round, r.lapses
	r.stopped.Go(func() {
		err := follow(ctx)
		r.mu.Lock()
		r.following = false
		if err == nil {
			r.row.Round = max(r.row.Round, round)
			if !r.admitted && lapses == r.lapses {
				r.admitted = true
				r.term, r.endTerm = context.WithCancel(context.Background())
			}
		}
		r.mu.Unlock()
		if err == nil {
			r.Nudge() // tell it at once
		} else {
			err = fmt.Errorf("taking over what other nodes changed: %w", err)
		}
		r.told(ctx, &r.followFailed, err)
	})
}
