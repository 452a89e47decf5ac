package mongostore

import (
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

// Defaults of Options.
const (
	// DefaultDatabase is used when the URI names none.
	DefaultDatabase = "fieldseal"
	// DefaultTimeout bounds every operation, retries included. A request that
	// outlives it is answered with 503.
	DefaultTimeout = 20 * time.Second
	// DefaultPatience is how long calls wait for a server when none can be
	// reached: a primary that steps down has a successor within it, as a rule.
	DefaultPatience = 3 * time.Second
	// DefaultMaxBatch bounds one commit in bytes: a bundle of a few thousand
	// resources, well below what a transaction may write in its lifetime.
	DefaultMaxBatch = 64 << 20
	// DefaultMaxSkew is how far the server's clock may be from ours: stamps of
	// several nodes interleave by their clocks.
	DefaultMaxSkew = 2 * time.Second
)

// Options configure Open. Only URI is required.
type Options struct {
	// URI is a mongodb:// or mongodb+srv:// address of a replica set or of the
	// routers of a sharded cluster, with credentials and TLS as usual.
	URI string
	// Database overrides the one that the URI names.
	Database string
	// Timeout bounds every operation, retries included.
	Timeout time.Duration
	// Patience is how long calls wait for a server when none can be reached. After
	// it they fail at once, until one is found.
	Patience time.Duration
	// MaxBatch is the size in bytes from which Commit returns ErrTooLarge.
	MaxBatch int
	// MaxSkew is the largest difference of clocks that Open accepts.
	MaxSkew time.Duration
	// Now is the clock behind Stamp; nil means time.Now.
	Now func() time.Time
	// Advise hears of settings of the server that work and could be better; nil
	// hears nothing.
	Advise func(advice string)
	// Progress hears what Open waits for, such as an index that is being
	// built; nil hears nothing.
	Progress func(what string)

	moving bool                             // set by OpenSource and OpenImport
	watch  func(*event.CommandStartedEvent) // tests count and explain commands
}

// Validate reports every problem at once. It never repeats the URI, which may
// hold a password.
func (o Options) Validate() error {
	var errs []error
	if _, err := connstring.ParseAndValidate(o.URI); err != nil {
		errs = append(errs, errors.New("mongostore: the address is no valid mongodb:// URI"))
	}
	if o.Timeout < 0 || o.Patience < 0 || o.MaxBatch < 0 || o.MaxSkew < 0 {
		errs = append(errs, errors.New("mongostore: negative size or interval"))
	}
	if len(o.Database) > 63 {
		errs = append(errs, fmt.Errorf("mongostore: a database name of %d bytes, at most 63 are allowed", len(o.Database)))
	}
	return errors.Join(errs...)
}

func (o *Options) setDefaults() {
	if o.Database == "" {
		if cs, err := connstring.ParseAndValidate(o.URI); err == nil {
			o.Database = cs.Database
		}
	}
	setDefault(&o.Database, DefaultDatabase)
	setDefault(&o.Timeout, DefaultTimeout)
	setDefault(&o.Patience, DefaultPatience)
	setDefault(&o.MaxBatch, DefaultMaxBatch)
	setDefault(&o.MaxSkew, DefaultMaxSkew)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Advise == nil {
		o.Advise = func(string) {}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
