package oauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/oauth/oauthtest"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

const (
	base     = "https://fhir.test/fhir"
	issuer   = "https://fhir.test/oauth"
	redirect = "https://app.example/cb"
	verifier = "verifier-verifier-verifier-verifier-verifier"
)

// Keys of clients, made once: RSA takes its time.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey { k, _ := rsa.GenerateKey(rand.Reader, 2048); return k })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { k, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader); return k })
	p256Key  = sync.OnceValue(func() *ecdsa.PrivateKey { k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); return k })
)

// recorder keeps events in memory; down makes it refuse them.
type recorder struct {
	mu      sync.Mutex
	events  []audit.Event
	preAuth []string
	down    bool
}

func (r *recorder) Record(_ context.Context, e audit.Event) (audit.Receipt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return audit.Receipt{}, audit.ErrUnavailable
	}
	r.events = append(r.events, e)
	return audit.Receipt{}, nil
}

func (r *recorder) Queue(audit.Event) {}

func (r *recorder) RecordPreAuth(_, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.preAuth = append(r.preAuth, reason)
}

// has reports whether an event of the kind and reason was recorded.
func (r *recorder) has(subtype, reason, account string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Subtype == subtype && e.Reason == reason && e.Agent.Subject == account {
			return true
		}
	}
	return false
}

func prf(label, text string) repository.StorageID {
	h := sha256.Sum256([]byte("key\x00" + label + "\x00" + text))
	return repository.StorageID(h[:16])
}

// node is one authorization server; several may share tables.
type node struct {
	*oauth.Server
	t       testing.TB
	table   repository.Table
	tokens  *token.Issuer
	clients *client.Registry
	clock   *keyringtest.Clock
	rec     *recorder
	person  *oauthtest.Person
	calls   int // of registerRaw
}

type tables struct {
	oauth, tokens repository.Table
	clock         *keyringtest.Clock
	rec           *recorder
	person        *oauthtest.Person
}

func newTables() tables {
	t := tables{oauth: keyringtest.NewTable(), tokens: keyringtest.NewTable(), clock: keyringtest.NewClock(), rec: &recorder{}, person: &oauthtest.Person{}}
	t.person.Login(clinician())
	return t
}

func clinician() token.Claims {
	return token.Claims{Account: "user:dr", Roles: []string{"role:clinician"}, Who: "Practitioner/dr", Patient: "p1", AMR: []string{"pwd", "otp"},
		AuthTime: time.Unix(1_700_000_000, 0), Purpose: "TREAT"}
}

func open(t testing.TB, s tables, change func(*oauth.Options)) *node {
	t.Helper()
	n := &node{t: t, table: s.oauth, clock: s.clock, rec: s.rec, person: s.person}
	var err error
	n.tokens, err = token.New(token.Options{Table: s.tokens, StorageID: prf, Now: s.clock.Now})
	n.must(err)
	n.clients = client.New(client.Options{Table: s.oauth, PRF: prf, CheckKeys: oauth.CheckKeys, Now: s.clock.Now})
	o := oauth.Options{Base: base, Issuer: issuer, Table: s.oauth, Clients: n.clients, Tokens: n.tokens, PRF: prf,
		Recorder: s.rec, Gatekeeper: s.rec, Interaction: s.person, Charts: ward{}, Now: s.clock.Now}
	if change != nil {
		change(&o)
	}
	n.Server, err = oauth.New(t.Context(), o)
	n.must(err)
	return n
}

func fresh(t testing.TB) *node { t.Helper(); return open(t, newTables(), nil) }

func (n *node) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// ward lets the physician see one patient, an encounter and a study of it.
type ward struct{}

func (ward) Sees(_ context.Context, account, patient, encounter string, references []string) error {
	seen := account == "user:dr" && (patient == "" || patient == "p1") && (encounter == "" || encounter == "e1")
	for _, r := range references {
		seen = seen && r == "ImagingStudy/i1"
	}
	if !seen {
		return authz.ErrDenied
	}
	return nil
}

func (ward) Entity(patient string) audit.Entity {
	owner := prf("owner", patient)
	return audit.Entity{Type: "Patient", ID: patient, Key: owner, Patients: []audit.Owner{owner}, PatientIDs: []string{patient}}
}

const appScopes = "launch/patient openid fhirUser offline_access patient/Observation.rs patient/Patient.rs user/*.rs"

// app registers an app with a user and returns its secret.
func (n *node) app(id string, by client.Auth) string {
	n.t.Helper()
	c := client.Client{ID: id, Name: id, Auth: by, Redirects: []string{redirect, "https://app.example/other"}, Scopes: strings.Fields(appScopes), Origins: []string{"https://app.example"}}
	if by == client.PrivateKeyJWT {
		c.Keys = keySet(n.t, jose.JSONWebKey{Key: ecKey().Public(), KeyID: "ec"})
	}
	secret, err := n.clients.Add(n.t.Context(), c)
	n.must(err)
	return secret
}

