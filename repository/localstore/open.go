package localstore

import (
	"context"
	"encoding/binary"
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
const format = 1

const (
	metaFormat = "format"
	metaStamp  = "stamp" // stamps from here on were never handed out
	metaSeq    = "seq"   // feed positions up to here were used and purged
)

// Store is one open folder. It implements repository.Store and
// repository.Purger; Table opens a repository.Table in it.
type Store struct {
	opts    Options
	fs      *privateFS
	lock    *pebble.Lock
	db      *pebble.DB
	latch   *latch
	gate    *gate
	space   *space
	types   types
	guards  *guards
	stamps  stamps
	durable *durable
	marks   marks

	// life is held for reading by every call and for writing by Close.
	life   sync.RWMutex
	closed bool

	damaged atomic.Bool // Pebble met a damaged file

	committer *committer
	applied   atomic.Uint64 // number of the last batch; written by the committer

	// What follows belongs to the committer.
	seq      uint64 // last feed position
	ordinals map[typeCode]ordinal
	scratch  scratch
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
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.lock.Close())
	}
	return s, nil
}

func (s *Store) start() (err error) {
	defer func() {
		if r := recover(); r != nil {
			// Pebble panics on some damage that it meets while replaying, and
			// Fatalf halts.
			err = errors.Join(s.latch.err(), fmt.Errorf("opening %s: %w: %v", s.opts.Dir, repository.ErrCorrupt, r))
		}
	}()
	if err := s.openDB(); err != nil {
		return err
	}
	s.gate.armed.Store(true)
	if err := s.detached(s.load); err != nil {
		if s.latch.err() == nil {
			err = errors.Join(err, s.db.Close())
		}
		return err
	}
	s.space.keepBallast()
	s.committer = newCommitter(s)
	return nil
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
		marks:   marks{seed: maphash.MakeSeed()},
	}
	s.space = newSpace(s.fs, &s.opts)
	s.gate = newGate(vfs.OnDiskFull(s.fs, s.space.exhausted), l)
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
	return nil
}

// openDB stacks the file systems: the folder's files, the private modes, the
// ballast that is given up when the disk is full, the gate that closes when
// the store latches, and Pebble on top.
func (s *Store) openDB() error {
	events := &pebble.EventListener{
		BackgroundError: s.opts.OnError,
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			s.opts.OnError(fmt.Errorf("%w: %v", repository.ErrCorrupt, i.Details))
		},
	}
	p := pebbleOptions(&s.opts, s.gate, logger{s.latch, s.opts.OnError}, events)
	defer p.Cache.Unref()
	p.Lock = s.lock
	db, err := pebble.Open(s.opts.Dir, p)
	if err != nil {
		return s.openError(err)
	}
	s.db = db
	return nil
}

// backgroundError tells the application of trouble that Pebble retries.
func (s *Store) backgroundError(err error) {
	if pebble.IsCorruptionError(err) {
		s.damaged.Store(true)
		err = fmt.Errorf("%w: %v", repository.ErrCorrupt, err)
	}
	s.opts.OnError(err)
}

func (s *Store) openError(err error) error {
	switch {
	case pebble.IsCorruptionError(err), errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("opening %s: %w: %v", s.opts.Dir, repository.ErrCorrupt, err)
	case isFull(err):
		return fmt.Errorf("opening %s: %w: %v", s.opts.Dir, repository.ErrFull, err)
	}
	return fmt.Errorf("opening %s: %w", s.opts.Dir, err)
}

// load reads the counters that writers continue.
func (s *Store) load() error {
	if err := s.checkFormat(); err != nil {
		return err
	}
	if err := s.types.load(s.db); err != nil {
		return storeError("reading resource types", err)
	}
	stamp, err := s.meta(metaStamp)
	if err != nil {
		return err
	}
	s.stamps.reserved = repository.Stamp(stamp)
	s.stamps.last = s.stamps.reserved - 1
	if err := s.loadSeq(); err != nil {
		return err
	}
	return s.loadOrdinals()
}

func (s *Store) checkFormat() error {
	found, err := s.meta(metaFormat)
	if err != nil {
		return err
	}
	if found == format {
		return nil
	}
	if found != 0 {
		return fmt.Errorf("opening %s: %w %d, this release reads %d", s.opts.Dir, ErrFormat, found, format)
	}
	it, err := s.db.NewIter(nil)
	if err != nil {
		return storeError("reading stored format", err)
	}
	empty := !it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return storeError("reading stored format", err)
	}
	if !empty {
		return fmt.Errorf("opening %s: %w: no format row in a folder with data", s.opts.Dir, ErrFormat)
	}
	// Pebble begins a new folder with a log in its oldest format, of which it
	// cannot tell damage from the end; the flush begins a second log.
	err = errors.Join(s.db.Set(metaKey(metaFormat), metaValue(format), pebble.Sync), s.db.Flush())
	return storeError("writing stored format", err)
}

func (s *Store) loadSeq() error {
	purged, err := s.meta(metaSeq)
	if err != nil {
		return err
	}
	it, err := prefixIter(s.db, []byte{kindFeed})
	if err != nil {
		return storeError("reading feed", err)
	}
	defer it.Close()
	if it.Last() {
		s.seq = binary.BigEndian.Uint64(it.Key()[1:])
	}
	s.seq = max(s.seq, purged)
	s.durable.feed.Store(s.seq)
	return storeError("reading feed", it.Error())
}

func (s *Store) loadOrdinals() error {
	s.ordinals = map[typeCode]ordinal{}
	for _, c := range s.types.current.Load().codes {
		it, err := prefixIter(s.db, appendOrdinalPrefix(nil, c))
		if err != nil {
			return storeError("reading ordinals", err)
		}
		if it.Last() {
			s.ordinals[c], _ = readOrdinal(it.Key())
		}
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			return storeError("reading ordinals", err)
		}
	}
	return nil
}

// meta reads a counter; an absent one is zero.
func (s *Store) meta(name string) (uint64, error) {
	value, closer, err := s.db.Get(metaKey(name))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, storeError("reading "+name, err)
	}
	defer closer.Close()
	if len(value) != 8 {
		return 0, fmt.Errorf("reading %s: %w", name, repository.ErrCorrupt)
	}
	return binary.BigEndian.Uint64(value), nil
}

func metaValue(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

var (
	_ repository.Store  = (*Store)(nil)
	_ repository.Purger = (*Store)(nil)
	_ repository.Table  = (*Table)(nil)
)
