package token

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
)

// other is an issuer that says the same of every token, and counts.
type other struct {
	claims  Claims
	expires time.Time
	err     error
	asked   int
}

func (o *other) External(context.Context, string) (Claims, time.Time, error) {
	o.asked++
	return o.claims, o.expires, o.err
}

const foreign = "aaaa.bbbb.cccc"

func newExternal(t *testing.T) (node, *other) {
	t.Helper()
	clock, table := keyringtest.NewClock(), keyringtest.NewTable()
	o := &other{claims: claims(), expires: clock.Now().Add(time.Hour)}
	i, err := New(Options{Table: table, StorageID: prf, AllowDemo: true, External: o, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return node{i, clock, table}, o
}

// TestExternalTokenIsKeptNoLongerThanOwnOnes: an account that is disabled is out
// within CacheTTL on every node, and at once on the one that did it.
func TestExternalTokenIsKeptNoLongerThanOwnOnes(t *testing.T) {
	t.Parallel()
	n, o := newExternal(t)
	for range 3 {
		if s := n.verify(t, foreign, nil); s.ID() != "user:dr-who" || s.Patient() != "mrn-4711" {
			t.Fatalf("%v", s.ID())
		}
	}
	if o.asked != 1 {
		t.Errorf("verified %d times", o.asked)
	}
	o.err = ErrInvalid
	n.clock.Advance(CacheTTL)
	n.verify(t, foreign, ErrInvalid)
	o.err = nil
	n.verify(t, foreign, nil)
	o.err = ErrInvalid
	if _, err := n.RevokeAccount(t.Context(), "user:dr-who"); err != nil {
		t.Fatal(err)
	}
	n.verify(t, foreign, ErrInvalid)
}

func TestExternalTokenEndsWhenItSays(t *testing.T) {
	t.Parallel()
	n, o := newExternal(t)
	o.expires = n.clock.Now().Add(2 * time.Second)
	n.verify(t, foreign, nil)
	n.clock.Advance(2 * time.Second)
	n.verify(t, foreign, ErrExpired)
	n.clock.Advance(CacheTTL)
	n.verify(t, foreign, ErrExpired)
}

func TestRefusedExternalTokens(t *testing.T) {
	t.Parallel()
	outage := errors.New("away")
	for name, c := range map[string]struct {
		bearer string
		change func(*other)
		want   error
	}{
		"it is too long":           {strings.Repeat("a", maxExternalBytes) + ".b.c", func(*other) {}, ErrInvalid},
		"it has two parts":         {"a.b", func(*other) {}, ErrInvalid},
		"it is encrypted":          {"a.b.c.d.e", func(*other) {}, ErrInvalid},
		"the demo client":          {foreign, func(o *other) { o.claims.Client = DemoClient }, ErrInvalid},
		"it breaks the glass":      {foreign, func(o *other) { o.claims.Purpose = "BTG" }, ErrInvalid},
		"it names no account":      {foreign, func(o *other) { o.claims.Account = "ann" }, ErrInvalid},
		"nobody can tell":          {foreign, func(o *other) { o.err = outage }, outage},
		"a role without a prefix":  {foreign, func(o *other) { o.claims.Roles = []string{"admin"} }, ErrInvalid},
		"a patient of another URL": {foreign, func(o *other) { o.claims.Patient = "../p" }, ErrInvalid},
	} {
		n, o := newExternal(t)
		c.change(o)
		if s, err := n.Verify(t.Context(), c.bearer, "peer"); !errors.Is(err, c.want) || s.Valid() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := fresh(t).Verify(t.Context(), foreign, "peer"); !errors.Is(err, ErrInvalid) {
		t.Errorf("a server without external issuers: %v", err)
	}
}

// TestExternalTokenIsNotIntrospected: RFC 7662 answers for own tokens.
func TestExternalTokenIsNotIntrospected(t *testing.T) {
	t.Parallel()
	n, _ := newExternal(t)
	if _, _, _, err := n.Inspect(t.Context(), foreign); !errors.Is(err, ErrInvalid) {
		t.Errorf("%v", err)
	}
}

func BenchmarkVerifyExternalCached(b *testing.B) {
	o := &other{claims: claims(), expires: time.Now().Add(time.Hour)}
	i, err := New(Options{Table: keyringtest.NewTable(), StorageID: prf, External: o, Now: func() time.Time { return o.expires.Add(-time.Hour) }})
	if err != nil {
		b.Fatal(err)
	}
	bearer := strings.Repeat("h", 100) + "." + strings.Repeat("c", 700) + "." + strings.Repeat("s", 86)
	for b.Loop() {
		if _, err := i.Verify(b.Context(), bearer, "192.0.2.1"); err != nil {
			b.Fatal(err)
		}
	}
}
