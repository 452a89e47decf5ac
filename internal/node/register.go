package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// Register is this node's place among the others. All methods may be called
// concurrently. One goroutine renews the row; Leave ends it.
type Register struct {
	opts     Options
	instance string
	folder   *os.File // locked

	mu        sync.Mutex
	row       nodeRow
	revision  uint64    // of the own row; 0 after it was removed
	renewed   time.Time // when the last renewal that succeeded began
	admitted  bool      // it has taken over everything since it last lapsed
	lapses    uint64
	lapse     *time.Timer
	term      context.Context // ends when the node lapses
	endTerm   context.CancelFunc
	round     uint64 // newest that was seen
	seen      map[string]sighting
	follow    func(context.Context) error
	forget    func()
	following bool
	held      map[string]bool // leases of this process

	beatFailed   bool // of the goroutine that beats
	followFailed bool // of the one that follows: one at a time

	wake    chan struct{}
	stop    context.CancelFunc
	stopped sync.WaitGroup
	leaving sync.Once
}

// Join enters the node. It waits while it cannot tell whether a row that stands
// in the way is of a living node, at most Validity+Longest and some seconds.
// What the caller reads from the database after Join is as new as the round
// that the node has acknowledged; call Follow when it can take over later ones.
func Join(ctx context.Context, o Options) (*Register, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	var id [16]byte
	_, _ = rand.Read(id[:])
	r := &Register{opts: o, instance: hex.EncodeToString(id[:]), seen: map[string]sighting{}, held: map[string]bool{},
		wake: make(chan struct{}, 1)}
	before, err := r.lockFolder()
	if err != nil {
		return nil, err
	}
	if err := r.enter(ctx, before); err != nil {
		return nil, errors.Join(err, r.folder.Close())
	}
	r.admitted = true
	r.term, r.endTerm = context.WithCancel(context.Background())
	r.mu.Lock()
	r.lapse = time.AfterFunc(r.opts.Validity-time.Since(r.renewed), r.onLapse)
	r.mu.Unlock()
	run, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	r.stopped.Go(func() { r.beat(run) })
	return r, nil
}

// instanceName is the file in the folder that names the last instance.
const instanceName = "node"

// lockFolder makes sure that no other process uses the folder, and returns the
// instance that the last one had.
func (r *Register) lockFolder() (before string, err error) {
	f, err := os.OpenFile(filepath.Join(r.opts.Folder, instanceName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", fmt.Errorf("opening the file of this node: %w", err)
	}
	r.folder = f
	var b [32]byte
	n, _ := f.ReadAt(b[:], 0)
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return "", errors.Join(errors.New("another process uses the data folder"), f.Close())
	}
	if _, err = f.WriteAt([]byte(r.instance), 0); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("writing the file of this node: %w", err), f.Close())
	}
	return string(b[:n]), nil
}

// enter writes the first row once nothing stands in its way.
func (r *Register) enter(ctx context.Context, before string) error {
	for {
		began := time.Now()
		s, err := read(ctx, r.opts.Table)
		if err != nil {
			return err
		}
		mine := s.nodes[r.opts.Name]
		if mine.Instance == before {
			delete(s.nodes, r.opts.Name) // of the last process on this folder, which is gone
		}
		waits, err := r.obstacles(ctx, s)
		if err != nil {
			return err
		}
		if !waits {
			r.row = nodeRow{Instance: r.instance, Round: s.round, Rules: r.opts.Rules}
			r.round = s.round
			revision := mine.revision
			if mine.Instance != before {
				revision = 0 // it was found dead and removed
			}
			err := r.put(ctx, began, revision)
			if !errors.Is(err, repository.ErrConflict) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.opts.Beat):
		}
	}
}

// obstacles reports whether rows of nodes that may be dead stand in the way of
// joining, and fails when one of them turns out to be alive.
func (r *Register) obstacles(ctx context.Context, s snapshot) (wait bool, err error) {
	for name, o := range s.nodes {
		var living error
		switch {
		case name == r.opts.Name:
			living = fmt.Errorf("%w: %s; give this one another with --node", ErrTaken, name)
		case o.Rules != r.opts.Rules:
			living = fmt.Errorf("%w: %s; stop the others first", ErrRules, name)
		default:
			continue
		}
		if old, ok := r.seen[name]; ok && old.revision != o.revision {
			return false, living
		}
		wait = true
	}
	r.sight(ctx, s, time.Now())
	return wait, nil
}

// put writes the own row over a revision. began is when what it says was read.
func (r *Register) put(ctx context.Context, began time.Time, revision uint64) error {
	r.mu.Lock()
	r.row.Beat++
	value, err := json.Marshal(r.row)
	r.mu.Unlock()
	if err != nil {
		return err
	}
	next, err := r.opts.Table.PutIf(ctx, nodeKey(r.opts.Name), value, revision)
	if err != nil {
		return fmt.Errorf("renewing the row of this node: %w", err)
	}
	r.mu.Lock()
	late := r.admitted && time.Since(r.renewed) >= r.opts.Validity
	r.revision = next
	r.mu.Unlock()
	if late { // it stopped working, whether or not the timer has fired
		r.end(true)
	}
	r.mu.Lock()
	r.renewed = began
	r.mu.Unlock()
	return nil
}

// Valid reports whether this node may work on the database. Ask before each
// operation.
func (r *Register) Valid() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.validLocked()
}

func (r *Register) validLocked() bool {
	return r.admitted && time.Since(r.renewed) < r.opts.Validity
}

// Follow sets how this node takes over what others changed, and acknowledges
// rounds from here on. follow reads what is stored and returns when every
// request that began before has ended. forget is called when the node may no
// longer work: it drops keys from memory.
func (r *Register) Follow(follow func(context.Context) error, forget func()) {
	r.mu.Lock()
	r.follow, r.forget = follow, forget
	r.mu.Unlock()
	r.Nudge()
}

// Leave removes the row, so that nobody waits for this node. Stop working
// first. It may be called more than once.
func (r *Register) Leave() (err error) {
	r.leaving.Do(func() {
		r.stop()
		r.stopped.Wait()
		r.mu.Lock()
		r.admitted = false
		revision := r.revision
		r.lapse.Stop()
		r.endTerm()
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), r.opts.Validity)
		defer cancel()
		if revision != 0 {
			err = r.opts.Table.DeleteIf(ctx, nodeKey(r.opts.Name), revision)
		}
		if errors.Is(err, repository.ErrNotFound) || errors.Is(err, repository.ErrConflict) {
			err = nil // removed by others, or renewed with an unknown outcome: it ends as a dead one
		}
		err = errors.Join(err, r.folder.Close())
	})
	return err
}

// Nudge makes the node look and renew now, for example because the database is
// back. It does not wait.
func (r *Register) Nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
