package login

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/login/logintest"
)

// TestPasskeys walks WebAuthn with a software authenticator, and its attacks.
func TestPasskeys(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, _ := d.enrolled("user:chief")
	key := logintest.New(origin, "fhir.test")
	options, err := d.BeginRegister(t.Context(), secret)
	d.must(err)
	answer, err := key.Register(options)
	d.must(err)
	secret, s, err := d.FinishRegister(t.Context(), secret, peer, "My <b>key\x00 ", answer)
	d.must(err)
	if s.Stage != LoggedIn || fmt.Sprint(s.AMR) != "[pwd pop user mfa]" {
		t.Errorf("%+v", s)
	}
	if _, _, err := d.FinishRegister(t.Context(), secret, peer, "again", answer); err != ErrWrong {
		t.Errorf("a registration again: %v", err)
	}
	f, err := d.Factors(t.Context(), "user:chief")
	d.must(err)
	if len(f.Passkeys) != 1 || f.Passkeys[0].Name != "My <b>key" {
		t.Errorf("%+v", f.Passkeys)
	}
	login := func(change func(*logintest.Authenticator)) ([]byte, string, error) {
		half, _, err := d.Password(t.Context(), "", peer, "chief", phrase)
		d.must(err)
		options, err := d.BeginPasskey(t.Context(), half)
		d.must(err)
		k := *key
		if change != nil {
			change(&k)
		}
		answer, err := k.Answer(options)
		d.must(err)
		key.Counter = max(key.Counter, k.Counter)
		_, s, err := d.FinishPasskey(t.Context(), half, peer, answer)
		if err == nil && s.Stage != LoggedIn {
			t.Errorf("%+v", s)
		}
		return answer, half, err
	}
	used, half, err := login(nil)
	d.must(err)
	if _, _, err := d.FinishPasskey(t.Context(), half, peer, used); !errors.Is(err, ErrNoSession) {
		t.Errorf("replayed in the same session: %v", err)
	}
	half, _, err = d.Password(t.Context(), "", peer, "chief", phrase)
	d.must(err)
	if _, err := d.BeginPasskey(t.Context(), half); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.FinishPasskey(t.Context(), half, peer, used); err != ErrWrong {
		t.Errorf("replayed under another challenge: %v", err)
	}
	if _, _, err := d.FinishPasskey(t.Context(), half, peer, used); err != ErrWrong {
		t.Errorf("a challenge twice: %v", err)
	}
	for name, change := range map[string]func(*logintest.Authenticator){
		"another origin":            func(k *logintest.Authenticator) { k.Origin = "https://fhir.test.evil.example" },
		"another relying party":     func(k *logintest.Authenticator) { k.RPID = "evil.example" },
		"without user verification": func(k *logintest.Authenticator) { k.Unverified = true },
		"a cloned counter":          func(k *logintest.Authenticator) { k.Counter = 0 },
	} {
		d.clock.Advance(3 * time.Hour)
		if _, _, err := login(change); err != ErrWrong {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := d.rec.last(); got[0] != "failure" || got[2] != "user:chief" {
		t.Error(got)
	}
}

// TestOriginByAddressHasNoPasskeys: WebAuthn names relying parties by domain.
func TestOriginByAddressHasNoPasskeys(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	o := d.Options
	o.Origin = "http://127.0.0.1:8080"
	s, err := New(o)
	if err != nil || s.Passkeys() {
		t.Error(err, s.Passkeys())
	}
	o.Origin = "nonsense"
	if _, err := New(o); err == nil {
		t.Error("nonsense is an origin")
	}
}
