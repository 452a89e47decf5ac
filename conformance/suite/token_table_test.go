package suite

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tokens is the shared server with two backend services, whom the attacks of
// the table resemble or abuse.
type tokens struct {
	*server
	endpoint   string // of tokens
	lab, other *backend
	trap       *trap
}

// trap is an address that an attacker would have the server call.
type trap struct {
	net.Listener
	calls atomic.Int32
}

func newTrap(t *testing.T) *trap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &trap{Listener: l}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.calls.Add(1)
			_ = conn.Close()
		}
	}()
	return c
}

func (c *trap) url(path string) string { return "https://" + c.Addr().String() + path }

func newTokens(t *testing.T) *tokens {
	t.Helper()
	s := shared(t)
	c := &tokens{server: s, endpoint: s.origin() + "/oauth/token", trap: newTrap(t)}
	c.lab = register(t, s, unique("lab-"), "system/Patient.rs")
	c.other = register(t, s, unique("other-"), "system/*.cruds")
	return c
}

// refuses sends a token of the lab, after it was changed, as an assertion and
// as a bearer token.
func (c *tokens) refuses(t *testing.T, name string, change func(*jws)) {
	t.Helper()
	text := c.lab.assertion(t, c.endpoint, change)
	if status, got := c.serviceToken(t, c.endpoint, text, "system/Patient.r"); status != 401 || got["error"] != "invalid_client" || got["access_token"] != nil {
		t.Errorf("%s as an assertion: %d %v", name, status, got)
	}
	a := c.do(t, nobody, "GET", "/Patient/"+c.Patient, nil, "Authorization", "Bearer "+text).outcome(401)
	if !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("%s as a bearer: %v", name, a.header)
	}
	if strings.Contains(c.stdout.String()+c.stderr.String(), text) {
		t.Errorf("%s stands in the log", name)
	}
}

// TestTokenAttacks goes through the group Tokens of the abusive requests, line
// by line. JSON Web Tokens are tried where this server takes them, as
// assertions of clients, and where it does not, as bearer tokens. The lines that
// need a person have tests of their own: 33 TestWrongTokensOpenNothing,
// 36 TestCodeOpensNothingElsewhere, 37 TestBadAuthorizationRequestsLeadNowhere,
// 38 TestRefreshNarrowsAndRotates, 39 TestReusedRefreshTokenEndsItsFamily; 35
// needs two nodes: TestTwoNodesServeAsOne.
func TestTokenAttacks(t *testing.T) {
	t.Parallel()
	c := newTokens(t)
	for _, line := range []struct {
		says string
		is   func(t *testing.T, c *tokens)
	}{
		{"25 alg none: refused", algNone},
		{"26 HS256 signed with the RSA public key: refused", publicKeyAsSecret},
		{"27 kid ../../x, SQL, 10 kB: refused", hostileKid},
		{"28 jku, x5u, embedded jwk: refused and nothing fetched", keysOfTheAttacker},
		{"29 expired, not yet valid: refused", outsideItsTime},
		{"30 wrong audience or issuer: refused", forSomebodyElse},
		{"31 replayed jti: invalid_client", replayedAssertion},
		{"32 assertion exp +1 h: invalid_client", longAssertion},
		{"34 token in the query, or twice: 400", misplacedToken},
		{"40 registration with an internal jwks_uri: refused", internalKeySet},
	} {
		t.Run(line.says, func(t *testing.T) { line.is(t, c) })
	}
}

func algNone(t *testing.T, c *tokens) {
	for _, alg := range []string{"none", "None", "NONE", ""} {
		c.refuses(t, fmt.Sprintf("alg %q without a signature", alg), func(j *jws) { j.header["alg"], j.key = alg, nil })
		c.refuses(t, fmt.Sprintf("alg %q with one", alg), func(j *jws) { j.header["alg"] = alg })
	}
	c.refuses(t, "no alg", func(j *jws) { delete(j.header, "alg"); j.key = nil })
}

