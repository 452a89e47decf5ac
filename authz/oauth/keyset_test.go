package oauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
)

// keyServer serves a client's key set over https on the loopback.
type keyServer struct {
	*httptest.Server
	asked   atomic.Int32
	handler atomic.Value // http.HandlerFunc
}

func newKeyServer(t *testing.T, h http.HandlerFunc) *keyServer {
	t.Helper()
	k := &keyServer{}
	k.handler.Store(h)
	k.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.asked.Add(1)
		k.handler.Load().(http.HandlerFunc)(w, r)
	}))
	t.Cleanup(k.Close)
	return k
}

func serving(body []byte, cacheControl string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if cacheControl != "" {
			w.Header().Set("Cache-Control", cacheControl)
		}
		_, _ = w.Write(body)
	}
}

// remote is a node with a service whose keys lie behind a URL.
func remote(t *testing.T, k *keyServer, url string, reachable func(netip.Addr) bool) *node {
	t.Helper()
	n := open(t, newTables(), func(o *oauth.Options) {
		o.Reachable, o.Transport = reachable, k.Client().Transport.(*http.Transport)
	})
	_, err := n.clients.Add(t.Context(), client.Client{ID: "lab", Name: "lab", Auth: client.PrivateKeyJWT, KeysURL: url, Scopes: []string{"system/*.r"}, Roles: []string{"role:x"}})
	n.must(err)
	return n
}

func anywhere(netip.Addr) bool { return true }

func (n *node) serviceToken(change func(*assertion)) answer {
	as := n.goodAssertion("lab")
	if change != nil {
		change(&as)
	}
	return n.post("/token", serviceForm(as.sign(n.t), "system/*.r"))
}

func TestKeysBehindAURLAreFetchedAndKept(t *testing.T) {
	t.Parallel()
	ec := keySet(t, jose.JSONWebKey{Key: ecKey().Public(), KeyID: "ec"})
	for _, row := range []struct {
		cacheControl string
		after        time.Duration
		asked        int32
	}{
		{"", 4 * time.Minute, 1}, {"", 5 * time.Minute, 2}, {"max-age=60", 59 * time.Second, 1}, {"max-age=60", 61 * time.Second, 2},
		{"max-age=86400", 5 * time.Minute, 2}, {"no-store", time.Second, 2}, {"private, no-cache", time.Second, 2}, {"max-age=-1", time.Second, 2},
	} {
		k := newKeyServer(t, serving(ec, row.cacheControl))
		n := remote(t, k, k.URL+"/jwks", anywhere)
		for range 2 {
			if a := n.serviceToken(func(a *assertion) { a.header = map[jose.HeaderKey]any{"jku": k.URL + "/jwks"} }); a.status != http.StatusOK {
				t.Fatalf("%d %v", a.status, a.body)
			}
			n.clock.Advance(row.after)
		}
		if k.asked.Load() != row.asked {
			t.Errorf("%q, %v later: asked %d times", row.cacheControl, row.after, k.asked.Load())
		}
	}
}

// TestNewKeyIsFoundAndAGuessIsNot: a rotated key is fetched, and nobody makes
// the server ask again and again.
func TestNewKeyIsFoundAndAGuessIsNot(t *testing.T) {
	t.Parallel()
	k := newKeyServer(t, serving(keySet(t, jose.JSONWebKey{Key: rsaKey().Public(), KeyID: "rsa"}), ""))
	n := remote(t, k, k.URL, anywhere)
	for range 5 {
		n.refused("unknown kid", n.serviceToken(nil), http.StatusUnauthorized, "invalid_client")
	}
	if k.asked.Load() != 1 {
		t.Errorf("asked %d times", k.asked.Load())
	}
	k.handler.Store(serving(keySet(t, jose.JSONWebKey{Key: ecKey().Public(), KeyID: "ec"}), ""))
	n.clock.Advance(30 * time.Second)
	if a := n.serviceToken(nil); a.status != http.StatusOK {
		t.Errorf("the rotated key: %d %v", a.status, a.body)
	}
	n.clock.Advance(5 * time.Minute)
	k.handler.Store(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	before := k.asked.Load()
	for range 5 {
		n.refused("the set is away", n.serviceToken(nil), http.StatusUnauthorized, "invalid_client")
	}
	if got := k.asked.Load() - before; got != 1 {
		t.Errorf("a failing server is asked %d times", got)
	}
}

// TestKeySetURLReachesNoInternalAddress: abuse 40.
func TestKeySetURLReachesNoInternalAddress(t *testing.T) {
	t.Parallel()
	good := keySet(t, jose.JSONWebKey{Key: ecKey().Public(), KeyID: "ec"})
	k := newKeyServer(t, serving(good, ""))
	port := k.URL[strings.LastIndex(k.URL, ":"):]
	for _, url := range []string{k.URL, "https://localhost" + port, "https://[::1]" + port, "https://[::ffff:127.0.0.1]" + port, "https://0.0.0.0" + port} {
		n := remote(t, k, url, nil)
		n.refused(url, n.serviceToken(nil), http.StatusUnauthorized, "invalid_client")
	}
	if k.asked.Load() != 0 {
		t.Error("an internal server was asked")
	}
	for name, h := range map[string]http.HandlerFunc{
		"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) },
		"too large": serving(append(good, make([]byte, 70_000)...), ""),
		"no set":    serving([]byte("<html>"), ""),
	} {
		bad := newKeyServer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/other" {
				serving(good, "")(w, r)
				return
			}
			h(w, r)
		})
		n := remote(t, bad, bad.URL, anywhere)
		n.refused(name, n.serviceToken(nil), http.StatusUnauthorized, "invalid_client")
		if bad.asked.Load() != 1 {
			t.Errorf("%s: asked %d times", name, bad.asked.Load())
		}
	}
}

// TestKeySetOfAnInternalHostIsNotRegistered: abuse 40.
func TestKeySetOfAnInternalHostIsNotRegistered(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{"keys.example": true, "keys.example.": true, "a.b.example:8443": true, "8.8.8.8": true, "[2606:4700::1111]": true,
		"localhost": false, "LOCALHOST.": false, "a.localhost": false, "intranet": false, "printer.local": false, "keys.internal": false, "1.0.0.127.in-addr.arpa": false,
		"127.0.0.1:1": false, "10.0.0.1": false, "[::1]": false, "[::ffff:10.0.0.1]": false, "127.1": false, "0x7f.1": false, "2130706433": false, ".": false} {
		if err := oauth.CheckKeysURL("https://" + host + "/jwks"); (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}
