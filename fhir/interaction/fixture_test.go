package interaction

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/authz/consent"
	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/conformance/terminology"
	"github.com/fieldseal/fieldseal/conformance/validation"
	"github.com/fieldseal/fieldseal/crypto/blind"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/kmstest"
	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/compartment"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

const base = "http://fhir.test/fhir"

// rows are roles that the built-in policy does not have.
const rows = `
role, role:clerk, writes without seeing identifiers
p, role:clerk, record, create|read|update|delete|search, demographic|limited|contact|narrative|clinical|administrative|restricted, *, all_patients, allow
role, role:blindfold, writes without seeing versions, conceal_changes
p, role:blindfold, record, create|read|update|delete|search, *, *, all_patients, allow
role, role:reception, reads everything and writes who a patient is
p, role:reception, record, read|search, *, *, all_patients, allow
p, role:reception, Patient, create|update, identifier|demographic|limited|contact, *, all_patients, allow
role, role:porter, writes everything and reads all but restricted narrative
p, role:porter, record, read|update, *, *, all_patients, allow
p, role:porter, record, read, narrative, *, restricted_label, deny
role, role:resident, sees patients in an emergency only
p, role:resident, record, read|search, *, BTG, btg, allow
p, role:resident, record, create|update|delete, *, *, all_patients, allow
p, role:resident, record, read|search, narrative, TREAT, restricted_label, deny
role, role:study, reads all under ids of its own, pseudonymous_ids
p, role:study, *, read|search, *, *, all_patients, allow
role, role:trial, reads all under ids of its own, pseudonymous_ids|conceal_changes
p, role:trial, *, read|search, *, *, all_patients, allow
role, role:ward, writes what belongs to the own organization
p, role:ward, record, create|read|update|delete|search, *, *, org, allow
role, role:scribe, writes without seeing narrative under a restricted label
p, role:scribe, record, read|update, *, *, all_patients, allow
p, role:scribe, record, read|update, narrative, *, restricted_label, deny
role, role:doctor, sees and writes whom it cares for; up to restricted; as consents permit
p, role:doctor, record, create|read|update|delete|search, *, *, relationship & consent & label(R), allow
p, role:doctor, record, read|search, *, *, not_patient_data, allow
role, role:scholar, sees of adults what consents permit; demographics of the own authorship alone
p, role:scholar, record, read|search, clinical|limited|administrative|demographic, *, consent & adult & label(N), allow
p, role:scholar, *, read|search, demographic, *, not_author, deny
`

// recorder is the real trail with a switch.
type recorder struct {
	*trail.Trail
	mu     sync.Mutex
	down   func(audit.Event) bool
	forget bool // outcomes are lost, as in a crash
	events []audit.Event
}

// Queue hands an outcome over, unless outcomes are lost.
func (r *recorder) Queue(e audit.Event) {
	r.mu.Lock()
	forget := r.forget
	r.mu.Unlock()
	if !forget {
		r.Trail.Queue(e)
	}
}

func (r *recorder) Origin() string { return "t1" }

func (r *recorder) Record(ctx context.Context, e audit.Event) (audit.Receipt, error) {
	r.mu.Lock()
	down := r.down != nil && r.down(e)
	if !down {
		r.events = append(r.events, e)
	}
	r.mu.Unlock()
	if down {
		return audit.Receipt{}, audit.ErrUnavailable
	}
	return r.Trail.Record(ctx, e)
}

// fail makes Record fail where f says so; nil ends it.
func (r *recorder) fail(f func(audit.Event) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = f
}

func (r *recorder) last() audit.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[len(r.events)-1]
}

func always(audit.Event) bool { return true }

// shop is a service over real parts.
type shop struct {
	*Service
	t       testing.TB
	options shopOptions
	kms     *kmstest.KMS
	clock   *keyringtest.Clock
	ring    *keyring.Ring
	store   engine
	rec     *recorder
	tokens  *token.Issuer
	book    *glass.Book
	flight  sync.RWMutex // held by requests of ask
	watch   watch
}