func publicKeyAsSecret(t *testing.T, c *tokens) {
	pem := c.lab.publicPEM(t)
	for name, secret := range map[string][]byte{"PEM": pem, "PEM without its end of line": pem[:len(pem)-1], "modulus": c.lab.rsa.N.Bytes(), "JWK": []byte(segment(c.lab.rsaJWK())), "nothing": {}} {
		c.refuses(t, "HS256 by the "+name, func(j *jws) { j.header["alg"], j.key = "HS256", secret })
	}
	for _, alg := range []string{"RS256", "RS512", "PS384", "ES256", "ES512", "EdDSA"} { // SMART allows RS384 and ES384
		c.refuses(t, alg, func(j *jws) { j.header["alg"] = alg })
	}
	c.refuses(t, "RS384 with a signature by ES384", func(j *jws) { j.header["alg"] = "RS384" })
}

func hostileKid(t *testing.T, c *tokens) {
	for _, kid := range []any{"../../x", "/dev/null", "k1' OR '1'='1", "k1\x00", "", strings.Repeat("k", 10_000), 1, nil, []any{"k1"}, object{"$ne": ""}} {
		c.refuses(t, fmt.Sprintf("kid %.20v", kid), func(j *jws) { j.header["kid"] = kid })
	}
	c.refuses(t, "no kid", func(j *jws) { delete(j.header, "kid") })
	c.refuses(t, "a header that must be understood", func(j *jws) { j.header["crit"], j.header["x"] = []any{"x"}, 1 })
}

// keysOfTheAttacker: the thief signs with a key of his own and says where it is.
func keysOfTheAttacker(t *testing.T, c *tokens) {
	thief := newBackend(t, c.lab.id)
	for name, value := range map[string]any{"jku": c.trap.url("/jwks"), "x5u": c.trap.url("/cert"), "jwk": thief.ecJWK(t), "x5c": []any{"MIIB"}} {
		c.refuses(t, name+" beside the right key", func(j *jws) { j.header[name] = value })
		c.refuses(t, name+" of the thief", func(j *jws) { j.header[name], j.key = value, thief.ec })
	}
	c.refuses(t, "a key that is not registered", func(j *jws) { j.key = thief.ec })
	if n := c.trap.calls.Load(); n != 0 {
		t.Errorf("%d calls to an address that the token named", n)
	}
}

func outsideItsTime(t *testing.T, c *tokens) {
	now := time.Now()
	for name, change := range map[string]func(claims object){
		"expired":               func(m object) { m["exp"] = now.Add(-time.Minute).Unix() },
		"no end":                func(m object) { delete(m, "exp") },
		"an end that is a text": func(m object) { m["exp"] = "tomorrow" },
		"not yet valid":         func(m object) { m["nbf"] = now.Add(time.Hour).Unix() },
		"made in the future":    func(m object) { m["iat"] = now.Add(time.Hour).Unix() },
	} {
		c.refuses(t, name, func(j *jws) { change(j.claims) })
	}
}

func forSomebodyElse(t *testing.T, c *tokens) {
	for name, change := range map[string]func(claims object){
		"aud of the FHIR base":        func(m object) { m["aud"] = c.Base },
		"aud of another server":       func(m object) { m["aud"] = "https://other.example/oauth/token" },
		"aud with a path behind it":   func(m object) { m["aud"] = c.endpoint + "/x" },
		"no aud":                      func(m object) { delete(m, "aud") },
		"iss and sub of another":      func(m object) { m["iss"], m["sub"] = c.other.id, c.other.id },
		"iss of another":              func(m object) { m["iss"] = c.other.id },
		"sub of another":              func(m object) { m["sub"] = c.other.id },
		"a client that is not there":  func(m object) { m["iss"], m["sub"] = "nobody", "nobody" },
		"the server's own demo users": func(m object) { m["iss"], m["sub"] = "demo", "demo" },
		"no iss":                      func(m object) { delete(m, "iss") },
	} {
		c.refuses(t, name, func(j *jws) { change(j.claims) })
	}
}

// together asks 32 times at once and returns the one success; all others are
// refused in the given way.
func together(t *testing.T, status int, code string, ask func() (int, object)) (won object) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	good := 0
	for range 32 {
		wg.Go(func() {
			got, body := ask()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case got == 200:
				won = body
				good++
			case got != status || body["error"] != code:
				t.Errorf("%d %v", got, body)
			}
		})
	}
	wg.Wait()
	if good != 1 {
		t.Fatalf("%d successes", good)
	}
	return won
}

