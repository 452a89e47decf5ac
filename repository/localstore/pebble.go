package localstore

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/fieldseal/fieldseal/repository"
)

// comparer orders keys bytewise and teaches Pebble their prefixes. Its name is
// part of the stored format.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "fieldseal.localstore.v1"
	c.Split = split
	c.Compare = bytes.Compare
	return &c
}()

const (
	// bitsPerKey gives one needless block read in a hundred for a key that
	// does not exist.
	bitsPerKey = 10
	// blockSize holds a few sealed resources; a larger one makes cold reads
	// slower, a smaller one wastes space at its end.
	blockSize = 8 << 10
	levels    = 7
)

// pebbleOptions tune Pebble for values that do not compress (ciphertext) and
// keys that do.
func pebbleOptions(o *Options, fs vfs.FS, log pebble.Logger, events *pebble.EventListener) *pebble.Options {
	p := &pebble.Options{
		Cache:                       pebble.NewCache(o.BlockCache),
		Comparer:                    comparer,
		FS:                          fs,
		FormatMajorVersion:          pebble.FormatTableFormatV6,
		Logger:                      log,
		EventListener:               events,
		MemTableSize:                o.MemTable,
		MemTableStopWritesThreshold: memTables,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                1000,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	if o.SyncInterval > 0 {
		p.WALMinSyncInterval = func() time.Duration { return o.SyncInterval }
	}
	p.Experimental.SpanPolicyFunc = spanPolicy
	p.TargetFileSizes[0] = 4 << 20
	for i := range p.Levels {
		p.Levels[i].BlockSize = blockSize
		p.Levels[i].IndexBlockSize = 64 << 10
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(bitsPerKey)
	}
	// Pebble does not consult filters of the last level, which has most keys.
	p.Levels[levels-1].FilterPolicy = pebble.NoFilterPolicy
	p.ApplyCompressionSettings(compression)
	return p
}

// memTables is how many memtables may wait for their flush before writers
// wait too. Pebble keeps one log more for reuse.
const memTables = 3

// compression spends zstd at the bottom only, and only where a block shrinks:
// postings do, sealed bodies are stored as they are.
func compression() pebble.DBCompressionSettings {
	s := pebble.UniformDBCompressionSettings(sstable.FastestCompression)
	s.Levels[levels-1] = sstable.BalancedCompression
	return s
}

// spanPolicy keeps zstd away from what does not shrink: sealed bodies and ids.
func spanPolicy(start []byte) (pebble.SpanPolicy, []byte, error) {
	fast := pebble.SpanPolicy{PreferFastCompression: true}
	for _, kind := range []byte{kindRecord, kindID, kindVersion} {
		first, end := []byte{kind}, []byte{kind + 1}
		switch {
		case bytes.Compare(start, first) < 0:
			return pebble.SpanPolicy{}, first, nil
		case bytes.Compare(start, end) < 0:
			return fast, end, nil
		}
	}
	return pebble.SpanPolicy{}, nil, nil
}

// storeError gives an error of Pebble its sentinel.
func storeError(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, repository.ErrCorrupt), errors.Is(err, repository.ErrUnavailable):
		return fmt.Errorf("%s: %w", doing, err)
	case pebble.IsCorruptionError(err):
		return fmt.Errorf("%s: %w: %v", doing, repository.ErrCorrupt, err)
	}
	return fmt.Errorf("%s: %w: %v", doing, repository.ErrUnavailable, err)
}
