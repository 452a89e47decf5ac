// Package trail is the durable audit log: sealed records in one hash chain per
// node, group commit, a Merkle tree with signed checkpoints, a witness outside,
// search by keyed terms, and offline verification. Records lie in segment files
// of one node (files.go) or in a database that several nodes share (shared.go);
// the records themselves are the same bytes.
//
// Start with Open, then Trail.Record (record.go), the writer (writer.go) and
// Verify (verify.go). The stored bytes are described in docs/format/trail.md;
// what one release wrote, every later one opens.
//
// Security: event bodies are sealed under an epoch key, what concerns a patient
// under that patient's own audit key, so that destroying the key erases the
// patient from the trail while every hash and proof stays valid. Nothing in a
// file but sequence, time, hashes and keyed terms can be read without keys.
// Every failure is closed: Record then returns audit.ErrUnavailable and nothing
// may be disclosed. A failed fsync is never retried as a success.
package trail

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/merkle"
)

var (
	// ErrCorrupt means that stored bytes are not what this trail wrote.
	ErrCorrupt = errors.New("audit trail is corrupt")
	// ErrMoved means that the chain was moved here from elsewhere and is only read.
	ErrMoved = errors.New("the audit chain was moved here and is only read; give this node another name (--node)")
	// ErrNotFound means that no event has the sequence number.
	ErrNotFound = errors.New("no such audit event")
	// ErrLocked means that another process has the chain open.
	ErrLocked = errors.New("audit trail is open in another process")
	// ErrTooLarge means that an event exceeds MaxEventBytes.
	ErrTooLarge = errors.New("audit event is too large")
)

// Trail is an open audit trail. All methods may be called concurrently. Close
// stops, in this order: new events, the spool, the writer, the checkpointer.
type Trail struct {
	opt    Options
	medium medium
	origin origin
	sealer *sealer
	terms  *termer
	signer note.Signer
	met    *metrics

	queue   queue       // tickets and records on their way to the writer
	space   space       // disk reserve
	outage  outage      // the database does not answer
	spool   spool       // queued events that could not be taken yet
	intents intents     // intents without an outcome
	watch   watch       // leases of other nodes
	pre     preauth     // failures before authentication, per peer and minute
	stepped atomic.Bool // the clock went back and that was recorded

	failed atomic.Pointer[error] // latched failure

	mu   sync.RWMutex // guards what follows; written by the writer only
	tree merkle.Range
	last lastRecord

	check   checkpointer
	stop    chan struct{}
	written chan struct{}   // closed when the writer has ended
	writing context.Context // of the writer and the checkpointer; ends a while after stop
	abort   context.CancelFunc
	once    sync.Once
	wg      sync.WaitGroup
}

// lastRecord is the end of the chain.
type lastRecord struct {
	seq  uint64
	time int64 // microseconds since the Unix epoch
	hash merkle.Hash
}

// closeGrace bounds how long Close waits for a database that does not answer.
// What is lost then was never acknowledged.
const closeGrace = 5 * time.Second

// Open opens or creates the node's chain, cuts a torn tail that was never
// acknowledged, and starts its goroutines. It refuses with ErrCorrupt a trail
// that lost acknowledged records or contradicts its checkpoints or the witness,
// with ErrLocked a chain that another process writes, and with ErrMoved one that
// was moved here. In a database it waits
// until the lease of a process that was killed has ended.
func Open(ctx context.Context, opt Options) (*Trail, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	opt.setDefaults()
	t := &Trail{opt: opt, stop: make(chan struct{}), written: make(chan struct{})}
	t.writing, t.abort = context.WithCancel(context.Background())
	pub, ok := opt.Keys.CheckpointKey().Public().(ed25519.PublicKey)
	if !ok || len(pub) != ed25519.PublicKeySize {
		return nil, errors.New("audit checkpoint key is missing")
	}
	t.outage.init()
	if opt.Log == nil {
		t.medium = &files{dir: opt.Dir, name: opt.Origin, key: pub, records: opt.SegmentRecords, disk: opt.disk, exhausted: t.space.exhausted}
	} else {
		t.medium = newShared(opt, pub, t.outage.set, t.fail)
	}
	err := t.load(ctx)
	for n := 0; n < 3 && errors.Is(err, errForeign); n++ { // the process before wrote until now
		err = t.load(ctx)
	}
	if err != nil {
		t.abort()
		return nil, errors.Join(err, t.medium.close())
	}
	t.run()
	return t, nil
}

