// Package keyring keeps the key hierarchy: a KMS wraps the tenant's
// key-encryption keys (KEKs), a KEK wraps the tenant's long-lived secrets and
// one row of keys per owner, and class keys are derived from an owner's
// data-encryption key (DEK).
//
// Start with Ring. Init makes a keystore, Open opens one, Owner and
// EnsureOwner hand out keys, Fence, Destroy and Readmit are erasure, RotateKEK
// is rotation.
//
// Security notes. One id names one key: nothing is ever tried twice with
// another key and no id is ever given a new key. Every failure returns an
// error and no key. A KMS that is down is tolerated for Grace after the KEK's
// lifetime and then everything that needs the KEK fails with ErrUnavailable;
// a KMS that says revoked, or a root key that does not fit, is not tolerated
// at all. Owner keys stay in memory for at most OwnerTTL, which is also how
// long a fence may take to reach another process. The row states (live,
// fenced, erased) are not authenticated, because erasing must work without a
// KMS: who can write the keystore can deny service, but can obtain no key.
//
// Compatible for ever: the row formats in docs/format/keystore.md, the
// derivations in kdf.go and the storage ids.
package keyring

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/repository"
)

// Sentinel errors. ErrRevoked and, while running, ErrWrongKEK come together
// with ErrUnavailable, so that a caller that knows only that one answers 503.
var (
	ErrInitialized    = errors.New("keystore is already initialised")
	ErrNotInitialized = errors.New("keystore is not initialised")
	ErrUnavailable    = errors.New("keys are unavailable")
	ErrRevoked        = errors.New("the KMS refuses the use of the root key")
	ErrWrongKEK       = errors.New("the root key does not fit this keystore")
	ErrNoKey          = errors.New("no such key")
	ErrErased         = errors.New("keys were erased")
	ErrCorrupt        = errors.New("keystore entry is corrupt")
	ErrNotFenced      = errors.New("owner is not fenced")
)

// Defaults of Options.
const (
	// DefaultKEKTTL is how long a KEK serves before the KMS is asked again.
	DefaultKEKTTL = 15 * time.Minute
	// DefaultGrace is how much longer it serves while the KMS is down.
	DefaultGrace = time.Hour
	// MaxOwnerTTL bounds OwnerTTL: the promise about erasure in memory.
	MaxOwnerTTL = 60 * time.Second
	// DefaultOwnerCache is the number of owners kept in memory, about 1 kB
	// each and another kB per class in use.
	DefaultOwnerCache = 8192
	// DefaultKMSTimeout bounds one call of the KMS, so that a slow one
	// counts as down.
	DefaultKMSTimeout = 5 * time.Second
	// retryAfter is how long the KMS is left alone after it failed, so that
	// an outage does not delay every request by the timeout.
	retryAfter = 2 * time.Second
)

// Wrapped is a key wrapped by a KMS. KeyID names the wrapping key; only that
// key may be used to unwrap.
type Wrapped struct {
	KeyID string
	Blob  []byte
}

// Wrapper is what a KMS provider implements. Both methods authenticate aad.
// Unwrap returns ErrRevoked when the KMS denies the use of the key,
// ErrWrongKEK when key id, blob or aad do not fit the key, and anything else
// (ErrUnavailable) when it cannot tell now. Safe for concurrent use.
type Wrapper interface {
	Wrap(ctx context.Context, dek secret.Bytes, aad []byte) (Wrapped, error)
	Unwrap(ctx context.Context, w Wrapped, aad []byte) (secret.Bytes, error)
}

// Options of Init and Open. Table and Wrapper are required; zero durations
// and sizes mean the defaults, a negative Grace means none.
type Options struct {
	Table      repository.Table
	Wrapper    Wrapper
	KEKTTL     time.Duration
	OwnerTTL   time.Duration // at most MaxOwnerTTL
	Grace      time.Duration
	KMSTimeout time.Duration
	OwnerCache int
	Now        func() time.Time
	// Holds reports whether the data store has records of an owner. Such an
	// owner gets no new keys: the keystore must have lost the old ones. Nil
	// means that nobody can tell.
	Holds func(ctx context.Context, o repository.Owner) (bool, error)
}

