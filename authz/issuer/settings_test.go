package issuer

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/issuer/issuertest"
)

func mustAddr(text string) netip.Addr { return netip.MustParseAddr(text) }

func TestSettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	const start = "issuers:\n- name: a\n  issuer: https://idp.example\n"
	folder := t.TempDir()
	put := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	put("open.txt", "secret", 0o644)
	put("empty.txt", "\n", 0o600)
	put("private.json", `{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}]}`, 0o600)
	put("shared.json", `{"keys":[{"kty":"oct","kid":"k","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}`, 0o600)
	for text, want := range map[string]string{
		"":            "lists none",
		"issuers: []": "lists none",
		"isuers: []":  "isuers",
		start:         "bearer, login or both",
		start + "  bearer: {}\n" + strings.TrimPrefix(start, "issuers:\n") + "  bearer: {}\n": "twice",
		strings.Replace(start, "https", "http", 1) + "  bearer: {}\n":                         "https URL",
		strings.Replace(start, "name: a", "name: A/b", 1) + "  bearer: {}\n":                  "name",
		start + "  bearer: {}\n  algorithms: [HS256]\n":                                       "algorithms",
		start + "  bearer: {}\n  algorithms: [none]\n":                                        "algorithms",
		start + "  bearer: {}\n  clock_skew: 1h\n":                                            "clock_skew",
		start + "  bearer: {}\n  networks: [10.0.0.1]\n":                                      "networks",
		start + "  bearer: {}\n  ca_cert: none.pem\n":                                         "ca_cert",
		start + "  bearer: {}\n  ca_cert: open.txt\n":                                         "no certificate",
		start + "  bearer: {}\n  jwks_file: private.json\n":                                   "not public",
		start + "  bearer: {}\n  jwks_file: shared.json\n":                                    "not public",
		start + "  bearer: {}\n  jwks_file: empty.txt\n":                                      "not readable",
		start + "  bearer: {}\n  jwks_url: http://idp.example/keys\n":                         "jwks_url",
		start + "  bearer: {}\n  amr: {x: [secret-handshake]}\n":                              "RFC 8176",
		start + "  bearer: {typ: JWS}\n":                                                      "bearer.typ",
		start + "  bearer: {purpose: BTG}\n":                                                  "bearer.purpose",
		start + "  bearer: {fhir_user_claim: x, fhir_user_of_account: true}\n":                "fhir_user",
		start + "  bearer: {roles_claim: groups}\n":                                           "roles_claim",
		start + "  bearer: {audience: app}\n  login: {client_id: app}\n":                      "every id_token",
		start + "  login: {}\n":                                                               "client_id",
		start + "  login: {client_id: app, scopes: [profile]}\n":                              "openid",
		start + "  login: {client_id: app, client_secret_file: open.txt}\n":                   "0600",
		start + "  login: {client_id: app, client_secret_file: empty.txt}\n":                  "empty",
		start + "  login: {client_id: app}\n  display: \"" + strings.Repeat("x", 61) + "\"\n": "display",
	} {
		if _, err := Parse([]byte(text), folder); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestExamplesOfTheDocumentationAreAccepted (docs/issuers.md).
func TestExamplesOfTheDocumentationAreAccepted(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/issuers.md")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "client-secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if _, err := Parse([]byte(block), folder); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
	if len(blocks) == 0 {
		t.Error("there is none")
	}
}

// TestKeysInAFileNeedNoIssuer: nothing is fetched.
func TestKeysInAFileNeedNoIssuer(t *testing.T) {
	t.Parallel()
	p := start(t)
	folder := t.TempDir()
	keys, err := json.Marshal(object{"keys": []object{{"kty": "RSA", "kid": "rsa", "n": encode(p.RSA.N.Bytes()), "e": "AQAB"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "keys.json"), keys, 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := Parse([]byte("issuers:\n- {name: a, issuer: \""+p.URL+"\", jwks_file: keys.json, bearer: {}}\n"), folder)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, bearing)
	w.provider = p
	if w.Set, err = New(Options{Issuers: all, Accounts: w.accounts, Base: base}); err != nil {
		t.Fatal(err)
	}
	w.admitsToken("nobody is linked there", w.ann(func(t *issuertest.Token) { t.Header["alg"], t.Header["kid"], t.Key = "RS256", "rsa", p.RSA }), refuse("account").(*Refusal).as)
	if p.Asked("/keys")+p.Asked("/.well-known/openid-configuration") != 0 {
		t.Error("something was fetched")
	}
}

// FuzzParse: no settings make it panic, and what is accepted is complete.
func FuzzParse(f *testing.F) {
	f.Add([]byte("issuers:\n- name: a\n  issuer: https://idp.example\n  bearer: {}\n"))
	f.Add([]byte("issuers:\n- name: a\n  issuer: https://idp.example\n  login: {client_id: x}\n  amr: {a: [otp]}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := Parse(text, t.TempDir())
		if err != nil {
			return
		}
		for _, s := range all {
			if s.Name == "" || s.URL == "" || len(s.algorithms) == 0 || s.Bearer == nil && s.Login == nil || s.Skew <= 0 || s.Skew > MaxSkew {
				t.Errorf("%+v", s)
			}
		}
	})
}