// load reads everything that is stored.
func (t *Trail) load(ctx context.Context) error {
	st, err := t.medium.load(ctx)
	if err != nil {
		return err
	}
	t.origin, t.last, t.tree = st.origin, st.last, st.tree
	if t.signer, err = newSigner(t.origin.Name, t.opt.Keys.CheckpointKey()); err != nil {
		return err
	}
	t.sealer = newSealer(t.opt.Keys)
	t.terms = newTermer(t.opt.Keys.IndexKey())
	t.intents.init()
	t.pre.init()
	if err := t.check.load(ctx, t); err != nil {
		return err
	}
	if err := t.loadIntents(ctx, st.low); err != nil {
		return err
	}
	if st.torn > 0 {
		t.spool.add(audit.Event{Kind: audit.System, Subtype: "recovered", Action: audit.Execute, Outcome: audit.Success,
			Reason: fmt.Sprintf("torn-tail-%d-bytes", st.torn)})
	}
	if t.opt.Log != nil {
		if err := t.fence(ctx); err != nil {
			return err
		}
	} else if err := t.space.refresh(t.opt); err != nil {
		return fmt.Errorf("reading free disk space: %w", err)
	}
	t.queue.init(t.last.seq)
	if t.met == nil {
		t.met, err = newMetrics(t)
	}
	return err
}

// fence appends an event in the place that a process which had the chain before
// would write next. From then on that process can append nothing.
func (t *Trail) fence(ctx context.Context) error {
	e := audit.Event{Kind: audit.System, Subtype: "trail-opened", Action: audit.Execute, Outcome: audit.Success}
	r := &record{seq: t.last.seq + 1}
	if err := t.prepare(ctx, &r.draft, &e); err != nil {
		return err
	}
	r.seal(t.origin.Name)
	frames, last, err := t.layout(nil, []*record{r})
	if err == nil {
		err = t.medium.append(ctx, frames)
	}
	if err == nil {
		t.tree.Append(frames[0].leaf)
		t.last = last
	}
	return err
}

func (t *Trail) run() {
	loops := []func(){t.writeLoop, t.checkpointLoop, t.spoolLoop}
	if t.opt.Log == nil {
		loops = append(loops, t.spaceLoop)
	}
	for _, run := range loops {
		t.wg.Go(run)
	}
}

// Close drains what was handed over, writes a last checkpoint and gives the
// chain back. Events that come later get audit.ErrUnavailable.
func (t *Trail) Close() error {
	t.once.Do(func() {
		t.flushPreAuth(true)
		t.spool.drain(t)
		t.queue.close()
		close(t.stop)
		giveUp := time.AfterFunc(closeGrace, t.abort)
		t.wg.Wait()
		giveUp.Stop()
		t.abort()
		t.met.unregister()
		if err := t.medium.close(); err != nil {
			t.fail(err)
		}
	})
	return t.failure()
}

// Origin is the name of this node's chain.
func (t *Trail) Origin() string { return t.origin.Name }

// failure is the latched failure, or nil.
func (t *Trail) failure() error {
	if p := t.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// fail latches a failure: from now on every Record is refused.
func (t *Trail) fail(cause error) {
	err := fmt.Errorf("%w: %w", audit.ErrUnavailable, cause)
	if t.failed.CompareAndSwap(nil, &err) && t.opt.OnFailure != nil {
		t.opt.OnFailure(err)
	}
}
