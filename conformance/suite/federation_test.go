package suite

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/issuer/issuertest"
)

// federated is a server at which people log in at a provider.
type federated struct {
	*server
	provider *issuertest.Provider
}

func newFederated(t *testing.T) *federated {
	t.Helper()
	p := startProvider(t)
	f := &federated{server: start(t, "--issuers", issuersFile(t, p, "  amr: {pwd: [pwd], otp: [otp, mfa]}\n  login: {client_id: "+issuertest.ClientID+", client_secret_file: secret}\n")), provider: p}
	for name, sub := range map[string]string{"user:bea": "s-bea", "user:ann": "s-ann"} {
		f.operator(t, "user", "create", name, "--role", "role:nurse", "--link", "Practitioner/"+sub, "--reason", "new")
		f.operator(t, "user", "link", name, "--issuer", p.URL, "--sub", sub, "--reason", "works there")
	}
	return f
}

// surfer is a browser of one person.
type surfer struct {
	*http.Client
	f *federated
}

func (f *federated) surfer(t *testing.T) *surfer {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &surfer{&http.Client{Jar: jar, Transport: f.client.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, f}
}

// get returns status, Location and text of a page of the server.
func (b *surfer) get(t *testing.T, address string, headers ...string) (status int, location, text string) {
	t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.f.origin() + address
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(body)
}

// away leaves for the provider as sub and returns the address at which it sends
// the browser back.
func (b *surfer) away(t *testing.T, sub, next string) string {
	t.Helper()
	b.f.provider.Login(b.f.origin()+"/oauth/login/callback/hospital", object{"sub": sub, "amr": []string{"pwd", "otp"}})
	status, to, text := b.get(t, "/oauth/login/at/hospital?next="+url.QueryEscape(next), "Sec-Fetch-Site", "same-origin")
	if status != http.StatusSeeOther || !strings.HasPrefix(to, b.f.provider.URL+"/authorize?") {
		t.Fatalf("%d %s %.300s", status, to, text)
	}
	c := *b.f.provider.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Get(to)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back := resp.Header.Get("Location")
	if !strings.HasPrefix(back, b.f.origin()+"/oauth/login/callback/hospital?") {
		t.Fatalf("%d %s", resp.StatusCode, back)
	}
	return back
}

// TestLoginAtAnExternalProvider: the link, the way there and back, the session;
// then what an attacker does with it.
func TestLoginAtAnExternalProvider(t *testing.T) {
	t.Parallel()
	f := newFederated(t)
	bea := f.surfer(t)
	status, _, text := bea.get(t, "/oauth/login?next=%2Foauth%2Fapps")
	if status != http.StatusOK || !strings.Contains(text, "Sign in with Hospital login") || !strings.Contains(text, `href="/oauth/login/at/hospital?next=%2Foauth%2Fapps"`) {
		t.Fatalf("%d %s", status, text)
	}
	back := bea.away(t, "s-bea", "/oauth/apps")
	if status, to, text := bea.get(t, back, "Sec-Fetch-Site", "cross-site"); status != http.StatusSeeOther || to != "/oauth/apps" {
		t.Fatalf("%d %s %.500s", status, to, text)
	}
	if status, _, text := bea.get(t, "/oauth/account"); status != http.StatusOK || !strings.Contains(text, "bea") {
		t.Errorf("%d %.500s", status, text)
	}
	refused := func(name string, b *surfer, address, want string, headers ...string) {
		t.Helper()
		if status, to, text := b.get(t, address, headers...); status != http.StatusForbidden || to != "" || !strings.Contains(text, want) || strings.Contains(text, "s-bea") {
			t.Errorf("%s: %d %s %.600s", name, status, to, text)
		}
	}
	const again = "Start again"
	refused("a replayed answer", bea, back, again)
	victim := f.surfer(t)
	victim.get(t, "/oauth/login")
	attacker := f.surfer(t)
	refused("login CSRF", victim, attacker.away(t, "s-ann", ""), again)
	if status, to, _ := victim.get(t, "/oauth/account"); status != http.StatusSeeOther || !strings.HasPrefix(to, "/oauth/login") {
		t.Errorf("the victim is logged in: %d %s", status, to)
	}
	refused("no cookie at all", f.surfer(t), attacker.away(t, "s-ann", ""), again)
	refused("an injected code", attacker, strings.Replace(attacker.away(t, "s-ann", ""), "code=", "code=x", 1), again)
	refused("another issuer", attacker, strings.Replace(attacker.away(t, "s-ann", ""), "iss=https", "iss=http", 1), again)
	refused("a made-up state", attacker, "/oauth/login/callback/hospital?code=x&state=fsx_"+rand.Text()+rand.Text(), again)
	refused("an unknown sub", attacker, attacker.away(t, "s-nobody", ""), "Ask your administrator")
	if status, to, text := bea.get(t, bea.away(t, "s-bea", "/oauth/account/totp")); status != http.StatusSeeOther || to != "/oauth/account/totp" {
		t.Errorf("the same person steps up: %d %s %.500s", status, to, text)
	}
	refused("another person steps up", bea, bea.away(t, "s-ann", "/oauth/account"), "another person")
	refused("a link of another site", attacker, "/oauth/login/at/hospital", again, "Sec-Fetch-Site", "cross-site")
	for _, evil := range []string{"https://evil.example/", "//evil.example/", "/\\evil.example", "/oauth/../../evil"} {
		b := f.surfer(t)
		if status, to, _ := b.get(t, b.away(t, "s-ann", evil)); status != http.StatusSeeOther || to != "/oauth/account" {
			t.Errorf("open redirect by %q: %d %s", evil, status, to)
		}
	}
	if status, _, _ := attacker.get(t, "/oauth/login/at/nobody"); status != http.StatusNotFound {
		t.Errorf("an unknown provider: %d", status)
	}
	f.operator(t, "user", "change", "user:bea", "--disable", "--reason", "left")
	refused("a disabled account", attacker, attacker.away(t, "s-bea", ""), "Ask your administrator")
	if status, to, _ := bea.get(t, "/oauth/account"); status != http.StatusSeeOther || !strings.HasPrefix(to, "/oauth/login") {
		t.Errorf("a disabled account keeps its session: %d %s", status, to)
	}
	f.recorded(t)
	for _, log := range []string{f.stdout.String(), f.stderr.String()} {
		if strings.Contains(log, "s-bea") || strings.Contains(log, "fsx_") || strings.Contains(log, "code=") {
			t.Error("a secret or a sub stands in the log")
		}
	}
}

// recorded: who came from where, and who was turned away.
func (f *federated) recorded(t *testing.T) {
	t.Helper()
	events := f.auditEvents(t, privacyOfficer, "_count=100")
	for _, word := range []string{"at hospital", "federation-unknown-account at hospital", "federation-other-account at hospital", "federation-ended-account at hospital"} {
		found := false
		for _, e := range events {
			found = found || mentions(e, word)
		}
		if !found {
			t.Errorf("no event says %q", word)
		}
	}
}

// TestProviderThatIsAwayLeavesThePassword: the page says so, and nothing else
// breaks.
func TestProviderThatIsAwayLeavesThePassword(t *testing.T) {
	t.Parallel()
	f := newFederated(t)
	f.provider.Misbehave(issuertest.Faults{Down: true})
	b := f.surfer(t)
	if status, _, text := b.get(t, "/oauth/login/at/hospital"); status != http.StatusServiceUnavailable || !strings.Contains(text, "cannot be reached") {
		t.Errorf("%d %.500s", status, text)
	}
	if status, _, text := b.get(t, "/oauth/login"); status != http.StatusOK || !strings.Contains(text, `name="password"`) {
		t.Errorf("%d %.500s", status, text)
	}
}
