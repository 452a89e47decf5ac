package pages

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/login"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

const (
	origin   = "https://fhir.test"
	base     = origin + "/fhir"
	redirect = "https://app.example/cb"
	verifier = "verifier-verifier-verifier-verifier-verifier"
	phrase   = "correct horse battery staple"
)

// unsealed leaves rows as they are.
type unsealed struct{}

func (unsealed) SealRow(plain []byte, _ string, _ []byte) ([]byte, error)     { return plain, nil }
func (unsealed) OpenRow(sealed []byte, _ string, _ []byte) ([]byte, error)    { return sealed, nil }
func (unsealed) StorageID(kind, value string) (id repository.StorageID)       { return prf(kind, value) }
func (unsealed) Sees(context.Context, string, string, string, []string) error { return nil }

func (unsealed) Entity(string) audit.Entity { return audit.Entity{} }

func prf(label, text string) repository.StorageID {
	h := sha256.Sum256([]byte("key\x00" + label + "\x00" + text))
	return repository.StorageID(h[:16])
}

// recorder keeps what was recorded.
type recorder struct {
	mu      sync.Mutex
	events  []audit.Event
	preAuth []string
}

func (r *recorder) Record(_ context.Context, e audit.Event) (audit.Receipt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	return audit.Receipt{}, nil
}

func (r *recorder) Queue(audit.Event) {}

func (r *recorder) RecordPreAuth(_, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.preAuth = append(r.preAuth, reason)
}

// ward holds patients; who may see which is by the claims, as the FHIR search
// decides it in the product.
type ward struct {
	mu      sync.Mutex
	asked   []token.Claims
	queries []string
	err     error
}

type patient struct{ id, family, born string }

// inWard are the patients; p9 is hidden from everybody.
var inWard = []patient{{"p1", `Ada <script>alert("p1")</script>`, "1984-07-02"}, {"p2", "Bolingbroke", "1990-01-01"}, {"p9", "Hidden", "1970-01-01"}}

func (w *ward) Search(_ context.Context, as token.Claims, _, rawQuery string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked, w.queries = append(w.asked, as), append(w.queries, rawQuery)
	if w.err != nil {
		return nil, w.err
	}
	q, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, ErrQuery
	}
	type resource map[string]any
	bundle := struct {
		ResourceType string              `json:"resourceType"`
		Link         []map[string]string `json:"link"`
		Entry        []map[string]any    `json:"entry,omitempty"`
	}{ResourceType: "Bundle"}
	for _, p := range inWard {
		sees := p.id != "p9" && (as.Patient == "" || as.Patient == p.id)
		if sees && (!q.Has("_id") || q.Get("_id") == p.id) && strings.HasPrefix(strings.ToLower(p.family), strings.ToLower(q.Get("name"))) {
			bundle.Entry = append(bundle.Entry, map[string]any{"resource": resource{"resourceType": "Patient", "id": p.id, "birthDate": p.born,
				"name": []any{map[string]any{"use": "official", "given": []string{"Dr"}, "family": p.family}}}})
		}
	}
	if !q.Has("_page") && !q.Has("_id") {
		bundle.Link = []map[string]string{{"relation": "next", "url": base + "/Patient?_page=sealed"}}
	}
	return json.Marshal(bundle)
}

// house is the authorization server with its pages.
type house struct {
	*Handler
	t        *testing.T
	server   *oauth.Server
	accounts *account.Directory
	login    *login.Service
	tokens   *token.Issuer
	clients  *client.Registry
	clock    *keyringtest.Clock
	rec      *recorder
	ward     *ward
	policy   error // why there is none
}

