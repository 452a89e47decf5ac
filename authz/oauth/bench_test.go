package oauth_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/fieldseal/fieldseal/repository/localstore"
)

// BenchmarkServiceToken is a token request with an assertion that was signed
// beforehand, over the embedded engine.
// The first line is the verification of a signature alone, which is the bound.
func BenchmarkServiceToken(b *testing.B) {
	b.Run("verification", func(b *testing.B) {
		text := open(b, newTables(), nil).goodAssertion("lab").sign(b)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES384})
				if err == nil {
					_, err = signed.Verify(ecKey().Public())
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signatures/s")
	})
	for _, alg := range []struct {
		alg jose.SignatureAlgorithm
		kid string
	}{{jose.ES384, "ec"}, {jose.RS384, "rsa"}} {
		b.Run(string(alg.alg), func(b *testing.B) {
			engine, err := localstore.Open(b.Context(), localstore.Options{Dir: b.TempDir(), MinFree: 1, Ballast: -1})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = engine.Close() })
			s := newTables()
			s.oauth, s.tokens = engine.Table("oauth"), engine.Table("tokens")
			n := open(b, s, nil)
			n.service("lab", bothKeys()...)
			signed := make([]string, b.N)
			for i := range signed {
				as := n.goodAssertion("lab")
				as.alg, as.kid = alg.alg, alg.kid
				if alg.kid == "rsa" {
					as.key = rsaKey()
				}
				signed[i] = as.sign(b)
			}
			var next atomic.Int64
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if a := n.post("/token", serviceForm(signed[next.Add(1)-1], "system/Patient.r")); a.status != http.StatusOK {
						b.Errorf("%d %v", a.status, a.body)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
