package rest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/trace/noop"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/conformance/terminology"
	"github.com/fieldseal/fieldseal/conformance/validation"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/compartment"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

const base = "http://fhir.test/fhir"

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

// faults are parts that a test can make fail.
type faults struct {
	*trail.Trail
	*token.Issuer
	mu       sync.Mutex
	full     bool  // the trail takes nothing
	reading  bool  // the trail takes no reads
	identity error // what Verify answers
	panics   any   // what Verify panics with
	reasons  []string
}

func (f *faults) Origin() string { return "t1" }

func (f *faults) Record(ctx context.Context, e audit.Event) (audit.Receipt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full || f.reading && e.Subtype == "read" {
		return audit.Receipt{}, audit.ErrUnavailable
	}
	return f.Trail.Record(ctx, e)
}

func (f *faults) RecordPreAuth(peer, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reasons = append(f.reasons, peer+" "+reason)
}

func (f *faults) Verify(ctx context.Context, bearer, peer string) (authz.Subject, error) {
	switch {
	case f.panics != nil:
		panic(f.panics)
	case f.identity != nil:
		return authz.Subject{}, f.identity
	}
	return f.Issuer.Verify(ctx, bearer, peer)
}

// face is a Handler over real parts.
type face struct {
	*Handler
	*faults
	t *testing.T
}

func newFace(t *testing.T, change func(*Options)) *face {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := localstore.Open(t.Context(), localstore.Options{Dir: t.TempDir(), MinFree: 1, Ballast: -1, MemTable: 1 << 20, BlockCache: 1 << 20})
	must(err)
	t.Cleanup(func() { _ = store.Close() })
	ring := keyringtest.NewRing(t)
	f := &faults{}
	f.Trail, err = trail.Open(t.Context(), trail.Options{Dir: t.TempDir(), Origin: "t1", Keys: trail.NewRingKeys(ring, keyringtest.NewTable()), MinFree: 1})
	must(err)
	t.Cleanup(func() { _ = f.Close() })
	f.Issuer, err = token.New(token.Options{Table: keyringtest.NewTable(), StorageID: ring.StorageID, AllowDemo: true})
	must(err)
	reg := definition.Default()
	patient := reg.Compartment("Patient")
	decider, err := policy.New(policy.Options{Types: reg.ResourceTypes(), PatientType: func(typ string) bool { return patient.Params(typ) != nil }})
	must(err)
	classes, err := sharedClasses()
	must(err)
	cipher, err := field.NewCipher(field.Options{Table: classes, Suite: field.SuiteDerived, Tenant: ring.Tenant()})
	must(err)
	comp, err := compartment.New(compartment.Options{Definitions: reg, Bases: []string{base}})
	must(err)
	catalog, err := sharedCatalog()
	must(err)
	indexed, err := sealed.NewIndexPolicy(sealed.ProfileStandard, catalog)
	must(err)
	vault, err := sealed.New(t.Context(), sealed.Options{Ring: ring, Cipher: cipher, Store: store, Compartments: comp, Catalog: catalog, Policy: indexed})
	must(err)
	terms, err := terminology.New(terminology.Options{Source: &interaction.Definitions{Catalog: catalog, Vault: vault, Store: store}})
	must(err)
	service := interaction.New(interaction.Options{Definitions: reg, Vault: vault, Store: store, Decider: decider, Recorder: f, Trail: f,
		Tracer: trace.New(noop.NewTracerProvider()), Validator: validation.New(reg), Redactor: redact.New(reg, classes), Classes: classes,
		Catalog: catalog, Terminology: terms, Limits: fhir.DefaultLimits, Base: base, MaxEntries: 100, BundleBytes: 1 << 20})
	o := Options{Service: service, Authenticator: f, Gatekeeper: f, OpenAPI: []byte("{}"), Metadata: []byte(`{"resourceType":"CapabilityStatement"}`),
		Ready: func(context.Context) error { return nil }, Prefix: "/fhir", BodyBytes: 64 << 10, BundleBytes: 1 << 20,
		Timeout: DefaultTimeout, BundleTimeout: DefaultBundleTimeout,
		Unauthorized: func(err error) bool { return errors.Is(err, token.ErrInvalid) }}
	if change != nil {
		change(&o)
	}
	return &face{New(o), f, t}
}

// bearer is the Authorization of a demo role.
func (f *face) bearer(role string) string {
	f.t.Helper()
	claims, err := token.DemoClaims(role, "dr", "p1")
	if err != nil {
		f.t.Fatal(err)
	}
	opaque, err := f.Issue(f.t.Context(), claims)
	if err != nil {
		f.t.Fatal(err)
	}
	return "Bearer " + opaque
}

// ask sends one request as the integration client; headers are name and value
// in turn, an empty value takes a default away.
func (f *face) ask(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, in)
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("Authorization", f.bearer("integration"))
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	for i := 0; i < len(headers); i += 2 {
		if r.Header.Del(headers[i]); headers[i+1] != "" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

// status checks the status of an answer; a body of what is no success
// must be an OperationOutcome.
func (f *face) status(w *httptest.ResponseRecorder, want int, what string) {
	f.t.Helper()
	if w.Code != want {
		f.t.Errorf("%s: status %d, want %d: %.300s", what, w.Code, want, w.Body)
	}
	if w.Code >= 400 && w.Body.Len() > 0 && !strings.Contains(w.Body.String(), `"resourceType":"OperationOutcome"`) {
		f.t.Errorf("%s: %d without an OperationOutcome: %.300s", what, w.Code, w.Body)
	}
	if w.Code != http.StatusOK && w.Header().Get("X-Request-Id") == "" {
		f.t.Errorf("%s: no request id", what)
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}
