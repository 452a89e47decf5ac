package localstore

import (
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Defaults of Options.
const (
	// DefaultMinFree leaves room for the memtables, one compaction of each
	// level that a small server has, and the audit trail's last words.
	DefaultMinFree = 512 << 20
	// DefaultBallast holds one flush of all memtables.
	DefaultBallast = 32 << 20
	// DefaultBlockCache holds what some million ids lead to, 30 MB each, beside
	// the blocks that are read in passing. It is allocated as it fills: an idle
	// server stays far below 200 MB.
	DefaultBlockCache = 256 << 20
	// DefaultMemTable holds some six thousand resources with thirty tokens: of
	// what an import writes, each byte is then rewritten about three times. It
	// bounds the log that a restart replays.
	DefaultMemTable = 32 << 20
	// DefaultMaxBatch bounds one commit: a bundle of a few thousand resources.
	DefaultMaxBatch = 64 << 20
)

// Options configure Open. Only Dir is required.
type Options struct {
	// Dir is the folder of the database. It is created with mode 0700 and
	// belongs to one process at a time.
	Dir string
	// FS replaces the operating system's files, for tests that inject faults.
	FS vfs.FS
	// MinFree is the free space in bytes below which writes are refused with
	// repository.ErrFull. Deletions may go down to an eighth of it.
	MinFree uint64
	// Ballast is the size in bytes of a file that is given up when another
	// process fills the disk all the same. Negative means none.
	Ballast int64
	// BlockCache is the memory in bytes for blocks read from table files.
	BlockCache int64
	// MemTable is the size in bytes of one memtable. It is allocated as it is
	// needed; three may exist before writers wait.
	MemTable uint64
	// MaxBatch is the size in bytes from which Commit returns ErrTooLarge.
	MaxBatch int
	// SyncInterval is the least time between two fsyncs of the log. Zero lets
	// a running fsync be the window in which the next group forms.
	SyncInterval time.Duration
	// Now is the clock behind Stamp; nil means time.Now.
	Now func() time.Time
	// OnFatal is called once, in a goroutine of its own, after the store has
	// latched. The application exits with an error.
	OnFatal func(error)
	// OnError is told of background trouble that does not stop the store:
	// a failed flush that will be retried, a damaged block.
	OnError func(error)

	source      []byte // set by OpenImport: whose entries fill the folder
	holdUpgrade bool   // for tests of a store whose records are not moved yet
}

// Validate reports every problem at once.
func (o Options) Validate() error {
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("localstore: no folder given"))
	}
	if o.MaxBatch < 0 || o.BlockCache < 0 || o.SyncInterval < 0 {
		errs = append(errs, errors.New("localstore: negative size or interval"))
	}
	if o.MemTable != 0 && (o.MemTable < 1<<20 || o.MemTable > 1<<30) {
		errs = append(errs, errors.New("localstore: memtable size must lie between 1 MiB and 1 GiB"))
	}
	return errors.Join(errs...)
}

func (o *Options) setDefaults() {
	setDefault(&o.MinFree, DefaultMinFree)
	setDefault(&o.Ballast, DefaultBallast)
	setDefault(&o.BlockCache, DefaultBlockCache)
	setDefault(&o.MemTable, DefaultMemTable)
	setDefault(&o.MaxBatch, DefaultMaxBatch)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnFatal == nil {
		o.OnFatal = func(error) {}
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
