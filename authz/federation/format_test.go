package federation

import (
	"bytes"
	"os"
	"testing"
	"time"
)

// frozenPending lies in testdata/format/v1 under frozenState, which never guarded
// anything.
var frozenPending = pending{Provider: "hospital", Nonce: "the-nonce", Verifier: "the-verifier", Browser: browser("fsa_browser"), Account: "user:ann",
	Next: "/oauth/account", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Expires: time.Date(2026, 1, 2, 3, 14, 5, 0, time.UTC)}

// What a release stored, every later one opens (docs/format/federation.md).
func TestFrozenRowOpens(t *testing.T) {
	t.Parallel()
	value, err := os.ReadFile("testdata/format/v1/row.json")
	if err != nil {
		t.Fatal(err)
	}
	p, err := open(frozenState, value)
	if err != nil {
		t.Fatal(err)
	}
	want := frozenPending
	if !bytes.Equal(p.Browser, want.Browser) {
		t.Errorf("%x", p.Browser)
	}
	p.Browser, want.Browser = nil, nil
	if p.Provider != want.Provider || p.Nonce != want.Nonce || p.Verifier != want.Verifier || p.Account != want.Account || p.Next != want.Next ||
		!p.Since.Equal(want.Since) || !p.Expires.Equal(want.Expires) {
		t.Errorf("%+v", p)
	}
	if _, err := open(frozenState[:len(frozenState)-1]+"B", value); err == nil {
		t.Error("another state opens it")
	}
}
