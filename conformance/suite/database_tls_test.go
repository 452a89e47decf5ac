package suite

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

// TestProductionOnMongoDBOverTLS: profile production speaks to a database that
// wants TLS, a client's certificate and a password (SCRAM), with the URIs in
// files, as users who have the roles of deploy/mongodb; and to nothing less.
func TestProductionOnMongoDBOverTLS(t *testing.T) {
	t.Parallel()
	d := startDatabase(t)
	mongotest.Grant(t, d.URI(), mongotest.Roles(t, "../../deploy/mongodb/roles.js"), map[string]string{"data": "ward", "keystore": "ward_keystore"})
	d.Kill()
	cert, key, pool := certificate(t)
	if err := d.StartWith("--auth", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-file", cert, "--tls-require-client-cert"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	both := filepath.Join(dir, "both.pem") // as drivers of MongoDB want it
	if err := os.WriteFile(both, append(read(t, key), read(t, cert)...), 0o600); err != nil {
		t.Fatal(err)
	}
	kek := filepath.Join(dir, "kek")
	if code, _, stderr := command(t, "keys", "create", kek); code != 0 {
		t.Fatalf("keys create: %s", stderr)
	}
	uri := func(user, database string, change func(url.Values)) string {
		at := mustParse(t, d.DatabaseAs(user, database))
		q := at.Query()
		q.Set("tls", "true")
		q.Set("tlsCAFile", cert)
		q.Set("tlsCertificateKeyFile", both)
		if change != nil {
			change(q)
		}
		at.RawQuery = q.Encode()
		return at.String()
	}
	args := func(store string) []string {
		files := map[string]string{"store": store, "keystore": uri("fieldsealKeystore", "ward_keystore", nil)}
		out := []string{"--profile", "production", "--listen", "127.0.0.1:0", "--node", "m1", "--kek-file", kek, "--kek-sealed-by-platform",
			"--witness", filepath.Join(dir, "checkpoints"), "--tls-cert", cert, "--tls-key", key}
		for name, text := range files {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			out = append(out, "--"+name+"-uri-file", path)
		}
		return out
	}
	good := uri("fieldsealData", "ward", nil)
	data := filepath.Join(dir, "data")
	s := spawn(data, args(good)...)
	s.client = httpClient(&tls.Config{RootCAs: pool})
	s.startReady(t)
	if r := s.do(t, nobody, "GET", "/metadata", nil); r.status != http.StatusOK {
		t.Errorf("metadata: %d", r.status)
	}
	if code, stdout, stderr := command(t, "user", "bootstrap", "--data", data, "user:ann"); code != 0 || !strings.Contains(stdout, s.origin()) {
		t.Errorf("bootstrap: %d %s", code, stderr)
	}
	s.stop(t)

	stranger, _, _ := certificate(t)
	for name, row := range map[string]struct{ store, says string }{
		"a certificate of somebody else": {uri("fieldsealData", "ward", func(q url.Values) { q.Set("tlsCAFile", stranger) }), "its certificate is not accepted"},
		"no certificate of its own":      {uri("fieldsealData", "ward", func(q url.Values) { q.Del("tlsCertificateKeyFile") }), "out of reach"},
		"a wrong password":               {strings.Replace(good, ":secret@", ":guessed@", 1), "refuses the credentials"},
		"another host's certificate":     {strings.Replace(good, "127.0.0.1", "localhost", 1), "its certificate is not accepted"},
		"whoever answers":                {uri("fieldsealData", "ward", func(q url.Values) { q.Set("tlsInsecure", "true") }), "TLS that verifies the server"},
		"no TLS":                         {d.DatabaseAs("fieldsealData", "ward"), "TLS that verifies the server"},
		"no credentials":                 {strings.Replace(good, "fieldsealData:secret@", "", 1), "credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := command(t, append([]string{"serve", "--data", t.TempDir()}, args(row.store)...)...)
			if code == 0 || !strings.Contains(stderr, row.says) || strings.Contains(stderr, "secret") || strings.Contains(stderr, "guessed") {
				t.Errorf("%d %s", code, stderr)
			}
		})
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
