// Package trail is the durable audit log on local files: append-only segments
// of sealed records, group commit, a Merkle tree with signed checkpoints, a
// witness outside, search by keyed terms, and offline verification.
//
// Start with Open, then Trail.Record (record.go), the writer (writer.go) and
// Verify (verify.go). The bytes on disk are described in docs/format/trail.md;
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
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	// ErrNotFound means that no event has the sequence number.
	ErrNotFound = errors.New("no such audit event")
	// ErrLocked means that another process has the trail open.
	ErrLocked = errors.New("audit trail is open in another process")
	// ErrTooLarge means that an event exceeds MaxEventBytes.
	ErrTooLarge = errors.New("audit event is too large")
)

// Default and fixed limits.
const (
	// DefaultSegmentRecords is the number of records in a full segment, about
	// 40 MB of typical events: one fsync of a directory per 65,536 events.
	DefaultSegmentRecords = 1 << 16
	// DefaultMinFree is the free disk space below which ordinary events are
	// refused.
	DefaultMinFree = 256 << 20
	// DefaultCheckpointEvery bounds how old the newest checkpoint may be while
	// events arrive.
	DefaultCheckpointEvery = 60 * time.Second
	// DefaultCheckpointEvents bounds how many events the newest checkpoint may
	// lag behind.
	DefaultCheckpointEvents = 1000
	// MaxEventBytes bounds one record: a page of results names at most some
	// thousand patients.
	MaxEventBytes = 4 << 20
)

// Options configure a trail. Dir, Origin and Keys are required.
type Options struct {
	Dir     string // created with mode 0700
	Origin  string // name of this node's chain: 1–32 of a–z, 0–9
	Keys    Keys
	Witness string // file outside the data folder's trust domain; empty: none
	// MinFree is the disk reserve in bytes. Ordinary events stop there; events
	// that conclude intents and security events stop at a quarter of it.
	MinFree          uint64
	SegmentRecords   uint64 // power of two from 16; fixed when Dir is created
	CheckpointEvery  time.Duration
	CheckpointEvents uint64
	Now              func() time.Time
	// OnFailure is called once when an I/O error latched the trail.
	OnFailure func(error)

	disk disk // faults for tests; the zero disk is the real one
}

func (o *Options) setDefaults() {
	if o.MinFree == 0 {
		o.MinFree = DefaultMinFree
	}
	if o.SegmentRecords == 0 {
		o.SegmentRecords = DefaultSegmentRecords
	}
	if o.CheckpointEvery <= 0 {
		o.CheckpointEvery = DefaultCheckpointEvery
	}
	if o.CheckpointEvents == 0 {
		o.CheckpointEvents = DefaultCheckpointEvents
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.disk.setDefaults()
}

// Validate reports every problem at once.
func (o Options) Validate() error {
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("audit trail: folder is missing"))
	}
	if !validOrigin(o.Origin) {
		errs = append(errs, errors.New("audit trail: origin must be 1 to 32 of a-z and 0-9"))
	}
	if o.Keys == nil {
		errs = append(errs, errors.New("audit trail: keys are missing"))
	}
	if n := o.SegmentRecords; n != 0 && (n < 16 || n&(n-1) != 0 || n > 1<<24) {
		errs = append(errs, errors.New("audit trail: segment records must be a power of two from 16 to 16777216"))
	}
	return errors.Join(errs...)
}

// Trail is an open audit trail. All methods may be called concurrently. Close
// stops, in this order: new events, the spool, the writer, the checkpointer.
type Trail struct {
	opt    Options
	origin origin
	lock   *os.File
	sealer *sealer
	terms  *termer
	signer note.Signer
	met    *metrics

	queue   queue   // tickets and records on their way to the writer
	space   space   // disk reserve
	spool   spool   // queued events that could not be taken yet
	intents intents // intents without an outcome
	pre     preauth // failures before authentication, per peer and minute

	failed atomic.Pointer[error] // latched I/O failure

	mu     sync.RWMutex // guards what follows; written by the writer only
	closed []*segment   // full segments, oldest first
	active *active
	tree   merkle.Range
	last   lastRecord

	check   checkpointer
	stop    chan struct{}
	written chan struct{} // closed when the writer has ended
	once    sync.Once
	wg      sync.WaitGroup
}