func newHouse(t *testing.T, change ...func(*Options)) *house {
	t.Helper()
	h := &house{t: t, clock: keyringtest.NewClock(), rec: &recorder{}, ward: &ward{}}
	h.accounts = account.NewDirectory(keyringtest.NewTable(), unsealed{})
	until := h.clock.Now().Add(24 * time.Hour)
	for _, a := range []account.Account{
		{Subject: "user:dr", Roles: []string{"role:clinician"}, Links: []string{"Practitioner/dr"}},
		{Subject: "user:ann", Roles: []string{"role:patient"}, Links: []string{"Patient/p1"}},
		{Subject: "user:chief", Roles: []string{"role:admin"}},
		{Subject: "user:mum", Roles: []string{"role:patient"}, Links: []string{"RelatedPerson/r1", "Patient/p1"}, Delegations: []account.Delegation{
			{ID: "d1", Patient: "p2", Scopes: []string{"patient/Observation.rs", "patient/Patient.rs"}, Until: until, By: "user:ann", Reason: "child"}}},
	} {
		h.must(h.accounts.Create(t.Context(), a))
	}
	var err error
	h.tokens, err = token.New(token.Options{Table: keyringtest.NewTable(), StorageID: prf, Now: h.clock.Now})
	h.must(err)
	h.login, err = login.New(login.Options{Table: keyringtest.NewTable(), Sealer: unsealed{}, Accounts: h.accounts, Origin: origin, Grants: h, Recorder: h.rec, Gatekeeper: h.rec,
		Now: h.clock.Now, NeedsFactor: func(a account.Account) bool { return a.Roles[0] == "role:admin" }})
	h.must(err)
	table := keyringtest.NewTable()
	h.clients = client.New(client.Options{Table: table, PRF: prf, CheckKeys: oauth.CheckKeys, Now: h.clock.Now})
	_, err = h.clients.Add(t.Context(), client.Client{ID: "app", Name: `Growth <b>chart</b>`, Auth: client.Public, Redirects: []string{redirect},
		Scopes: []string{"openid", "fhirUser", "offline_access", "launch", "launch/patient", "patient/*.cruds", "user/*.cruds"}})
	h.must(err)
	o := Options{Login: h.login, Accounts: h.accounts, Clients: h.clients, Patients: h.ward, Table: keyringtest.NewTable(), PRF: prf, Gatekeeper: h.rec,
		Purposes: func(account.Account) (string, []string) { return "TREAT", nil }, Policy: func() error { return h.policy }, Secure: true, Peer: func(*http.Request) string { return "192.0.2.7" }, Now: h.clock.Now}
	for _, f := range change {
		f(&o)
	}
	p := New(o)
	h.server, err = oauth.New(t.Context(), oauth.Options{Base: base, Issuer: origin + oauth.Path, Table: table, Clients: h.clients, Tokens: h.tokens, PRF: prf,
		Recorder: h.rec, Gatekeeper: h.rec, Interaction: p, ErrorPage: p.ErrorPage, Charts: unsealed{}, Now: h.clock.Now})
	h.must(err)
	h.Handler = p.Handler(h.server)
	return h
}

// EndGrants implements login.Grants.
func (h *house) EndGrants(ctx context.Context, account string) (int, error) {
	return h.server.EndGrants(ctx, account)
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// browser keeps one cookie and the page that it shows.
type browser struct {
	*house
	cookie string
	set    *http.Cookie // that the last answer set
	url    string
	status int
	header http.Header
	body   string
}

// browse opens a browser in which nobody is logged in.
func (h *house) browse() *browser { return &browser{house: h} }

// as is a browser in which somebody has proven one factor. It costs no hash of a
// password.
func (h *house) as(subject string) *browser {
	h.t.Helper()
	secret, _, err := h.login.Federated(h.t.Context(), "", "192.0.2.7", subject, []string{"pwd"}, h.clock.Now())
	h.must(err)
	return &browser{house: h, cookie: secret}
}

// enrolled is such a browser of somebody who has set the password.
func (h *house) enrolled(subject string) *browser {
	h.t.Helper()
	link, _, err := h.login.Invite(h.t.Context(), subject)
	h.must(err)
	u, err := url.Parse(link)
	h.must(err)
	secret, _, err := h.login.Accept(h.t.Context(), u.Query().Get("link"), "192.0.2.7", phrase)
	h.must(err)
	return &browser{house: h, cookie: secret}
}

func (b *browser) do(r *http.Request) *browser {
	b.t.Helper()
	if b.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "__Host-fieldseal", Value: b.cookie})
	}
	w := httptest.NewRecorder()
	if b.server.Serves(r.URL.EscapedPath()) {
		b.server.ServeHTTP(w, r)
	} else {
		b.ServeHTTP(w, r)
	}
	b.set = nil
	if set := w.Result().Cookies(); len(set) > 0 {
		b.set = set[0]
		b.cookie = set[0].Value
	}
	b.url, b.status, b.header, b.body = r.URL.RequestURI(), w.Code, w.Header(), w.Body.String()
	return b
}

