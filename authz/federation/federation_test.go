package federation

import (
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/issuer/issuertest"
)

type object = issuertest.Object

func TestLoginAtTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, "")
	if got := w.Providers(); !reflect.DeepEqual(got, []Provider{{"hospital", "Hospital login"}}) {
		t.Errorf("%v", got)
	}
	at := w.start(w.flow())
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	for name, want := range map[string]string{"response_type": "code", "client_id": issuertest.ClientID, "redirect_uri": origin + "/oauth/login/callback/hospital",
		"scope": "openid", "code_challenge_method": "S256", "max_age": "43200", "prompt": ""} {
		if q.Get(name) != want {
			t.Errorf("%s is %q", name, q.Get(name))
		}
	}
	if len(q.Get("code_challenge")) != 43 || len(q.Get("nonce")) != 43 || strings.Contains(at, "browser") || strings.Contains(at, "client_id%3Dapp") {
		t.Errorf("the address: %s", at)
	}
	done, err := w.finish("fsa_browser", w.browse(at))
	if err != nil || done.Secret != "fss_new" || done.Next != next || done.Session.Account != "user:ann" {
		t.Fatalf("%+v %v", done, err)
	}
	s := w.sessions[0]
	if s.old != "fsa_browser" || s.account != "user:ann" || !reflect.DeepEqual(s.amr, []string{"pwd", "otp", "mfa"}) || s.at.IsZero() {
		t.Errorf("%+v", s)
	}
	if !w.hasEvent("federation", "user:ann", "at hospital") {
		t.Errorf("%+v", w.events)
	}
	for r := range w.table.Scan(t.Context(), nil) {
		t.Errorf("a row is left: %q", r.Key)
	}
}

// TestStrangersAreToldTheSame: unknown here, ended, or no person; each is an event.
func TestStrangersAreToldTheSame(t *testing.T) {
	t.Parallel()
	for sub, want := range map[string]struct{ subject, reason string }{
		"s-nobody": {"", "federation-unknown-account at hospital"},
		"s-left":   {"user:left", "federation-ended-account at hospital"},
		"s-engine": {"client:engine", "federation-ended-account at hospital"},
		"ann":      {"", "federation-unknown-account at hospital"},
	} {
		w := newWorld(t)
		w.person(sub)
		if _, err := w.finish("fsa_browser", w.browse(w.start(w.flow()))); err != ErrUnknown { //nolint:errorlint // the very error
			t.Errorf("%s: %v", sub, err)
		}
		if !w.hasEvent("failure", want.subject, want.reason) {
			t.Errorf("%s: %+v", sub, w.events)
		}
		w.nobody(sub)
	}
	w := newWorld(t)
	q := w.browse(w.start(w.flow()))
	w.down = audit.ErrUnavailable
	if _, err := w.finish("fsa_browser", q); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("without the trail: %v", err)
	}
	w.nobody("without the trail")
}

// TestStepUpIsFreshAndTheSamePersons.
func TestStepUpIsFreshAndTheSamePersons(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	again := w.flow()
	again.Again, again.Account = true, "user:ann"
	at := w.start(again)
	if !strings.Contains(at, "prompt=login") || !strings.Contains(at, "max_age=0") {
		t.Errorf("%s", at)
	}
	if _, err := w.finish("fsa_browser", w.browse(at)); err != nil || w.sessions[0].at.Before(time.Now().Add(-5*time.Minute)) {
		t.Errorf("%v %+v", err, w.sessions)
	}
	aged := w.flow()
	aged.MaxAge = 15 * time.Minute
	if at := w.start(aged); !strings.Contains(at, "max_age=900") {
		t.Errorf("%s", at)
	}
	for name, change := range map[string]func(*issuertest.Token){
		"it ignores what was asked": func(t *issuertest.Token) { t.Claims["auth_time"] = time.Now().Add(-time.Hour).Unix() },
		"it does not say when":      func(t *issuertest.Token) { delete(t.Claims, "auth_time") },
	} {
		w := newWorld(t)
		w.provider.Misbehave(issuertest.Faults{IDToken: change})
		for _, f := range []Flow{again, aged} {
			if _, err := w.finish("fsa_browser", w.browse(w.start(f))); !errors.Is(err, ErrRefused) || w.lastCounted() != "federation-id-token-auth-time" {
				t.Errorf("%s: %v %s", name, err, w.lastCounted())
			}
		}
		w.nobody(name)
	}
	w = newWorld(t)
	w.person("s-bob")
	if _, err := w.finish("fsa_browser", w.browse(w.start(again))); !errors.Is(err, ErrOther) || !w.hasEvent("failure", "user:bob", "federation-other-account at hospital") {
		t.Errorf("another person: %v %+v", err, w.events)
	}
	w.nobody("another person")
}

// TestUnmappedMethodsAreASingleFactor, and no time is no time.
func TestUnmappedMethodsAreASingleFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.provider.Misbehave(issuertest.Faults{IDToken: func(t *issuertest.Token) {
		t.Claims["amr"], t.Claims["acr"] = []string{"mfa", "hwk", "fido"}, "urn:gold"
		delete(t.Claims, "auth_time")
	}})
	if _, err := w.finish("fsa_browser", w.browse(w.start(w.flow()))); err != nil || len(w.sessions[0].amr) != 0 || !w.sessions[0].at.IsZero() {
		t.Errorf("%v %+v", err, w.sessions)
	}
}

func TestProviderThatSaysNoOrNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.provider.Misbehave(issuertest.Faults{Redirect: func(o object) { delete(o, "code"); o["error"] = "access_denied" }})
	if _, err := w.finish("fsa_browser", w.browse(w.start(w.flow()))); !errors.Is(err, ErrDeclined) {
		t.Errorf("declined: %v", err)
	}
	w.provider.Misbehave(issuertest.Faults{})
	q := w.browse(w.start(w.flow()))
	w.provider.Misbehave(issuertest.Faults{Down: true})
	if _, err := w.finish("fsa_browser", q); !errors.Is(err, ErrAway) {
		t.Errorf("down: %v", err)
	}
	w = newWorld(t)
	w.provider.Misbehave(issuertest.Faults{Down: true})
	if _, err := w.Start(t.Context(), peer, w.flow()); !errors.Is(err, ErrAway) {
		t.Errorf("down from the start: %v", err)
	}
	w.nobody("no answer")
	// A secret that is not the one registered is the operator's mistake.
	w = newWorld(t)
	w.Issuers.Login()[0].Settings.Login.Secret = "another"
	if _, err := w.finish("fsa_browser", w.browse(w.start(w.flow()))); !errors.Is(err, ErrAway) || w.lastCounted() != "federation-client" {
		t.Errorf("%v %s", err, w.lastCounted())
	}
}

// TestLoginThatTakesTooLongIsRefused, and its row goes.
func TestLoginThatTakesTooLongIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := w.browse(w.start(w.flow()))
	w.start(w.flow())
	w.ahead.Add(int64(Life - time.Minute))
	if n, err := w.Sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("swept %d %v", n, err)
	}
	w.ahead.Add(int64(2 * time.Minute))
	if _, err := w.finish("fsa_browser", q); !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
	if n, err := w.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("swept %d %v", n, err)
	}
}
