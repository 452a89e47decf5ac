package token

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

func TestVerifyReturnsTheClaims(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	s := n.verify(t, n.issue(t, claims()), nil)
	key, ok := s.PatientKey()
	if s.ID() != "user:dr-who" || s.Client() != "app" || s.Who() != "Practitioner/p1" || s.Patient() != "mrn-4711" ||
		!ok || key != prf("Patient", "mrn-4711") || s.Purpose() != "TREAT" || s.Address() != "127.0.0.1:5" ||
		!reflect.DeepEqual(s.Roles(), []string{"role:clinician"}) || !reflect.DeepEqual(s.Scopes(), []string{"user/*.rs"}) ||
		len(s.Orgs()) != 1 || s.Orgs()[0] != prf("Organization", "o1") {
		t.Errorf("subject %+v", s)
	}
}

func TestForgedTokensAreInvalid(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	good := n.issue(t, claims())
	if !strings.HasPrefix(good, Prefix) || len(good) != tokenLen {
		t.Fatal("token shape")
	}
	for _, bad := range []string{"", "fst_", good[:len(good)-1], good + "A", "FST_" + good[4:], strings.Repeat("A", tokenLen),
		Prefix + strings.Repeat("A", 43), " " + good, good[:10] + "!" + good[11:]} {
		n.verify(t, bad, ErrInvalid)
	}
	n.verify(t, good, nil)
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	tok := n.issue(t, claims())
	n.clock.Advance(DefaultLifetime - time.Second)
	n.verify(t, tok, nil)
	n.clock.Advance(time.Second) // still cached
	n.verify(t, tok, ErrExpired)
	n.clock.Advance(minute)
	n.verify(t, tok, ErrExpired)
}

// SMART 9 of access.md.
func TestOverlongLifetimesAreRefused(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	for _, c := range []struct {
		account  string
		lifetime time.Duration
		ok       bool
	}{
		{"user:u", MaxLifetime, true}, {"user:u", MaxLifetime + 1, false}, {"user:u", -1, false},
		{"client:c", ServiceLifetime, true}, {"client:c", ServiceLifetime + 1, false}, {"client:c", 0, true},
	} {
		cl := claims()
		cl.Account, cl.Lifetime = c.account, c.lifetime
		if _, err := n.Issue(t.Context(), cl); (err == nil) != c.ok || (err != nil && !errors.Is(err, ErrClaims)) {
			t.Errorf("%s %v: %v", c.account, c.lifetime, err)
		}
	}
}

func TestFaultyClaimsAreRefusedAllAtOnce(t *testing.T) {
	t.Parallel()
	_, err := fresh(t).Issue(t.Context(), Claims{Account: "role:clinician", Roles: []string{"clinician"}, Scopes: []string{"a b"}, Patient: "a/b", Orgs: []string{"?"}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, word := range []string{"account", "client", "role", "scope", "patient", "organization"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q is not reported: %v", word, err)
		}
	}
}

func TestDemoTokenIsRefusedOutsideTheDemo(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	for _, role := range DemoRoles() {
		c, err := DemoClaims(role, "p1", "pat1")
		if err != nil {
			t.Fatal(err)
		}
		tok := n.issue(t, c)
		n.clock.Advance(1000 * time.Hour)
		n.verify(t, tok, nil)
		prod, err := New(Options{Table: n.table, StorageID: prf, Now: n.clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := prod.Verify(t.Context(), tok, ""); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", role, err)
		}
		if _, err := prod.Issue(t.Context(), c); !errors.Is(err, ErrClaims) {
			t.Errorf("%s is issued: %v", role, err)
		}
	}
	if _, err := DemoClaims("root", "", ""); err == nil {
		t.Error("an unknown demo role")
	}
}

func TestRevokedTokenIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	other := newNode(t, n.table, n.clock)
	tok, spare := n.issue(t, claims()), n.issue(t, claims())
	n.verify(t, tok, nil)
	other.verify(t, tok, nil)
	if err := n.Revoke(t.Context(), tok); err != nil {
		t.Fatal(err)
	}
	n.verify(t, tok, ErrRevoked)
	n.verify(t, spare, nil)
	n.clock.Advance(CacheTTL) // the other node notices by then
	other.verify(t, tok, ErrRevoked)
	for _, again := range []string{tok, "unknown"} { // RFC 7009 §2.2
		if err := n.Revoke(t.Context(), again); err != nil {
			t.Error(err)
		}
	}
}

func TestRevokedAccountIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	c := claims()
	a, b := n.issue(t, c), n.issue(t, c)
	c.Account = "user:other"
	other := n.issue(t, c)
	n.verify(t, a, nil)
	if got, err := n.RevokeAccount(t.Context(), "user:dr-who"); got != 2 || err != nil {
		t.Errorf("revoked %d, %v", got, err)
	}
	n.verify(t, a, ErrRevoked)
	n.verify(t, b, ErrRevoked)
	n.verify(t, other, nil)
}

func TestRevokedClientIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	c := claims()
	a := n.issue(t, c)
	c.Client = "another"
	other := n.issue(t, c)
	n.verify(t, a, nil)
	if got, err := n.RevokeClient(t.Context(), "app"); got != 1 || err != nil {
		t.Errorf("revoked %d, %v", got, err)
	}
	n.verify(t, a, ErrRevoked)
	n.verify(t, other, nil)
}

func TestInspectTellsOnlyOfTokensInForce(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	tok := n.issue(t, claims())
	c, issued, expires, err := n.Inspect(t.Context(), tok)
	if err != nil || c.Account != "user:dr-who" || c.Client != "app" || expires.Sub(issued) != DefaultLifetime {
		t.Errorf("%+v %v", c, err)
	}
	if _, err := n.Store(t.Context(), tok, claims()); !errors.Is(err, repository.ErrConflict) {
		t.Errorf("a token was stored twice: %v", err)
	}
	if _, err := n.Store(t.Context(), "short", claims()); !errors.Is(err, ErrInvalid) {
		t.Errorf("a token that nobody drew: %v", err)
	}
	for _, other := range []*Issuer{n.Issuer, newNode(t, n.table, n.clock).Issuer} {
		if err := n.Revoke(t.Context(), tok); err != nil {
			t.Fatal(err)
		}
		if c, _, _, err := other.Inspect(t.Context(), tok); !errors.Is(err, ErrRevoked) || c.Account != "" {
			t.Errorf("a revoked token: %v", err)
		}
	}
	if _, _, _, err := n.Inspect(t.Context(), Draw(Prefix)); !errors.Is(err, ErrInvalid) {
		t.Errorf("an unknown token: %v", err)
	}
}

// A row that was read before a revocation must not reach the cache after it.
func TestRevocationDuringLoadIsNotCached(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	tok := n.issue(t, claims())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				_, _ = n.Verify(context.Background(), tok, "")
			}
		})
	}
	if err := n.Revoke(t.Context(), tok); err != nil {
		t.Fatal(err)
	}
	n.verify(t, tok, ErrRevoked)
	wg.Wait()
	n.verify(t, tok, ErrRevoked)
}

func TestStolenTableShowsNoPersonAndNoToken(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	tok := n.issue(t, claims())
	for r, err := range n.table.Scan(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		all := append(append([]byte(nil), r.Key...), r.Value...)
		for _, secret := range []string{tok, tok[len(Prefix):], "dr-who", "mrn-4711", "Practitioner/p1", "clinician"} {
			if bytes.Contains(all, []byte(secret)) {
				t.Errorf("the row holds %q", secret)
			}
		}
	}
}