func (b *browser) get(path string) *browser {
	b.t.Helper()
	return b.do(httptest.NewRequest(http.MethodGet, path, nil))
}

// follow goes on to where the answer leads, within this server.
func (b *browser) follow() *browser {
	b.t.Helper()
	for strings.HasPrefix(b.location(), "/") {
		b.get(b.location())
	}
	return b
}

func (b *browser) location() string { return b.header.Get("Location") }

// answer is what the app is sent.
func (b *browser) answer() url.Values {
	u, err := url.Parse(b.location())
	if err != nil || !strings.HasPrefix(b.location(), redirect) {
		return nil
	}
	return u.Query()
}

func (b *browser) postForm(path string, form url.Values) *browser {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

var (
	forms  = regexp.MustCompile(`(?s)<form[^>]* action="([^"]*)"[^>]*>(.*?)</form>`)
	inputs = regexp.MustCompile(`<(?:input|button)[^>]*>`)
	attr   = regexp.MustCompile(`([a-z]+)="([^"]*)"`)
)

// form is the form of the page that holds the text: its address and what it
// sends when nothing is touched, without buttons.
func (b *browser) form(with string) (action string, values url.Values) {
	b.t.Helper()
	for _, f := range forms.FindAllStringSubmatch(b.body, -1) {
		if !strings.Contains(f[0], with) {
			continue
		}
		values = url.Values{}
		for _, in := range inputs.FindAllString(f[2], -1) {
			a := map[string]string{}
			for _, m := range attr.FindAllStringSubmatch(in, -1) {
				a[m[1]] = html.UnescapeString(m[2])
			}
			ticks := a["type"] == "checkbox" || a["type"] == "radio"
			if a["name"] != "" && a["type"] != "submit" && (!ticks || strings.Contains(in, " checked")) {
				values.Add(a["name"], a["value"])
			}
		}
		return html.UnescapeString(f[1]), values
	}
	b.t.Fatalf("%d %s: no form with %q in %s", b.status, b.url, with, b.body)
	return "", nil
}

// submit sends the form that holds the text, with changes: name, value pairs.
func (b *browser) submit(with string, changes ...string) *browser {
	b.t.Helper()
	action, values := b.form(with)
	for i := 0; i+1 < len(changes); i += 2 {
		values.Set(changes[i], changes[i+1])
	}
	return b.postForm(action, values)
}

func authorizeURL(scope string, more ...string) string {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {redirect}, "scope": {scope}, "state": {"state-of-app"}, "aud": {base},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return authorizePath + "?" + q.Encode()
}

// tokens redeems the code that the browser was sent away with.
func (b *browser) redeemed() (claims token.Claims, body map[string]any) {
	b.t.Helper()
	code := b.answer().Get("code")
	if code == "" {
		b.t.Fatalf("%d, no code: %s %s", b.status, b.location(), b.body)
	}
	r := httptest.NewRequest(http.MethodPost, oauth.Path+"/token", strings.NewReader(url.Values{"grant_type": {"authorization_code"}, "code": {code},
		"redirect_uri": {redirect}, "client_id": {"app"}, "code_verifier": {verifier}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != http.StatusOK {
		b.t.Fatalf("%d %s", w.Code, w.Body)
	}
	access, _ := body["access_token"].(string)
	claims, _, _, err := b.house.tokens.Inspect(b.t.Context(), access)
	b.must(err)
	return claims, body
}
