// Package sealed turns FHIR resources into records that an engine may keep and
// back again. It is the only place where a resource, its keys and its engine
// meet: above it nobody knows an engine, below it nobody knows plaintext.
//
// Start with Vault. Load opens group 0 of a version and nothing else, so that a
// decision can be made first; Open and AppendOpen then open exactly the classes
// that the decision permits. Seal makes the Write of a new version: owner,
// compartments, labels, tokens and ciphertext. Nothing here decides who may do
// what.
//
// All methods may be called concurrently.
package sealed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/fieldseal/fieldseal/crypto/blind"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/compartment"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// ErrErased means that the keys of the owner were destroyed: the record is
// unreadable for ever.
var ErrErased = errors.New("owner was erased")

// ErrKeysLost means that a record exists whose keys the keystore has never
// heard of: the keystore is older than the data. Keys are durable before the
// first record that they seal, and erasure leaves a tombstone, so that nothing
// else can cause it.
var ErrKeysLost = errors.New("the keystore is older than the data: keys of a stored record are missing")

// Cipher is what the vault needs of crypto/field.Cipher.
type Cipher interface {
	Seal(dst []byte, b field.Binding, k field.Keys, h *field.Head, r *fhir.Resource) ([]byte, error)
	OpenHead(b field.Binding, k field.Keys, body []byte) (field.Head, error)
	Open(b field.Binding, k field.Keys, h *field.Head, body []byte, visible field.ClassSet) (*fhir.Resource, error)
	AppendOpen(dst []byte, b field.Binding, k field.Keys, h *field.Head, body []byte) ([]byte, error)
}

// Options are the parts of a Vault; all are required but those that say
// otherwise.
type Options struct {
	Ring         *keyring.Ring
	Cipher       Cipher
	Store        repository.Store
	Compartments *compartment.Table
	Catalog      *search.Catalog
	Policy       *IndexPolicy
	// Tokenizer makes the tokenizer of an index key; nil means blind.New. Tests
	// of the recheck give blind.NewInsecureTruncated, and no plan is exact then
	// (decision 24).
	Tokenizer func(key secret.Bytes, tenant [16]byte) *blind.Tokenizer
	// Table keeps the state of the index; it must be restored together with the
	// store. Without one every start finds the index of existing records unknown.
	Table repository.Table
	// Drain returns when every request that was under way has ended, and on every
	// other node Reload was called before. Nil means
	// that none writes or searches while the index epoch rotates.
	Drain func(context.Context) error
}

// Vault seals and opens resources.
type Vault struct {
	ring      *keyring.Ring
	cipher    Cipher
	store     repository.Store
	comp      *compartment.Table
	catalog   *search.Catalog
	policy    *IndexPolicy
	tokenizer func(key secret.Bytes, tenant [16]byte) *blind.Tokenizer
	// wholeTokens: tokens have all their bits, so that equal ones mean equal terms.
	wholeTokens bool
	index       atomic.Pointer[indexKeys]
	decoy       *Stored

	table repository.Table
	drain func(context.Context) error

	rebuildPage   int        // reindexPage; tests take less
	indexing      sync.Mutex // held by who changes the state below
	state         indexState
	stateRevision uint64
	savedState    []byte     // as it stands in the table
	settling      sync.Mutex // held by settle
	settled       atomic.Bool
}

// New returns a vault. It makes sure of the keys of the decoy that equalises
// the work for unknown ids, so it fails when the KMS does not answer.
func New(ctx context.Context, o Options) (*Vault, error) {
	v := &Vault{ring: o.Ring, cipher: o.Cipher, store: o.Store, comp: o.Compartments, catalog: o.Catalog, policy: o.Policy, tokenizer: o.Tokenizer, wholeTokens: o.Tokenizer == nil,
		table: o.Table, drain: o.Drain, rebuildPage: reindexPage}
	if v.tokenizer == nil {
		v.tokenizer = blind.New
	}
	if err := v.openIndex(ctx); err != nil {
		return nil, err
	}
	if err := v.makeDecoy(ctx); err != nil {
		return nil, fmt.Errorf("preparing the decoy record: %w", err)
	}
	return v, nil
}

// Key is the storage key of a resource.
func (v *Vault) Key(resourceType, id string) repository.Key {
	return repository.Key{Type: resourceType, ID: v.ring.StorageID(resourceType, id)}
}

// PRF is a keyed pseudorandom function over the tenant's identifiers for
// purposes that are no resource type, such as entity tags; the purpose must
// contain a colon, which no resource type does.
func (v *Vault) PRF(purpose, value string) [16]byte { return v.ring.StorageID(purpose, value) }

// Stored is one version whose group 0 is open.
type Stored struct {
	Record repository.Record
	Head   field.Head
	keys   *keyring.OwnerKeys
}

// Load returns the current version, tombstones included. It returns
// repository.ErrNotFound for an unknown id after as much work as a known one
// costs (decision 36), and ErrErased when the owner's keys are gone.
func (v *Vault) Load(ctx context.Context, k repository.Key) (*Stored, error) {
	rec, err := v.store.Get(ctx, k)
	return v.opened(ctx, rec, err)
}

// LoadVersion is Load for one version.
func (v *Vault) LoadVersion(ctx context.Context, k repository.Key, n repository.Version) (*Stored, error) {
	rec, err := v.store.GetVersion(ctx, k, n)
	return v.opened(ctx, rec, err)
}

