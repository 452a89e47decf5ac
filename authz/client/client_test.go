package client

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

func prf(key string) func(label, text string) repository.StorageID {
	return func(label, text string) repository.StorageID {
		h := sha256.Sum256([]byte(key + label + "\x00" + text))
		return repository.StorageID(h[:16])
	}
}

type node struct {
	*Registry
	table *keyringtest.Table
	clock *keyringtest.Clock
}

func newNode(table *keyringtest.Table, clock *keyringtest.Clock) node {
	check := func(keys []byte) error {
		if !bytes.Contains(keys, []byte("kid")) {
			return errors.New("no key")
		}
		return nil
	}
	return node{New(Options{Table: table, PRF: prf("k"), CheckKeys: check, Now: clock.Now}), table, clock}
}

func fresh() node { return newNode(keyringtest.NewTable(), keyringtest.NewClock()) }

func app() Client {
	return Client{ID: "growth-chart", Name: "Growth Chart", Auth: SecretBasic, Redirects: []string{"https://app.example/cb"},
		Scopes: []string{"launch/patient", "patient/*.rs", "offline_access"}, Origins: []string{"https://app.example"}}
}

func service() Client {
	return Client{ID: "lab-feed", Name: "Lab feed", Auth: PrivateKeyJWT, Keys: []byte(`{"keys":[{"kid":"1"}]}`),
		Scopes: []string{"system/Observation.cruds"}, Roles: []string{"role:integration"}}
}

func TestRegisteredClientIsFound(t *testing.T) {
	t.Parallel()
	n := fresh()
	secret, err := n.Add(t.Context(), app())
	if err != nil || !strings.HasPrefix(secret, SecretPrefix) {
		t.Fatalf("%q %v", secret, err)
	}
	if none, err := n.Add(t.Context(), service()); err != nil || none != "" {
		t.Fatalf("a service got a secret: %v", err)
	}
	c, err := n.Get(t.Context(), "growth-chart")
	if err != nil || !c.SecretMatches(secret) || c.SecretMatches(secret+"x") || c.SecretMatches("") || c.Service() {
		t.Errorf("%+v %v", c, err)
	}
	all, err := n.List(t.Context())
	if err != nil || len(all) != 2 || all[1].Account() != "client:lab-feed" {
		t.Errorf("%v %v", all, err)
	}
	if _, err := n.Add(t.Context(), app()); !errors.Is(err, ErrClient) {
		t.Errorf("an id was given twice: %v", err)
	}
	for _, id := range []string{"", "nobody", "../growth-chart", strings.Repeat("a", 10_000), "growth-chart\x00"} {
		if _, err := n.Get(t.Context(), id); !errors.Is(err, ErrUnknown) {
			t.Errorf("%.20q: %v", id, err)
		}
	}
	for r, err := range n.table.Scan(t.Context(), nil) {
		if err != nil || bytes.Contains(r.Value, []byte(secret)) {
			t.Errorf("the secret is stored: %v", err)
		}
	}
}

