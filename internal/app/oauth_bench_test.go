package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/token"
)

// BenchmarkServiceToken is a token request of a backend service over HTTP with
// all that a server does for it: signature, jti, token and audit event, the last
// three durable. Assertions (ES384) are signed beforehand.
func BenchmarkServiceToken(b *testing.B) {
	cfg := settings(b, b.TempDir())
	cfg.OAuthNetworkLimit = "none"
	a, err := Open(b.Context(), cfg, base, quiet)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = a.Close() })
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		b.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	set := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-384","kid":"k","x":%q,"y":%q}]}`, enc(point[1:49]), enc(point[49:]))
	_, err = a.clients.Add(b.Context(), client.Client{ID: "lab", Name: "lab", Auth: client.PrivateKeyJWT,
		Keys: []byte(set), Scopes: []string{"system/*.rs"}, Roles: []string{"role:integration"}})
	if err != nil {
		b.Fatal(err)
	}
	at := a.oauth.Endpoints()["token"]
	forms := make([]string, b.N)
	for i := range forms {
		forms[i] = url.Values{"grant_type": {"client_credentials"}, "scope": {"system/Patient.rs"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion(b, key, at)}}.Encode()
	}
	server := httptest.NewServer(a.root)
	defer server.Close()
	_, path, _ := strings.Cut(at, "://")
	target := server.URL + path[strings.IndexByte(path, '/'):]
	agent := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	var next atomic.Int64
	b.SetParallelism(32)
	before := cpu(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := agent.Post(target, "application/x-www-form-urlencoded", strings.NewReader(forms[next.Add(1)-1]))
			if err != nil {
				b.Error(err)
				return
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				b.Error(resp.Status)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/token")
}

// assertion is a JWT by ES384 (RFC 7518 §3.4).
func assertion(b *testing.B, key *ecdsa.PrivateKey, audience string) string {
	b.Helper()
	claims, err := json.Marshal(map[string]any{"iss": "lab", "sub": "lab", "aud": audience, "exp": time.Now().Add(4 * time.Minute).Unix(), "jti": token.Draw("")})
	if err != nil {
		b.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	text := enc([]byte(`{"alg":"ES384","typ":"JWT","kid":"k"}`)) + "." + enc(claims)
	sum := sha512.Sum384([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		b.Fatal(err)
	}
	return text + "." + enc(append(r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48))...))
}