// Loader is Load and LoadVersion, which it is for version zero and for others.
type Loader func(ctx context.Context, w repository.Wanted) (*Stored, error)

// Ahead reads versions at once where the engine can, for a caller that will ask
// for each. The loader answers with what was read here, and holds all of it; with
// other engines it asks them then.
func (v *Vault) Ahead(ctx context.Context, wanted []repository.Wanted) (Loader, error) {
	g, ok := v.store.(repository.Gatherer)
	if !ok {
		return v.load, nil
	}
	records, err := g.Gather(ctx, wanted)
	if err != nil {
		return nil, err
	}
	read := make(map[repository.Wanted]repository.Record, len(wanted))
	for i, w := range wanted {
		read[w] = records[i]
	}
	return func(ctx context.Context, w repository.Wanted) (*Stored, error) {
		rec, ok := read[w]
		if !ok {
			return v.load(ctx, w)
		}
		if rec.Version == 0 {
			return v.opened(ctx, rec, fmt.Errorf("reading %v: %w", w.Key, repository.ErrNotFound))
		}
		return v.opened(ctx, rec, nil)
	}, nil
}

func (v *Vault) load(ctx context.Context, w repository.Wanted) (*Stored, error) {
	if w.Version == 0 {
		return v.Load(ctx, w.Key)
	}
	return v.LoadVersion(ctx, w.Key, w.Version)
}

func (v *Vault) opened(ctx context.Context, rec repository.Record, err error) (*Stored, error) {
	if errors.Is(err, repository.ErrNotFound) {
		if _, derr := v.Adopt(ctx, v.decoy.Record); derr != nil {
			return nil, derr
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	return v.Adopt(ctx, rec)
}

// Adopt opens group 0 of a record that the engine returned.
func (v *Vault) Adopt(ctx context.Context, rec repository.Record) (*Stored, error) {
	keys, err := v.ring.Owner(ctx, rec.Owner)
	if err != nil {
		return nil, gone(err)
	}
	head, err := v.cipher.OpenHead(v.binding(rec), keys, rec.Body)
	if err != nil {
		return nil, fmt.Errorf("opening group 0: %w", gone(err))
	}
	if head.Owner != field.StorageID(rec.Owner) || head.Deleted != rec.Deleted || head.Updated != int64(rec.Updated) {
		return nil, fmt.Errorf("bookkeeping differs from group 0: %w", field.ErrCorrupt)
	}
	return &Stored{Record: rec, Head: head, keys: keys}, nil
}

// gone tells keys that were destroyed from keys that are missing.
func gone(err error) error {
	switch {
	case errors.Is(err, keyring.ErrErased):
		return fmt.Errorf("%w: %w", ErrErased, err)
	case errors.Is(err, keyring.ErrNoKey):
		return fmt.Errorf("%w: %w", ErrKeysLost, err)
	}
	return err
}

// Open returns the tree of the visible classes. Hidden classes are not
// decrypted.
func (v *Vault) Open(s *Stored, visible field.ClassSet) (*fhir.Resource, error) {
	return v.cipher.Open(v.binding(s.Record), s.keys, &s.Head, s.Record.Body, visible)
}

// OpenAll returns the tree of all classes and the JSON that it was read from,
// which must not be modified.
func (v *Vault) OpenAll(s *Stored) (tree *fhir.Resource, json []byte, err error) {
	if json, err = v.AppendOpen(make([]byte, 0, len(s.Record.Body)), s); err != nil {
		return nil, nil, err
	}
	tree, err = field.ParseOpened(json)
	return tree, json, err
}

// AppendOpen appends the JSON of all classes.
func (v *Vault) AppendOpen(dst []byte, s *Stored) ([]byte, error) {
	return v.cipher.AppendOpen(dst, v.binding(s.Record), s.keys, &s.Head, s.Record.Body)
}

func (v *Vault) binding(rec repository.Record) field.Binding {
	return field.Binding{Tenant: v.ring.Tenant(), Type: rec.Key.Type, Key: rec.Key.ID, Version: uint64(rec.Version)}
}

func (v *Vault) makeDecoy(ctx context.Context) error {
	key := repository.Key{Type: "Basic", ID: v.ring.StorageID("decoy:", "")}
	keys, err := v.ring.EnsureOwner(ctx, repository.Owner(key.ID))
	if err != nil {
		return err
	}
	rec := repository.Record{Key: key, Version: 1, Owner: repository.Owner(key.ID)}
	head := field.Head{ID: "decoy", Owner: field.StorageID(key.ID), Patients: []field.StorageID{field.StorageID(key.ID)}}
	tree, err := fhir.Parse([]byte(`{"resourceType":"Basic","id":"decoy","code":{"text":"decoy"}}`), fhir.DefaultLimits)
	if err != nil {
		return err
	}
	if rec.Body, err = v.cipher.Seal(nil, v.binding(rec), keys, &head, tree); err != nil {
		return err
	}
	v.decoy = &Stored{Record: rec, Head: head, keys: keys}
	return nil
}

// Forgotten reports whether the keys of everything that the patient owned were
// destroyed.
func (v *Vault) Forgotten(ctx context.Context, patient string) (bool, error) {
	return v.ring.Erased(ctx, v.PatientOwner(patient))
}

// HasKeys reports whether the patient has keys, without making any.
func (v *Vault) HasKeys(ctx context.Context, patient string) bool {
	_, err := v.ring.Owner(ctx, v.PatientOwner(patient))
	return err == nil
}