// replayedAssertion: of 32 senders of one assertion one gets a token, and
// nobody afterwards; another issuer's jti is its own.
func replayedAssertion(t *testing.T, c *tokens) {
	jti := rand.Text()
	once := c.lab.assertion(t, c.endpoint, func(j *jws) { j.claims["jti"] = jti })
	together(t, 401, "invalid_client", func() (int, object) { return c.serviceToken(t, c.endpoint, once, "system/Patient.r") })
	same := func(j *jws) { j.claims["jti"] = jti }
	c.refuses(t, "the same jti in another assertion", same)
	if status, got := c.serviceToken(t, c.endpoint, c.other.assertion(t, c.endpoint, same), "system/Patient.r"); status != 200 {
		t.Errorf("another issuer's jti: %d %v", status, got)
	}
	c.refuses(t, "no jti", func(j *jws) { delete(j.claims, "jti") })
	c.refuses(t, "a jti of 10 kB", func(j *jws) { j.claims["jti"] = strings.Repeat("j", 10_000) })
}

func longAssertion(t *testing.T, c *tokens) {
	for _, life := range []time.Duration{6 * time.Minute, time.Hour, 24 * time.Hour, 100 * 365 * 24 * time.Hour} {
		c.refuses(t, life.String(), func(j *jws) { j.claims["exp"] = time.Now().Add(life).Unix() })
	}
}

func misplacedToken(t *testing.T, c *tokens) {
	token := c.Tokens[clinician]
	for _, query := range []string{"access_token=" + token, "_id=" + c.Patient + "&access_token=" + token} {
		c.do(t, nobody, "GET", "/Patient?"+query, nil).outcome(400)
		c.do(t, clinician, "GET", "/Patient?"+query, nil).outcome(400)
	}
	c.do(t, nobody, "POST", "/Patient/_search", "access_token="+token, "Content-Type", "application/x-www-form-urlencoded").outcome(401)
	got, _ := c.raw(t, "GET /fhir/Patient/"+c.Patient+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", c.bearer(clinician), c.bearer(clinician), "\r\n")
	if codes := statuses(t, got); len(codes) != 1 || codes[0] != 400 {
		t.Errorf("the header twice: %v", codes)
	}
	good := withAssertion(url.Values{"grant_type": {"client_credentials"}, "scope": {"system/Patient.r"}}, c.lab.assertion(t, c.endpoint, nil))
	if status, _, body := c.form(t, c.endpoint+"?"+good.Encode(), url.Values{}); status != 400 || body["access_token"] != nil {
		t.Errorf("an assertion in the query: %d %v", status, body)
	}
	good.Add("client_assertion", c.lab.assertion(t, c.endpoint, nil))
	if status, _, body := c.form(t, c.endpoint, good); status != 400 || body["access_token"] != nil {
		t.Errorf("an assertion twice: %d %v", status, body)
	}
	if strings.Contains(c.stderr.String(), token) {
		t.Error("a token of a query stands in the log")
	}
}

func internalKeySet(t *testing.T, c *tokens) {
	_, port, _ := net.SplitHostPort(c.trap.Addr().String())
	for _, at := range []string{c.trap.url("/jwks"), "http://keys.example/jwks", "https://localhost:" + port + "/jwks", "https://LOCALHOST./jwks", "https://a.localhost/jwks",
		"https://[::1]:" + port + "/jwks", "https://[::ffff:127.0.0.1]/jwks", "https://10.0.0.1/jwks", "https://192.168.1.1/jwks", "https://172.16.0.1/jwks",
		"https://169.254.169.254/latest/meta-data", "https://0.0.0.0/jwks", "https://[fd00::1]/jwks", "https://2130706433/jwks", "https://0x7f000001/jwks", "https://127.1/jwks",
		"https://intranet/jwks", "file:///etc/passwd", "https://user:pw@keys.example/jwks"} {
		id := unique("evil-")
		code, _, stderr := command(t, "client", "add", id, "--data", c.dir, "--jwks-url", at, "--role", "role:integration", "--scope", "system/*.r")
		if code == 0 {
			t.Errorf("%s was registered", at)
		}
		if strings.Contains(stderr, "panic") {
			t.Errorf("%s: %s", at, stderr)
		}
	}
	if n := c.trap.calls.Load(); n != 0 {
		t.Errorf("%d calls to an internal address", n)
	}
}