// drain waits for the requests under way.
func (p *shop) drain(context.Context) error {
	p.flight.Lock()
	defer p.flight.Unlock()
	return nil
}

// engine is where a shop stores records.
type engine interface {
	repository.Store
	repository.Purger
	repository.Census
	Table(name string) repository.Table
	Close() error
}

// shopOptions choose the index and the engine of a shop.
type shopOptions struct {
	rows      string              // of the policy, beside the built-in ones
	scopes    map[string][]string // of roles that have others than user/*.cruds
	tokenBits uint                // 0: all
	profile   string              // empty: standard
	mongoURI  string              // empty: the embedded engine
	now       func() time.Time    // clock of the engine; nil: time.Now
	calls     *calls              // counts what is asked of the engine
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

func newShop(t testing.TB) *shop { return newShopWith(t, shopOptions{}) }

func newShopWith(t testing.TB, o shopOptions) *shop {
	t.Helper()
	p := &shop{t: t, options: o, kms: kmstest.New(), clock: keyringtest.NewClock()}
	p.openEngine()
	table := keyringtest.NewTable()
	p.ring = keyringtest.InitRing(t, keyring.Options{Table: table, Wrapper: p.kms, Now: p.clock.Now, Holds: p.store.HoldsOwner})
	tr, err := trail.Open(t.Context(), trail.Options{Dir: t.TempDir(), Origin: "t1", Keys: trail.NewRingKeys(p.ring, table), MinFree: 1})
	p.must(err)
	p.rec = &recorder{Trail: tr}
	t.Cleanup(func() { _ = tr.Close() })
	p.tokens, err = token.New(token.Options{Table: keyringtest.NewTable(), StorageID: p.ring.StorageID, AllowDemo: true})
	p.must(err)
	p.book = glass.NewBook(p.store.Table("break-glass"), p.ring, p.clock.Now)
	p.Service = p.service()
	return p
}

func (p *shop) openEngine() {
	p.t.Helper()
	if p.options.mongoURI != "" {
		database := mongotest.Database(p.t, p.options.mongoURI)
		s, err := mongostore.Open(p.t.Context(), mongostore.Options{URI: p.options.mongoURI, Database: database, Now: p.options.now, MaxSkew: time.Hour})
		p.must(err)
		p.store = s
	} else {
		s, err := localstore.Open(p.t.Context(), localstore.Options{Dir: p.t.TempDir(), MinFree: 1, Ballast: -1, MemTable: 1 << 20, BlockCache: 1 << 20, Now: p.options.now})
		p.must(err)
		p.store = s
	}
	p.t.Cleanup(func() { _ = p.store.Close() })
	if p.options.calls != nil {
		p.store = p.options.calls.of(p.store)
	}
}

func (p *shop) service() *Service {
	p.t.Helper()
	reg := definition.Default()
	patient := reg.Compartment("Patient")
	decider, err := policy.New(policy.Options{Policy: append(policy.Default(), rows+p.options.rows...), Types: reg.ResourceTypes(),
		PatientType: func(typ string) bool { return patient.Params(typ) != nil }})
	p.must(err)
	classes, err := sharedClasses()
	p.must(err)
	cipher, err := field.NewCipher(field.Options{Table: classes, Suite: field.SuiteDerived, Tenant: p.ring.Tenant()})
	p.must(err)
	comp, err := compartment.New(compartment.Options{Definitions: reg, Bases: []string{base}})
	p.must(err)
	catalog, err := sharedCatalog()
	p.must(err)
	catalog = catalog.WithBases(base)
	policy, err := sealed.NewIndexPolicy(cmp.Or(p.options.profile, sealed.ProfileStandard), catalog)
	p.must(err)
	vault, err := sealed.New(p.t.Context(), sealed.Options{Ring: p.ring, Cipher: watchedCipher{cipher, &p.watch}, Store: p.watched(), Compartments: comp, Catalog: catalog, Policy: policy, Tokenizer: p.tokenizer(), Drain: p.drain})
	p.must(err)
	terms, err := terminology.New(terminology.Options{Source: &Definitions{Catalog: catalog, Vault: vault, Store: p.store}})
	p.must(err)
	return New(Options{Definitions: reg, Vault: vault, Store: p.watched(), Decider: decider, Recorder: p.rec, Trail: p.rec,
		Tracer: trace.New(noop.NewTracerProvider()), Validator: validation.New(reg), Redactor: redact.New(reg, classes),
		Classes: classes, Catalog: catalog, Terminology: terms, Limits: fhir.DefaultLimits, Base: base, MaxEntries: 100, BundleBytes: 8 << 20,
		Unlabelled: label.Normal, ConsentBase: consent.Base{OptIn: []string{"HRESCH", "HMARKT"}},
		Glasses: p.book, Now: p.clock.Now, Replays: p.store.Table("idempotency"), ReplayLife: time.Hour})
}

func (p *shop) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// as is a call of a demo role or of one of rows.
func (p *shop) as(role string) Call {
	p.t.Helper()
	claims, err := token.DemoClaims(role, "dr", "p1")
	if err != nil {
		claims = p.claims(role)
	}
	return p.call(claims)
}

// claims are those of a role of rows.
func (p *shop) claims(role string) token.Claims {
	claims := token.Claims{Account: "user:" + role, Client: "test", Roles: []string{"role:" + role},
		Scopes: []string{"user/*.cruds"}, Purpose: "TREAT", AMR: []string{"pwd"}, Orgs: []string{"o1"}}
	if scopes, ok := p.options.scopes[role]; ok {
		claims.Scopes = scopes
	}
	switch strings.TrimRight(role, "0123456789") {
	case "doctor", "any", "pen":
		claims.Who = "Practitioner/dr"
	case "scholar":
		claims.Who, claims.Purpose = "Practitioner/sc", "HRESCH"
	}
	return claims
}

// call is one with a token of these claims.
func (p *shop) call(claims token.Claims) Call {
	p.t.Helper()
	opaque, err := p.tokens.Issue(p.t.Context(), claims)
	p.must(err)
	s, err := p.tokens.Verify(p.t.Context(), opaque, "192.0.2.1")
	p.must(err)
	traits := p.Decider.Traits(s)
	return Call{Subject: s, RequestID: "r1", traits: &traits}
}

// put stores a resource as the integration client.
func (p *shop) put(typ, id, text string) *Answer {
	p.t.Helper()
	a, err := p.Update(p.t.Context(), p.as("integration"), typ, id, []byte(text))
	p.must(err)
	return a
}

// version is the current version number, 0 when there is none.
func (p *shop) version(typ, id string) repository.Version {
	p.t.Helper()
	rec, err := p.store.Get(p.t.Context(), p.Vault.Key(typ, id))
	if err != nil && !errors.Is(err, repository.ErrNotFound) {
		p.t.Fatal(err)
	}
	return rec.Version
}

// stored counts versions in the change feed.
func (p *shop) stored() (n int) {
	p.t.Helper()
	for _, err := range p.store.Changes(p.t.Context(), "") {
		p.must(err)
		n++
	}
	return n
}

// refused checks that an interaction failed in the given way.
func (p *shop) refused(a *Answer, err error, want Kind) {
	p.t.Helper()
	var f *Failure
	if a != nil || !errors.As(err, &f) || f.Kind != want {
		p.t.Errorf("answer %v, error %v; want a failure with status %d", a != nil, err, want.Status())
	}
}

// tokenizer cuts tokens when the test wants that.
func (p *shop) tokenizer() func(secret.Bytes, [16]byte) *blind.Tokenizer {
	if p.options.tokenBits == 0 {
		return nil
	}
	return func(key secret.Bytes, tenant [16]byte) *blind.Tokenizer {
		return blind.NewInsecureTruncated(p.t, key, tenant, p.options.tokenBits)
	}
}
