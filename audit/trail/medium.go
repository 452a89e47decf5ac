package trail

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

// A medium is where the chains of a trail lie, this node's own and those that
// it only reads. Two forms exist, a folder (files.go) and a log of a database
// (shared.go); contract_test.go holds both to the same promises.
type medium interface {
	chains
	notes
	// load takes the own chain into possession and reads where it ends.
	load(ctx context.Context) (start, error)
	// held reports whether the own chain is still this process's for certain.
	held() bool
	// segments is the number of segments of the own chain.
	segments() int
	// close gives the chain back after the last append.
	close() error
}

// chains are stored frames.
type chains interface {
	// append makes frames durable behind the end of the own chain. Any error
	// means that this process must not append any more.
	append(ctx context.Context, batch []frame) error
	// read yields the frames of a chain in order from a number on.
	read(ctx context.Context, origin string, from uint64) iter.Seq2[frame, error]
	// find returns at most q.limit frames of all chains, newest first.
	find(ctx context.Context, q find) ([]found, error)
	// tree is the Merkle tree over a chain.
	tree(ctx context.Context, origin string) (merkle.Source, error)
}

// notes are what is kept beside the frames.
type notes interface {
	// putCheckpoint keeps a note, if there is one, and the low-water mark of
	// intents that goes with it; without sync both may be lost with the machine
	// until a call with sync.
	putCheckpoint(ctx context.Context, n signedNote, low uint64, sync bool) error
	// checkpoint returns the newest signed note of a chain, nil when there is
	// none.
	checkpoint(ctx context.Context, origin string) ([]byte, error)
}

// start is where a chain ends that is taken into possession.
type start struct {
	origin origin
	last   lastRecord
	tree   merkle.Range
	low    uint64 // no intent before it is open
	torn   int    // bytes that were cut
}

// find selects frames by what the index knows of them.
type find struct {
	clauses  [][]uint64 // a frame carries one term of each
	from, to int64      // microseconds, both included
	before   Position
	limit    int
}

// found is a frame with the chain that it stands in.
type found struct {
	origin string
	frame
}

func (f *found) position() Position {
	return Position{Time: time.UnixMicro(f.time), Origin: f.origin, Seq: f.seq}
}

// errForeign means that the place of a frame is taken by another process.
var errForeign = fmt.Errorf("%w: this node's chain was taken over", ErrLocked)
