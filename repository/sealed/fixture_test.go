package sealed

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/compartment"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
)

const patientJSON = `{"resourceType":"Patient","id":"p1","meta":{"security":[{"system":"s","code":"R"}]},` +
	`"identifier":[{"system":"urn:mrn","value":"4711"},{"value":"bare"},{"system":"urn:only"}],"name":[{"family":"Muster"}],` +
	`"managingOrganization":{"reference":"Organization/o1"}}`

// counting is the product's cipher with counted calls.
type counting struct {
	*field.Cipher
	heads, opens atomic.Int64
}

func (c *counting) OpenHead(b field.Binding, k field.Keys, body []byte) (field.Head, error) {
	c.heads.Add(1)
	return c.Cipher.OpenHead(b, k, body)
}

func (c *counting) Open(b field.Binding, k field.Keys, h *field.Head, body []byte, v field.ClassSet) (*fhir.Resource, error) {
	c.opens.Add(1)
	return c.Cipher.Open(b, k, h, body, v)
}

// room is a vault over a real engine and a real keyring.
type room struct {
	*Vault
	t      testing.TB
	keys   *keyringtest.Table
	engine *localstore.Store
	cipher *counting
}

func newRoom(t testing.TB) *room {
	t.Helper()
	engine, err := localstore.Open(t.Context(), localstore.Options{Dir: t.TempDir(), MinFree: 1, Ballast: -1, MemTable: 1 << 20, BlockCache: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &room{t: t, keys: keyringtest.NewTable(), engine: engine}
	r.open(keyringtest.InitRing(t, keyring.Options{Table: r.keys, Holds: engine.HoldsOwner}))
	return r
}

// open makes the vault over a ring; a test may do so again with another.
func (r *room) open(ring *keyring.Ring) {
	r.t.Helper()
	reg := definition.Default()
	classes, err := sharedClasses()
	if err != nil {
		r.t.Fatal(err)
	}
	cipher, err := field.NewCipher(field.Options{Table: classes, Suite: field.SuiteDerived, Tenant: ring.Tenant()})
	if err != nil {
		r.t.Fatal(err)
	}
	comp, err := compartment.New(compartment.Options{Definitions: reg, Bases: []string{"http://fhir.test/fhir"}})
	if err != nil {
		r.t.Fatal(err)
	}
	catalog := testCatalog(r.t)
	policy, err := NewIndexPolicy(ProfileStandard, catalog)
	if err != nil {
		r.t.Fatal(err)
	}
	r.cipher = &counting{Cipher: cipher}
	r.Vault, err = New(r.t.Context(), Options{Ring: ring, Cipher: r.cipher, Store: r.engine, Compartments: comp, Catalog: catalog, Policy: policy})
	if err != nil {
		r.t.Fatal(err)
	}
}

func parse(t testing.TB, text string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(text), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// draft seals the next version of a resource.
func (r *room) draft(text string, previous *Stored) Draft {
	r.t.Helper()
	at, err := r.engine.Stamp(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	d, err := r.Seal(r.t.Context(), parse(r.t, text), previous, at, false)
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// put commits a draft and loads what was stored.
func (r *room) put(d Draft) *Stored {
	r.t.Helper()
	if _, err := r.engine.Commit(r.t.Context(), repository.Batch{Writes: []repository.Write{d.Write}, Bump: d.Guarded}); err != nil {
		r.t.Fatal(err)
	}
	st, err := r.Load(r.t.Context(), d.Write.Record.Key)
	if err != nil {
		r.t.Fatal(err)
	}
	return st
}

// testCatalog compiles the search parameters once for all tests.
func testCatalog(t testing.TB) *search.Catalog {
	t.Helper()
	c, err := sharedCatalog()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The tables are made once for all tests; nobody changes them.
var (
	sharedClasses = sync.OnceValues(func() (*field.Table, error) { return field.DefaultTable(definition.Default()) })
	sharedCatalog = sync.OnceValues(func() (*search.Catalog, error) {
		classes, err := sharedClasses()
		if err != nil {
			return nil, err
		}
		return search.NewCatalog(definition.Default(), classes)
	})
)