func TestFaultyClientsAreRefused(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		from   Client
		change func(*Client)
		says   string
	}{
		{"id with a slash", app(), func(c *Client) { c.ID = "a/b" }, "the id"},
		{"the demo's id", app(), func(c *Client) { c.ID = "demo" }, "the id"},
		{"an own id", app(), func(c *Client) { c.ID = "fieldseal-cli" }, "the id"},
		{"no name", app(), func(c *Client) { c.Name = "" }, "the name"},
		{"unknown method", app(), func(c *Client) { c.Auth = "tls" }, "method"},
		{"redirect to http", app(), func(c *Client) { c.Redirects = []string{"http://app.example/cb"} }, "redirect"},
		{"redirect with a fragment", app(), func(c *Client) { c.Redirects = []string{"https://app.example/cb#x"} }, "redirect"},
		{"redirect with a pattern", app(), func(c *Client) { c.Redirects = []string{"https://*.example/cb"} }, "redirect"},
		{"redirect to a script", app(), func(c *Client) { c.Redirects = []string{"javascript:alert(1)"} }, "redirect"},
		{"origin null", app(), func(c *Client) { c.Origins = []string{"null"} }, "origin"},
		{"origin with a path", app(), func(c *Client) { c.Origins = []string{"https://app.example/"} }, "origin"},
		{"no scope", app(), func(c *Client) { c.Scopes = nil }, "scope"},
		{"unordered scope", app(), func(c *Client) { c.Scopes = []string{"patient/*.dus"} }, "not understood"},
		{"administration by whoever", app(), func(c *Client) { c.Auth, c.Scopes = Public, []string{"fieldseal/admin"} }, "that authenticate"},
		{"administration by a service", service(), func(c *Client) { c.Scopes = []string{"fieldseal/admin"} }, "none of a backend service"},
		{"system scope of an app", app(), func(c *Client) { c.Scopes = []string{"system/*.rs"} }, "backend services"},
		{"roles of an app", app(), func(c *Client) { c.Roles = []string{"role:admin"} }, "roles"},
		{"keys beside a secret", app(), func(c *Client) { c.KeysURL = "https://app.example/jwks" }, "keys"},
		{"public introspection", app(), func(c *Client) { c.Auth, c.Introspects = Public, true }, "introspect"},
		{"public service", service(), func(c *Client) { c.Auth, c.Keys = Public, nil }, "public"},
		{"service with a secret", service(), func(c *Client) { c.Auth, c.Keys = SecretBasic, nil }, "private_key_jwt"},
		{"service with a user scope", service(), func(c *Client) { c.Scopes = []string{"user/*.rs"} }, "system/"},
		{"service without roles", service(), func(c *Client) { c.Roles = nil }, "roles"},
		{"role that is none", service(), func(c *Client) { c.Roles = []string{"integration"} }, "role:NAME"},
		{"no keys", service(), func(c *Client) { c.Keys = nil }, "Key Set"},
		{"keys twice", service(), func(c *Client) { c.KeysURL = "https://lab.example/jwks" }, "Key Set"},
		{"keys by http", service(), func(c *Client) { c.Keys, c.KeysURL = nil, "http://lab.example/jwks" }, "https"},
		{"a long life of an app's tokens", app(), func(c *Client) { c.AccessSeconds = 3601 }, "at most 1h"},
		{"a long life of a service's tokens", service(), func(c *Client) { c.AccessSeconds = 301 }, "at most 5m"},
		{"a life below nothing", app(), func(c *Client) { c.AccessSeconds, c.RefreshSeconds = -1, -1 }, "refresh tokens"},
		{"refresh tokens for ever", app(), func(c *Client) { c.RefreshSeconds = 1 << 33 }, "refresh tokens"},
		{"refresh tokens of a service", service(), func(c *Client) { c.RefreshSeconds = 60 }, "has none"},
		{"a purpose of an app", app(), func(c *Client) { c.Purpose = "HRESCH" }, "purpose"},
		{"an EHR that is launched", app(), func(c *Client) { c.Scopes, c.Launches = []string{"launch", "user/*.rs"}, true }, "started"},
		{"keys that are none", service(), func(c *Client) { c.Keys = []byte(`{}`) }, "no key"},
	} {
		c := row.from
		row.change(&c)
		if _, err := fresh().Add(t.Context(), c); !errors.Is(err, ErrClient) || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	for _, uri := range []string{"https://app.example/cb?x=1", "http://127.0.0.1:4040/cb", "http://localhost/cb", "com.example.app:/cb"} {
		c := app()
		c.Redirects = []string{uri}
		if _, err := fresh().Add(t.Context(), c); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestDisabledClientAndOldSecretAreRefused(t *testing.T) {
	t.Parallel()
	n := fresh()
	other := newNode(n.table, n.clock)
	old, err := n.Add(t.Context(), app())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Get(t.Context(), "growth-chart"); err != nil {
		t.Fatal(err)
	}
	secret, err := n.RotateSecret(t.Context(), "growth-chart")
	if err != nil {
		t.Fatal(err)
	}
	n.clock.Advance(CacheTTL)
	for _, at := range []node{n, other} {
		if c, err := at.Get(t.Context(), "growth-chart"); err != nil || c.SecretMatches(old) || !c.SecretMatches(secret) {
			t.Errorf("after the rotation: %v", err)
		}
	}
	if err := n.Disable(t.Context(), "growth-chart"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Get(t.Context(), "growth-chart"); !errors.Is(err, ErrUnknown) {
		t.Errorf("disabled here: %v", err)
	}
	n.clock.Advance(CacheTTL)
	if _, err := other.Get(t.Context(), "growth-chart"); !errors.Is(err, ErrUnknown) {
		t.Errorf("disabled there: %v", err)
	}
	if c, err := n.Show(t.Context(), "growth-chart"); err != nil || c.Disabled.IsZero() {
		t.Errorf("shown: %v", err)
	}
	if _, err := n.Add(t.Context(), app()); !errors.Is(err, ErrClient) {
		t.Error("the id of a disabled client was given again")
	}
	if _, err := n.Add(t.Context(), service()); err != nil {
		t.Fatal(err)
	}
	if _, err := n.RotateSecret(t.Context(), "lab-feed"); !errors.Is(err, ErrClient) {
		t.Errorf("a secret for a client without one: %v", err)
	}
}

// TestClientWrittenIntoTheTableIsRefused: who can write the table but has no
// key can neither register nor widen nor rename a client.
func TestClientWrittenIntoTheTableIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(key, value string) (string, string){
		"wider scope":    func(k, v string) (string, string) { return k, strings.Replace(v, "Observation", "*", 1) },
		"another role":   func(k, v string) (string, string) { return k, strings.Replace(v, "role:integration", "role:admin", 1) },
		"another id":     func(_, v string) (string, string) { return "client/other", v },
		"another key":    func(k, v string) (string, string) { return k, strings.Replace(v, `"kid":"1"`, `"kid":"2"`, 1) },
		"another sum":    func(k, v string) (string, string) { i := strings.Index(v, `"sum":`); return k, v[:i] + `"sum":""}` },
		"unknown format": func(k, v string) (string, string) { return k, strings.Replace(v, `"format":1`, `"format":2`, 1) },
	} {
		n := fresh()
		if _, err := n.Add(t.Context(), service()); err != nil {
			t.Fatal(err)
		}
		stored, err := n.table.Get(t.Context(), []byte("client/lab-feed"))
		if err != nil {
			t.Fatal(err)
		}
		key, value := change("client/lab-feed", string(stored.Value))
		revision := stored.Revision
		if key != "client/lab-feed" {
			revision = 0
		} else if value == string(stored.Value) {
			t.Errorf("%s: nothing changed", name)
		}
		if _, err := n.table.PutIf(t.Context(), []byte(key), []byte(value), revision); err != nil {
			t.Fatal(err)
		}
		if c, err := n.Get(t.Context(), strings.TrimPrefix(key, "client/")); err == nil {
			t.Errorf("%s: accepted as %+v", name, c)
		}
		if _, err := n.List(t.Context()); !errors.Is(err, repository.ErrCorrupt) {
			t.Errorf("%s: listed: %v", name, err)
		}
	}
}
