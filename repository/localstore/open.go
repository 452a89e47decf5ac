package localstore

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldseal/fieldseal/repository"
)

// Errors of Open that an application tells apart.
var (
	// ErrLocked: another process, or another Open of this one, has the folder.
	ErrLocked = errors.New("folder is in use")
	// ErrFormat: the folder was written by a release with another format, or
	// by another program.
	ErrFormat = errors.New("unknown stored format")
)

// format is the version of keys and values; see docs/format/localstore.md.
const format = 2

const (
	metaFormat  = "format"
	metaStamp   = "stamp"   // stamps from here on were never handed out
	metaSeq     = "seq"     // feed positions up to here were used and purged
	metaUpgrade = "upgrade" // records of format 1 lie from here on; see upgrade.go
)

// Store is one open folder. It implements repository.Store and
// repository.Purger; Table opens a repository.Table in it.
type Store struct {
	opts     Options
	fs       *privateFS
	lock     *pebble.Lock
	db       *pebble.DB
	latch    *latch
	gate     *gate
	space    *space
	types    types
	ordinals ordinals
	guards   *guards

	mileposts mileposts
	stamps    stamps
	durable   *durable
	marks     marks

	// life is held for reading by every call and for writing by Close.
	life   sync.RWMutex
	closed bool

	trouble chan error // the last background error, for who waits for a flush

	upgrade struct {
		pending atomic.Bool // some records may be of format 1
		cancel  context.CancelFunc
		running sync.WaitGroup
	}

	backup sync.Mutex // held by the one that runs

	committer *committer
	applied   atomic.Uint64 // number of the last batch; written by the committer

	// What follows belongs to the committer.
	seq     uint64 // last feed position
	scratch scratch
}

// Open opens or creates the folder. ErrLocked, ErrFormat and
// repository.ErrCorrupt tell why it cannot.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := errors.Join(ctx.Err(), o.Validate()); err != nil {
		return nil, err
	}
	o.setDefaults()
	s := newStore(o)
	if err := s.lockDir(); err != nil {
		return nil, err
	}
	if err := s.awaitStart(); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

// awaitStart gives up on a start that flushes what it replayed to a full disk:
// Pebble would try for ever. The lock then stays until the process exits.
func (s *Store) awaitStart() error {
	done := make(chan error, 1)
	go func() { done <- s.start() }()
	for {
		select {
		case err := <-done:
			return err
		case err := <-s.trouble:
			if !errors.Is(err, repository.ErrCorrupt) {
				s.latch.set(err)
				return s.openError(err)
			}
		case <-s.latch.stopped:
			return s.openError(s.latch.err())
		}
	}
}

func (s *Store) start() (err error) {
	defer func() {
		// Pebble panics on some damage that it meets while replaying, and
		// Fatalf halts.
		if r := recover(); r != nil {
			err = errors.Join(s.latch.err(), fmt.Errorf("opening %s: %w: %v", s.opts.Dir, repository.ErrCorrupt, r))
		}
	}()
	if err := s.openDB(); err != nil {
		return err
	}
	if err := s.checkFormat(); err != nil {
		return err
	}
	if err := s.load(); err != nil {
		return errors.Join(err, s.db.Close())
	}
	s.space.keepBallast()
	s.committer = newCommitter(s)
	return s.startUpgrade()
}

func newStore(o Options) *Store {
	base := o.FS
	if base == nil {
		base = vfs.Default
	}
	l := newLatch(o.OnFatal)
	s := &Store{
		opts:    o,
		fs:      &privateFS{FS: base},
		latch:   l,
		guards:  newGuards(),
		durable: newDurable(l),
		trouble: make(chan error, 1),
		marks:   marks{seed: maphash.MakeSeed()},
	}
	s.space = newSpace(s.fs, &s.opts)
	s.gate = newGate(vfs.OnDiskFull(s.fs, s.space.exhausted), o.Dir, l)
	return s
}

func (s *Store) lockDir() error {
	if err := s.fs.makeDir(s.opts.Dir); err != nil {
		return fmt.Errorf("preparing folder %s: %w", s.opts.Dir, err)
	}
	lock, err := pebble.LockDirectory(s.opts.Dir, s.fs)
	if err != nil {
		return fmt.Errorf("opening %s: %w by another process: %v", s.opts.Dir, ErrLocked, err)
	}
	s.lock = lock
	return s.removeCheckpoint()
}

// openDB stacks the file systems: the folder's files, the private modes, the
// ballast that is given up when the disk is full, the gate that closes when
// the store latches, and Pebble on top.
func (s *Store) openDB() (err error) {
	events := &pebble.EventListener{
		BackgroundError: s.backgroundError,
		DataCorruption:  func(i pebble.DataCorruptionInfo) { s.backgroundError(i.Details) },
	}
	p := pebbleOptions(&s.opts, s.gate, logger{s.latch, s.opts.OnError}, events)
	defer p.Cache.Unref()
	p.Lock = s.lock
	s.db, err = pebble.Open(s.opts.Dir, p)
	return s.openError(err)
}

func (s *Store) openError(err error) error {
	switch {
	case err == nil, errors.Is(err, repository.ErrCorrupt):
		return err
	case pebble.IsCorruptionError(err), errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("opening %s: %w: %v", s.opts.Dir, repository.ErrCorrupt, err)
	case isFull(err):
		return fmt.Errorf("opening %s: %w: %v", s.opts.Dir, repository.ErrFull, err)
	}
	return fmt.Errorf("opening %s: %w", s.opts.Dir, err)
}

var (
	_ repository.Store  = (*Store)(nil)
	_ repository.Purger = (*Store)(nil)
	_ repository.Table  = (*Table)(nil)
)