func TestAlteredRowAdmitsNobody(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(string) string{
		"later expiry": func(s string) string { return strings.Replace(s, `"expires":1`, `"expires":9`, 1) },
		"other client": func(s string) string { return strings.Replace(s, `"client":"app"`, `"client":"apq"`, 1) },
		"claims":       func(s string) string { return strings.Replace(s, `"claims":"`, `"claims":"AAAA`, 1) },
		"format":       func(s string) string { return strings.Replace(s, `"format":1`, `"format":2`, 1) },
		"no JSON":      func(s string) string { return s[1:] },
	} {
		n := fresh(t)
		tok := n.issue(t, claims())
		n.rewrite(t, func(r repository.Row) []byte {
			v := change(string(r.Value))
			if v == string(r.Value) {
				t.Errorf("%s: nothing changed", name)
			}
			return []byte(v)
		})
		n.verify(t, tok, ErrInvalid)
	}
}

func TestRowOfAnotherTokenAdmitsNobody(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	strong := n.issue(t, claims())
	var value []byte
	n.rewrite(t, func(r repository.Row) []byte { value = r.Value; return r.Value })
	weak := n.issue(t, claims())
	n.rewrite(t, func(repository.Row) []byte { return value })
	n.verify(t, strong, nil)
	n.verify(t, weak, ErrInvalid)
}

func (n node) rewrite(t *testing.T, change func(repository.Row) []byte) {
	t.Helper()
	rows, err := n.rows(t.Context(), func(header) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if _, err := n.table.PutIf(t.Context(), r.Key, change(r), r.Revision); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnreadableTableAdmitsNobody(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	tok := n.issue(t, claims())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	down := newNode(t, n.table, n.clock)
	down.Issuer.table = failing{n.table}
	if s, err := down.Verify(ctx, tok, ""); err == nil || s.Valid() || errors.Is(err, ErrInvalid) || strings.Contains(err.Error(), tok) {
		t.Errorf("subject %v, error %v", s.Valid(), err)
	}
}

type failing struct{ *keyringtest.Table }

func (failing) Get(context.Context, []byte) (repository.Row, error) {
	return repository.Row{}, repository.ErrUnavailable
}

func TestSweepDeletesExpiredRowsOnly(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	old := n.issue(t, claims())
	demo, _ := DemoClaims("nurse", "", "")
	forever := n.issue(t, demo)
	n.clock.Advance(DefaultLifetime + sweepAfter)
	young := n.issue(t, claims())
	if got, err := n.Sweep(t.Context()); got != 1 || err != nil {
		t.Errorf("swept %d, %v", got, err)
	}
	n.verify(t, old, ErrInvalid)
	n.verify(t, forever, nil)
	n.verify(t, young, nil)
}

func TestCacheStaysBounded(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	for i := range cacheSize + 100 {
		n.cache.put([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, entry{loaded: n.clock.Now()}, 0)
	}
	if len(n.cache.m) > cacheSize {
		t.Errorf("%d tokens", len(n.cache.m))
	}
}

func BenchmarkVerifyCached(b *testing.B) {
	n := fresh(b)
	n.now = time.Now
	tok, ctx := n.issue(b, claims()), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := n.Verify(ctx, tok, "127.0.0.1"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyUncached(b *testing.B) {
	n := fresh(b)
	tok, ctx := n.issue(b, claims()), b.Context()
	b.ReportAllocs()
	for b.Loop() {
		n.clock.Advance(time.Microsecond)
		clear(n.cache.m)
		if _, err := n.Verify(ctx, tok, "127.0.0.1"); err != nil {
			b.Fatal(err)
		}
	}
}

// Who is logged in is a subject by the same claims, faulty ones are nobody.
func TestPresentIsASubjectWithoutAToken(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	s, err := n.Present(Claims{Account: "user:a", Client: "fieldseal-pages", Roles: []string{"role:x"}, Patient: "p1"}, "192.0.2.7")
	if err != nil || s.ID() != "user:a" || s.Patient() != "p1" || s.Address() != "192.0.2.7" || s.Purpose() != "TREAT" {
		t.Errorf("%+v %v", s, err)
	}
	for _, c := range []Claims{{}, {Account: "role:x", Client: "c"}, {Account: "user:a"}, {Account: "user:a", Client: "c", Purpose: "BTG"}} {
		if s, err := n.Present(c, ""); err == nil || s.Valid() {
			t.Errorf("%+v is somebody", c)
		}
	}
}