// service registers a backend service.
func (n *node) service(id string, keys ...jose.JSONWebKey) {
	n.t.Helper()
	_, err := n.clients.Add(n.t.Context(), client.Client{ID: id, Name: id, Auth: client.PrivateKeyJWT, Keys: keySet(n.t, keys...),
		Scopes: []string{"system/Patient.rs", "system/Observation.rs?category=laboratory"}, Roles: []string{"role:integration"}})
	n.must(err)
}

func keySet(t testing.TB, keys ...jose.JSONWebKey) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func bothKeys() []jose.JSONWebKey {
	return []jose.JSONWebKey{{Key: rsaKey().Public(), KeyID: "rsa"}, {Key: ecKey().Public(), KeyID: "ec"}}
}

// answer is a JSON answer.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) text(name string) string { s, _ := a.body[name].(string); return s }

func (n *node) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	return w
}

// post sends a form to an endpoint.
func (n *node) post(path string, form url.Values, change ...func(*http.Request)) answer {
	n.t.Helper()
	r := httptest.NewRequestWithContext(n.t.Context(), http.MethodPost, oauth.Path+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range change {
		c(r)
	}
	w := n.do(r)
	a := answer{status: w.Code, header: w.Header()}
	_ = json.Unmarshal(w.Body.Bytes(), &a.body)
	return a
}

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// authorizeQuery is a good authorization request.
func authorizeQuery(id, scope string) url.Values {
	return url.Values{"response_type": {"code"}, "client_id": {id}, "redirect_uri": {redirect}, "scope": {scope}, "state": {"state-state"},
		"aud": {base}, "nonce": {"n-1"}, "code_challenge": {challenge()}, "code_challenge_method": {"S256"}}
}

// authorize sends an authorization request and returns where it redirects.
func (n *node) authorize(q url.Values) (status int, to url.Values, location string) {
	n.t.Helper()
	w := n.do(httptest.NewRequestWithContext(n.t.Context(), http.MethodGet, oauth.Path+"/authorize?"+q.Encode(), nil))
	u, err := url.Parse(w.Header().Get("Location"))
	n.must(err)
	return w.Code, u.Query(), w.Header().Get("Location")
}

// code is a fresh code of an app.
func (n *node) code(id, scope string) string {
	n.t.Helper()
	status, to, _ := n.authorize(authorizeQuery(id, scope))
	if status != http.StatusSeeOther || to.Get("code") == "" {
		n.t.Fatalf("status %d, %v", status, to)
	}
	return to.Get("code")
}

func redemption(id, code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "client_id": {id}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier}}
}

// granted redeems a fresh code of a public app.
func (n *node) granted(id, scope string) answer {
	n.t.Helper()
	a := n.post("/token", redemption(id, n.code(id, scope)))
	if a.status != http.StatusOK {
		n.t.Fatalf("%d %v", a.status, a.body)
	}
	return a
}

func refresh(id, secret string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "refresh_token": {secret}}
}

// assertion is what a backend service signs.
type assertion struct {
	alg    jose.SignatureAlgorithm
	key    crypto.Signer
	kid    string
	header map[jose.HeaderKey]any
	claims map[string]any
}

func (n *node) goodAssertion(id string) assertion {
	return assertion{alg: jose.ES384, key: ecKey(), kid: "ec", claims: map[string]any{"iss": id, "sub": id, "aud": issuer + "/token",
		"exp": n.clock.Now().Add(time.Minute).Unix(), "jti": token.Draw("")}}
}

func (a assertion) sign(t testing.TB) string {
	t.Helper()
	o := (&jose.SignerOptions{}).WithType("JWT")
	if a.kid != "" {
		o = o.WithHeader("kid", a.kid)
	}
	for name, value := range a.header {
		o = o.WithHeader(name, value)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: a.alg, Key: a.key}, o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(a.claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func serviceForm(assertion, scope string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {scope}, "client_assertion_type": {jwtBearer}, "client_assertion": {assertion}}
}

// valid reports whether an access token is in force.
func (n *node) valid(bearer string) bool {
	_, err := n.tokens.Verify(n.t.Context(), bearer, "")
	return err == nil
}

// refused checks an OAuth error, and that no cache keeps it.
func (n *node) refused(name string, a answer, status int, code string) {
	n.t.Helper()
	if a.status != status || a.text("error") != code || a.body["access_token"] != nil {
		n.t.Errorf("%s: %d %v, want %d %s", name, a.status, a.body, status, code)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		n.t.Errorf("%s: the error may be cached", name)
	}
}