// Validate reports every problem at once.
func (o Options) Validate() error {
	var errs []error
	if o.Table == nil {
		errs = append(errs, errors.New("no keystore table"))
	}
	if o.Wrapper == nil {
		errs = append(errs, errors.New("no KMS"))
	}
	if o.OwnerTTL < 0 || o.OwnerTTL > MaxOwnerTTL {
		errs = append(errs, fmt.Errorf("owner key lifetime %v is not within 0 to %v", o.OwnerTTL, MaxOwnerTTL))
	}
	if o.KEKTTL < 0 || o.KMSTimeout < 0 || o.OwnerCache < 0 {
		errs = append(errs, errors.New("negative lifetime, timeout or cache size"))
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	if o.KEKTTL == 0 {
		o.KEKTTL = DefaultKEKTTL
	}
	if o.OwnerTTL == 0 {
		o.OwnerTTL = MaxOwnerTTL
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	o.Grace = max(o.Grace, 0)
	if o.KMSTimeout == 0 {
		o.KMSTimeout = DefaultKMSTimeout
	}
	if o.OwnerCache == 0 {
		o.OwnerCache = DefaultOwnerCache
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Ring is an open keystore. Its methods may be called concurrently; it owns
// no goroutine. Storage ids, index keys, the audit index key and the
// checkpoint key are unwrapped once, at Open, and stay for its lifetime.
type Ring struct {
	opts   Options
	tenant [16]byte
	keks   kekCache
	owners *ownerCache

	storage    *prfPool
	auditIndex secret.Bytes
	checkpoint ed25519.PrivateKey

	indexMu sync.RWMutex
	index   []Epoch // oldest first, never empty

	auditMu sync.RWMutex
	audit   []Epoch

	link linkKeys

	rotateMu sync.Mutex // one RotateKEK at a time in this process
	changing sync.Mutex // held while epochs are read or written, so that memory follows the rows in their order
}

// Tenant returns the tenant's random id.
func (r *Ring) Tenant() [16]byte { return r.tenant }

// Open opens the keystore. ErrNotInitialized: the table holds none.
// ErrUnavailable: the KMS cannot be reached; ErrRevoked or ErrWrongKEK with
// it: it refuses, or another root key wrapped this keystore.
func Open(ctx context.Context, o Options) (*Ring, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("opening keystore: %w", err)
	}
	o = o.withDefaults()
	row, _, err := readTenant(ctx, o.Table)
	if err != nil {
		return nil, fmt.Errorf("opening keystore: %w", err)
	}
	r := &Ring{opts: o, tenant: row.tenant, owners: newOwnerCache(o.OwnerCache)}
	r.keks.init(o, row)
	if err := r.unsealSecrets(ctx, row); err != nil {
		return nil, fmt.Errorf("opening keystore: %w", err)
	}
	return r, nil
}

// Init makes a keystore in an empty table and opens it. It is durable on
// return. ErrInitialized: the table already holds one, which is left alone.
func Init(ctx context.Context, o Options) (*Ring, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("initialising keystore: %w", err)
	}
	od := o.withDefaults()
	if _, _, err := readTenant(ctx, o.Table); !errors.Is(err, ErrNotInitialized) {
		if err == nil {
			err = ErrInitialized
		}
		return nil, fmt.Errorf("initialising keystore: %w", err)
	}
	row, err := newTenant(ctx, od)
	if err != nil {
		return nil, fmt.Errorf("initialising keystore: %w", err)
	}
	_, err = o.Table.PutIf(ctx, []byte(tenantKey), row.encode(), 0)
	if errors.Is(err, repository.ErrConflict) {
		err = ErrInitialized
	}
	if err != nil {
		return nil, fmt.Errorf("initialising keystore: %w", err)
	}
	return Open(ctx, o)
}
