// Package importer sends FHIR data to a server: transaction and batch Bundles,
// collections, single resources and ndjson, from files, folders and standard
// input.
//
// Start with Run. input.go finds what is to be sent, lines.go and document.go
// turn it into units of work, send.go sends one unit, state.go remembers what
// is done.
//
// A unit is sent again when the process died between the server's commit and
// the line in the state file. So that this duplicates nothing, every POST that
// has a urn:uuid as fullUrl becomes a PUT with the uuid as id, and with a state
// file every other POST gets an id derived from the file's place and a random
// secret of that state file. POSTs with ifNoneExist stay: the server makes
// those safe itself. The importing role needs update-as-create.
//
// Security notes: a Summary holds input names, positions, statuses and the
// server's OperationOutcome texts, never element values. Input names may name
// patients (Synthea's do); the state file holds only keyed hashes of them.
//
// Kept compatible: the format of the state file (state.go) within a major
// version, and the JSON names of Summary.
package importer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
)

// Defaults of Options.
const (
	DefaultParallel  = 4
	DefaultBatchSize = 100
	// maxBatchBytes keeps a batch of large resources below the server's limit
	// for one Bundle.
	maxBatchBytes = 4 << 20
	// maxDocumentBytes is what the server takes as one Bundle at most.
	maxDocumentBytes = 64 << 20
	// maxRefusals bounds the list in a Summary; Refused counts on.
	maxRefusals = 1000
)

// Errors of Run.
var (
	// ErrRefused means that the run came to its end and some resources were
	// refused; the Summary says which and why.
	ErrRefused = errors.New("some resources were refused")
	// ErrUnavailable means that the server kept failing or does not take the
	// token; what was sent so far stands in the state file.
	ErrUnavailable = errors.New("the server does not take the data now")
)

// Answer is what the server said to one request.
type Answer struct {
	Status     int
	RetryAfter string // the header, empty when absent
	Body       []byte
}

// Do performs one request. The path is relative to the FHIR base, without a
// slash in front; "" is the base itself. It returns an error only when there
// was no answer. It is called by several goroutines at once. See HTTP.
type Do func(ctx context.Context, method, path string, header http.Header, body []byte) (Answer, error)

// Options say what to import and how.
type Options struct {
	// Paths are files, folders (walked in sorted order) and "-" for Stdin.
	Paths []string
	Stdin io.Reader

	Do Do // required

	Parallel  int       // requests at once; 0 means DefaultParallel
	BatchSize int       // lines of ndjson per batch; 0 means DefaultBatchSize
	Progress  io.Writer // a progress bar is drawn when this is a terminal
	State     string    // file that makes a second run resume; "" for none
}

func (o Options) validate() error {
	var problems []error
	if o.Do == nil {
		problems = append(problems, errors.New("importer: Do is missing"))
	}
	if len(o.Paths) == 0 {
		problems = append(problems, errors.New("importer: nothing to import"))
	}
	for _, p := range o.Paths {
		if p == "-" && o.Stdin == nil {
			problems = append(problems, errors.New("importer: \"-\" needs Stdin"))
		}
	}
	return errors.Join(problems...)
}

// run is the state of one Run.
type run struct {
	Options
	state *state
	bar   *progress
	gate  *gate

	mu       sync.Mutex
	summary  Summary
	deferred []*unit
	retrying bool // the second pass over deferred units
}

// Run imports everything and reports what happened. The Summary is complete
// also when the error is not nil: ErrRefused, ErrUnavailable, the context's
// error, or one about an input or the state file. Nothing is sent twice at
// once; when ctx ends, the requests in flight end with it.
func Run(ctx context.Context, o Options) (Summary, error) {
	if err := o.validate(); err != nil {
		return Summary{}, err
	}
	if o.Parallel <= 0 {
		o.Parallel = DefaultParallel
	}
	if o.BatchSize <= 0 {
		o.BatchSize = DefaultBatchSize
	}
	phases, err := discover(o)
	if err != nil {
		return Summary{}, err
	}
	st, err := openState(o.State)
	if err != nil {
		return Summary{}, err
	}
	r := &run{Options: o, state: st, gate: newGate(), bar: newProgress(o.Progress, phases)}
	start := time.Now()
	err = errors.Join(r.all(ctx, phases), st.close())
	r.bar.finish()
	r.summary.finish(time.Since(start))
	if err == nil && r.summary.Refused > 0 {
		err = ErrRefused
	}
	return r.summary, err
}

// all runs the phases one after the other, then what had to wait.
func (r *run) all(ctx context.Context, phases [][]source) error {
	for _, sources := range phases {
		if err := r.phase(ctx, func(ctx context.Context, out chan<- *unit) error {
			return r.feed(ctx, sources, out)
		}); err != nil {
			return err
		}
	}
	waiting := r.deferred
	if len(waiting) == 0 {
		return nil
	}
	r.retrying = true
	return r.phase(ctx, func(ctx context.Context, out chan<- *unit) error {
		for _, u := range waiting {
			if err := hand(ctx, out, u); err != nil {
				return err
			}
		}
		return nil
	})
}

// phase feeds units to the workers and waits for all of them. The first error
// ends the phase.
func (r *run) phase(ctx context.Context, feed func(context.Context, chan<- *unit) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	units := make(chan *unit)
	var workers sync.WaitGroup
	for range r.Parallel {
		workers.Go(func() {
			for u := range units {
				err := r.process(ctx, u)
				r.gate.leave(u.ids)
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	err := feed(ctx, units)
	close(units)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// hand gives a unit to a worker.
func hand(ctx context.Context, out chan<- *unit, u *unit) error {
	select {
	case out <- u:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var documentLimits = fhir.Limits{MaxBytes: maxDocumentBytes, MaxDepth: fhir.DefaultLimits.MaxDepth}
