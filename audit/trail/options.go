package trail

import (
	"errors"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// Default and fixed limits.
const (
	// DefaultSegmentRecords is the number of records in a full segment, about
	// 40 MB of typical events: one fsync of a directory per 65,536 events.
	DefaultSegmentRecords = 1 << 16
	// DefaultSharedSegmentRecords is the same in a database, where a segment is
	// only a subtree whose root is kept: a start reads one segment at most.
	DefaultSharedSegmentRecords = 1 << 13
	// DefaultLease is how long a node that was killed keeps its name.
	DefaultLease = 15 * time.Second
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

// Options configure a trail. Origin and Keys are required, and either Dir or Log
// with Leases.
type Options struct {
	Dir string // the local form: a folder, created with mode 0700
	// Log is the form that nodes share. Leases is a table in the same database
	// that says which node is alive.
	Log    Log
	Leases repository.Table
	Lease  time.Duration // how long a name is kept without a sign of life
	// Alone says that the caller made sure that no other process has this name:
	// Open then takes a lease that is still running at once.
	Alone bool
	// OrphanGrace is how much longer until Orphans names a chain.
	OrphanGrace time.Duration

	Origin  string // name of this node's chain: 1–32 of a–z, 0–9
	Keys    Keys
	Witness string // file outside the data folder's trust domain; empty: none
	// MinFree is the disk reserve of the local form in bytes. Ordinary events
	// stop there; events that conclude intents and security events stop at a
	// quarter of it.
	MinFree          uint64
	SegmentRecords   uint64 // power of two from 16; fixed when the chain begins
	CheckpointEvery  time.Duration
	CheckpointEvents uint64
	Now              func() time.Time
	// OnFailure is called once when a failure latched the trail.
	OnFailure func(error)

	disk    disk // faults for tests; the zero disk is the real one
	adopted bool // another node's chain: it has no gauges of its own
}

func (o *Options) setDefaults() {
	setDefault(&o.MinFree, DefaultMinFree)
	if o.Log != nil {
		setDefault(&o.SegmentRecords, DefaultSharedSegmentRecords)
	}
	setDefault(&o.SegmentRecords, DefaultSegmentRecords)
	setDefault(&o.Lease, DefaultLease)
	setDefault(&o.OrphanGrace, DefaultOrphanGrace)
	setDefault(&o.CheckpointEvery, DefaultCheckpointEvery)
	setDefault(&o.CheckpointEvents, DefaultCheckpointEvents)
	if o.Now == nil {
		o.Now = time.Now
	}
	o.disk.setDefaults()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports every problem at once.
func (o Options) Validate() error {
	var errs []error
	if (o.Dir == "") == (o.Log == nil) {
		errs = append(errs, errors.New("audit trail: either a folder or a log of a database is needed"))
	}
	if (o.Log == nil) != (o.Leases == nil) {
		errs = append(errs, errors.New("audit trail: a log of a database needs a table of leases"))
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
