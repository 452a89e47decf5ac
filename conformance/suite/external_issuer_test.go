package suite

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/issuer/issuertest"
)

// external is a server that trusts an issuer of its own, where ann is known by
// sub, and a trap for what a token would have it call.
type external struct {
	*server
	issuer *issuertest.Provider
	sub    string
	trap   *trap
}

// issuersFile lists one provider; more are lines of its entry.
func issuersFile(t testing.TB, p *issuertest.Provider, more string) string {
	t.Helper()
	path, err := p.List(t.TempDir(), more)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func startProvider(t testing.TB) *issuertest.Provider {
	t.Helper()
	p, err := issuertest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// operator runs an operator's command, which must succeed.
func (s *server) operator(t testing.TB, args ...string) {
	t.Helper()
	args = append(args, "--data", s.dir)
	if code, stdout, stderr := command(t, args...); code != 0 {
		t.Fatalf("%v: %d %s %s", args, code, stdout, stderr)
	}
}

func newExternal(t *testing.T) *external {
	t.Helper()
	p := startProvider(t)
	e := &external{server: start(t, "--issuers", issuersFile(t, p, "  bearer: {}\n")), issuer: p, sub: rand.Text(), trap: newTrap(t)}
	e.operator(t, "user", "create", "user:ann", "--role", "role:clinician", "--link", "Practitioner/ann", "--reason", "new")
	e.operator(t, "user", "link", "user:ann", "--issuer", p.URL, "--sub", e.sub, "--reason", "works there")
	return e
}

// token is a good one, or changed.
func (e *external) token(change func(*issuertest.Token)) string {
	return e.issuer.Token(e.Base, e.sub, "user/*.rs", func(t *issuertest.Token) {
		t.Claims["fhirUser"] = e.Base + "/Practitioner/ann"
		if change != nil {
			change(t)
		}
	})
}

// refuses wants 401 without a word about why.
func (e *external) refuses(t *testing.T, name, token string) {
	t.Helper()
	a := e.do(t, nobody, "GET", "/Patient/"+e.Patient, nil, "Authorization", "Bearer "+token).outcome(http.StatusUnauthorized)
	if !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) || !strings.Contains(string(a.body), "the token is unknown, expired or revoked") {
		t.Errorf("%s: %v %s", name, a.header, a.body)
	}
}

// TestExternalIssuersTokenOpensWhatItsAccountMay: a good token, and the group
// Tokens of the abusive requests as far as an issuer's tokens go.
func TestExternalIssuersTokenOpensWhatItsAccountMay(t *testing.T) {
	t.Parallel()
	e := newExternal(t)
	good := e.token(nil)
	if status, body := e.withToken(t, good, "/Patient/"+e.Patient); status != http.StatusOK {
		t.Fatalf("%d %.300s", status, body)
	}
	if status, _ := e.withToken(t, e.token(func(j *issuertest.Token) { j.Claims["scope"] = "user/Observation.rs" }), "/Patient/"+e.Patient); status != http.StatusForbidden {
		t.Errorf("a scope that does not reach: %d", status)
	}
	if status, _ := e.withToken(t, e.token(func(j *issuertest.Token) { j.Claims["scope"] = "user/*.rs" }), "/AuditEvent?_count=1"); status != http.StatusForbidden {
		t.Errorf("a role that does not reach: %d", status)
	}
	e.attacks(t, good)
	e.operator(t, "user", "change", "user:ann", "--disable", "--reason", "left")
	e.within(t, 401, good)
	e.operator(t, "user", "change", "user:ann", "--enable", "--reason", "back")
	e.within(t, 200, good)
	e.operator(t, "user", "unlink", "user:ann", "--issuer", e.issuer.URL, "--sub", e.sub, "--reason", "no more")
	e.within(t, 401, good)
	for _, log := range []string{e.stdout.String(), e.stderr.String()} {
		if strings.Contains(log, good) || strings.Contains(log, e.sub) || strings.Contains(log, strings.SplitN(good, ".", 3)[1]) {
			t.Error("a token, or whose it is, stands in the log")
		}
	}
}

// within polls until a token is answered with the status.
func (e *external) within(t *testing.T, want int, token string) {
	t.Helper()
	e.promptly(t, fmt.Sprint("answering ", want), func() bool {
		status, _ := e.withToken(t, token, "/Patient/"+e.Patient)
		return status == want
	})
}

func (e *external) attacks(t *testing.T, good string) {
	thief, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := thief.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwk := object{"kty": "EC", "crv": "P-256", "kid": "k1", "x": base64URL(point[1:33]), "y": base64URL(point[33:])}
	header := func(name string, value any) func(*issuertest.Token) {
		return func(j *issuertest.Token) { j.Header[name] = value }
	}
	claim := func(name string, value any) func(*issuertest.Token) {
		return func(j *issuertest.Token) { j.Claims[name] = value }
	}
	now := time.Now()
	before := e.issuer.Asked("/keys")
	for name, change := range map[string]func(*issuertest.Token){
		"25 alg none":                  func(j *issuertest.Token) { j.Header["alg"], j.Key = "none", nil },
		"25 alg None with a signature": header("alg", "None"),
		"26 HS256 by the public key": func(j *issuertest.Token) {
			j.Header["alg"], j.Header["kid"], j.Key = "HS256", "rsa", e.issuer.PublicPEM()
		},
		"27 kid of a path":                 header("kid", "../../x"),
		"27 kid of SQL":                    header("kid", "k1' OR '1'='1"),
		"27 kid of 5 kB":                   header("kid", strings.Repeat("k", 5_000)),
		"27 kid of 10 kB":                  header("kid", strings.Repeat("k", 10_000)),
		"28 jku":                           header("jku", e.trap.url("/jwks")),
		"28 jku of the thief":              func(j *issuertest.Token) { j.Header["jku"], j.Key = e.trap.url("/jwks"), thief },
		"28 x5u":                           func(j *issuertest.Token) { j.Header["x5u"], j.Key = e.trap.url("/cert"), thief },
		"28 jwk of the thief":              func(j *issuertest.Token) { j.Header["jwk"], j.Key = jwk, thief },
		"a thief's signature":              func(j *issuertest.Token) { j.Key = thief },
		"29 expired":                       claim("exp", now.Add(-time.Minute).Unix()),
		"29 not yet valid":                 claim("nbf", now.Add(time.Hour).Unix()),
		"29 without an end":                func(j *issuertest.Token) { delete(j.Claims, "exp") },
		"30 wrong audience":                claim("aud", "https://other.example/fhir"),
		"30 the audience of the tokens":    claim("aud", e.origin()+"/oauth/token"),
		"30 an issuer that is not trusted": claim("iss", e.trap.url("")),
		"30 an issuer that begins alike":   claim("iss", e.issuer.URL+"/"),
		"33 an id_token":                   func(j *issuertest.Token) { j.Header["typ"], j.Claims["nonce"] = "JWT", "n" },
		"33 an id_token for us":            claim("nonce", "n"),
		"33 a refresh token":               claim("typ", "Refresh"),
		"a stranger":                       claim("sub", "stranger"),
		"an e-mail address": func(j *issuertest.Token) {
			j.Claims["sub"], j.Claims["email"] = "ann@hospital.example", "ann@hospital.example"
		},
		"a patient scope and no patient": claim("scope", "patient/*.rs"),
		"no fhirUser":                    func(j *issuertest.Token) { delete(j.Claims, "fhirUser") },
	} {
		e.refuses(t, name, e.token(change))
	}
	if n := e.trap.calls.Load(); n != 0 {
		t.Errorf("%d calls to an address that a token named", n)
	}
	for i := range 30 {
		e.refuses(t, "a guess", e.token(header("kid", fmt.Sprint("guess", i))))
	}
	if n, most := e.issuer.Asked("/keys")-before, 2+int(time.Since(now)/(30*time.Second)); n > most { // one in 30 s
		t.Errorf("%d fetches of keys for what strangers sent", n)
	}
	e.do(t, nobody, "GET", "/Patient?access_token="+good, nil).outcome(http.StatusBadRequest) // 34
	got, _ := e.raw(t, "GET /fhir/Patient/"+e.Patient+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", "Authorization: Bearer "+good+"\r\n", "Authorization: Bearer "+good+"\r\n", "\r\n")
	if codes := statuses(t, got); len(codes) != 1 || codes[0] != http.StatusBadRequest {
		t.Errorf("34 the header twice: %v", codes)
	}
}

// TestExternalIssuerThatIsAway: what nobody
// can tell is 503 and not a way in. Settings that are wrong are told.
func TestExternalIssuerThatIsAway(t *testing.T) {
	t.Parallel()
	e := newExternal(t)
	e.issuer.Misbehave(issuertest.Faults{Down: true})
	if status, body := e.withToken(t, e.token(nil), "/Patient/"+e.Patient); status != http.StatusServiceUnavailable {
		t.Errorf("no keys yet: %d %.200s", status, body)
	}
	if err := e.poll(func() bool {
		return strings.Contains(e.stderr.String(), "external issuer cannot be fetched") && strings.Contains(e.stderr.String(), "issuer/hospital")
	}); err != nil {
		t.Errorf("nobody was told: %v: %s", err, e.stderr)
	}
	code, _, stderr := command(t, "serve", "--data", folder(t), "--listen", "127.0.0.1:0", "--metrics=", "--issuers", filepath.Join(t.TempDir(), "none.yaml"))
	if code == 0 || !strings.Contains(stderr, "issuers") {
		t.Errorf("a file that is not there: %d %s", code, stderr)
	}
}