// lastRecord is the end of the chain.
type lastRecord struct {
	seq  uint64
	time int64 // microseconds since the Unix epoch
	hash merkle.Hash
}

// Open opens or creates the trail in Dir, cuts a torn tail that was never
// acknowledged, and starts its goroutines. It refuses with ErrCorrupt a trail
// that lost acknowledged records or contradicts its checkpoints or the witness,
// and with ErrLocked one that is open elsewhere.
func Open(ctx context.Context, opt Options) (*Trail, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	opt.setDefaults()
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the audit folder: %w", err)
	}
	lock, err := lockDir(filepath.Join(opt.Dir, lockName))
	if err != nil {
		return nil, err
	}
	t := &Trail{opt: opt, lock: lock, stop: make(chan struct{}), written: make(chan struct{})}
	if err := t.load(ctx); err != nil {
		if t.active != nil {
			t.active.file.Close()
		}
		lock.Close()
		return nil, err
	}
	t.start()
	return t, nil
}

// load reads everything that is on disk.
func (t *Trail) load(ctx context.Context) error {
	key := t.opt.Keys.CheckpointKey()
	org, err := loadOrigin(t.opt, key)
	if err != nil {
		return err
	}
	t.origin = org
	if t.signer, err = newSigner(org.Name, key); err != nil {
		return err
	}
	t.sealer = newSealer(t.opt.Keys, org.Name)
	t.terms = newTermer(t.opt.Keys.IndexKey())
	if t.met, err = newMetrics(t); err != nil {
		return err
	}
	t.intents.init()
	t.pre.init()
	torn, err := t.recover()
	if err != nil {
		return err
	}
	if err := t.check.load(t); err != nil {
		return err
	}
	if err := t.space.refresh(t.opt); err != nil {
		return fmt.Errorf("reading free disk space: %w", err)
	}
	if err := t.loadIntents(ctx); err != nil {
		return err
	}
	t.queue.init(t.last.seq)
	if torn > 0 {
		t.spool.add(audit.Event{Kind: audit.System, Subtype: "recovered", Action: audit.Execute, Outcome: audit.Success,
			Reason: fmt.Sprintf("torn-tail-%d-bytes", torn)})
	}
	return nil
}

func (t *Trail) start() {
	for _, run := range []func(){t.writeLoop, t.checkpointLoop, t.spoolLoop, t.spaceLoop} {
		t.wg.Add(1)
		go func() {
			defer t.wg.Done()
			run()
		}()
	}
}

// Close drains what was handed over, writes a last checkpoint and releases the
// folder. Events that come later get audit.ErrUnavailable.
func (t *Trail) Close() error {
	t.once.Do(func() {
		t.flushPreAuth(true)
		t.spool.drain(t)
		t.queue.close()
		close(t.stop)
		t.wg.Wait()
		t.met.unregister()
		if t.failure() == nil {
			_ = t.active.file.Truncate(t.active.off) // gives the reserve back; Open does the same
		}
		t.active.file.Close()
		t.lock.Close()
	})
	if err := t.failure(); err != nil {
		return err
	}
	return nil
}

// failure is the latched I/O failure, or nil.
func (t *Trail) failure() error {
	if p := t.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// fail latches an I/O failure: from now on every Record is refused.
func (t *Trail) fail(cause error) {
	err := fmt.Errorf("%w: %w", audit.ErrUnavailable, cause)
	if t.failed.CompareAndSwap(nil, &err) && t.opt.OnFailure != nil {
		t.opt.OnFailure(err)
	}
}
