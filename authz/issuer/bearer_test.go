package issuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/issuer/issuertest"
	"github.com/fieldseal/fieldseal/authz/token"
)

type object = issuertest.Object

func set(name string, value any) func(*issuertest.Token) {
	return func(t *issuertest.Token) { t.Claims[name] = value }
}

func head(name string, value any) func(*issuertest.Token) {
	return func(t *issuertest.Token) { t.Header[name] = value }
}

func without(name string) func(*issuertest.Token) {
	return func(t *issuertest.Token) { delete(t.Claims, name) }
}

func TestTokenStandsForALocalAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bearing)
	authenticated := time.Now().Add(-time.Minute).Truncate(time.Second)
	for name, c := range map[string]struct {
		sub, scope string
		change     func(*issuertest.Token)
		want       token.Claims
	}{
		"a clinician": {"s-ann", "openid user/*.rs other.service", func(t *issuertest.Token) {
			t.Claims["fhirUser"], t.Claims["amr"], t.Claims["auth_time"] = base+"/Practitioner/ann", []string{"pwd", "otp", "magic"}, authenticated.Unix()
		}, token.Claims{Account: "user:ann", Client: "hospital/their-app", Roles: []string{"role:clinician"}, Scopes: []string{"openid", "user/*.rs"},
			Who: "Practitioner/ann", AMR: []string{"pwd", "otp", "mfa"}, AuthTime: authenticated, Purpose: "TREAT", Purposes: []string{"HOPERAT"}}},
		"roles of the issuer grant nothing": {"s-ann", "user/*.rs fieldseal/admin system/*.cruds", func(t *issuertest.Token) {
			t.Claims["fhirUser"], t.Claims["roles"], t.Claims["groups"] = "Practitioner/ann", []string{"role:admin", "admin"}, []string{"group:admins"}
		}, token.Claims{Account: "user:ann", Client: "hospital/their-app", Roles: []string{"role:clinician"}, Scopes: []string{"user/*.rs"}, Who: "Practitioner/ann", Purpose: "TREAT", Purposes: []string{"HOPERAT"}}},
		"words that no map has are no second factor": {"s-ann", "user/*.rs", func(t *issuertest.Token) {
			t.Claims["fhirUser"], t.Claims["amr"], t.Claims["acr"] = "Practitioner/ann", []string{"mfa", "hwk"}, "silver"
		}, token.Claims{Account: "user:ann", Client: "hospital/their-app", Roles: []string{"role:clinician"}, Scopes: []string{"user/*.rs"}, Who: "Practitioner/ann", Purpose: "TREAT", Purposes: []string{"HOPERAT"}}},
		"a patient": {"s-pat", "patient/*.rs", func(t *issuertest.Token) { t.Claims["patient"], t.Claims["acr"] = "p1", "gold" },
			token.Claims{Account: "user:pat", Client: "hospital/their-app", Roles: []string{"role:patient"}, Scopes: []string{"patient/*.rs"}, Who: "Patient/p1", Patient: "p1",
				AMR: []string{"hwk", "user", "mfa"}, Purpose: "PATRQT"}},
		"a service": {"s-engine", "system/Patient.rs user/*.cruds patient/*.rs", func(t *issuertest.Token) { t.Claims["client_id"] = "engine" },
			token.Claims{Account: "client:engine", Client: "hospital/engine", Roles: []string{"role:integration"}, Scopes: []string{"system/Patient.rs"}, Purpose: "TREAT"}},
		"by RS256": {"s-engine", "system/Patient.rs", func(t *issuertest.Token) { t.Header["alg"], t.Header["kid"], t.Key = "RS256", "rsa", w.provider.RSA },
			token.Claims{Account: "client:engine", Client: "hospital/their-app", Roles: []string{"role:integration"}, Scopes: []string{"system/Patient.rs"}, Purpose: "TREAT"}},
		"scopes as a list, audiences too, application/at+jwt": {"s-engine", "", func(t *issuertest.Token) {
			t.Claims["scope"], t.Claims["aud"], t.Header["typ"] = []string{"system/Patient.rs"}, []string{"https://other.example", base}, "application/at+jwt"
			delete(t.Claims, "client_id")
		}, token.Claims{Account: "client:engine", Client: "hospital", Roles: []string{"role:integration"}, Scopes: []string{"system/Patient.rs"}, Purpose: "TREAT"}},
	} {
		got, expires, err := w.External(t.Context(), w.provider.Token(base, c.sub, c.scope, c.change))
		if left := time.Until(expires); err != nil || !reflect.DeepEqual(got, c.want) || left < 30*time.Minute || left > 51*time.Minute {
			t.Errorf("%s: %+v until %v: %v", name, got, expires, err)
		}
	}
	if n := w.provider.Asked("/keys"); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

// TestHostileTokensAreRefused: abuse 25 to 30, 33, and what else is wrong with a
// bearer token. The code is what the trail counts.
func TestHostileTokensAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bearing)
	thief, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := thief.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwk := object{"kty": "EC", "crv": "P-256", "kid": "k1", "x": encode(point[1:33]), "y": encode(point[33:])}
	now := time.Now()
	for name, c := range map[string]struct {
		change func(*issuertest.Token)
		code   string
	}{
		"25 alg none":     {func(t *issuertest.Token) { t.Header["alg"], t.Key = "none", nil }, "form"},
		"25 no signature": {func(t *issuertest.Token) { t.Key = nil }, "signature"},
		"26 HS256 by the RSA public key": {func(t *issuertest.Token) {
			t.Header["alg"], t.Header["kid"], t.Key = "HS256", "rsa", w.provider.PublicPEM()
		}, "form"},
		"26 RS256 that is an HMAC": {func(t *issuertest.Token) {
			t.Header["alg"], t.Header["kid"], t.Key = "RS256", "rsa", w.provider.PublicPEM()
		}, "signature"},
		"an algorithm that is not listed":    {head("alg", "ES384"), "algorithm"},
		"the algorithm of another key":       {func(t *issuertest.Token) { t.Header["alg"], t.Key = "RS256", w.provider.RSA }, "key"},
		"27 no kid, by a thief":              {func(t *issuertest.Token) { delete(t.Header, "kid"); t.Key = thief }, "signature"},
		"27 kid of a path":                   {head("kid", "../../x"), "key"},
		"27 kid of SQL":                      {head("kid", "' OR 1=1 --"), "key"},
		"27 kid of 1 kB":                     {head("kid", strings.Repeat("k", 1000)), "key"},
		"28 jku":                             {head("jku", w.provider.URL+"/keys"), "key"},
		"28 x5u":                             {head("x5u", "https://127.0.0.1:1/cert"), "key"},
		"28 the thief's own jwk":             {func(t *issuertest.Token) { t.Header["jwk"], t.Key = jwk, thief }, "key"},
		"signed by a thief":                  {func(t *issuertest.Token) { t.Key = thief }, "signature"},
		"29 expired":                         {set("exp", now.Add(-time.Minute).Unix()), "expired"},
		"29 no exp":                          {without("exp"), "times"},
		"29 not yet valid":                   {set("nbf", now.Add(10*time.Minute).Unix()), "early"},
		"issued later":                       {set("iat", now.Add(10*time.Minute).Unix()), "early"},
		"never issued":                       {without("iat"), "times"},
		"it lives for a day":                 {set("exp", now.Add(24*time.Hour).Unix()), "lifetime"},
		"30 another audience":                {set("aud", "https://other.example/fhir"), "audience"},
		"30 an audience that begins alike":   {set("aud", base+"/"), "audience"},
		"30 no audience":                     {without("aud"), "audience"},
		"30 another issuer":                  {set("iss", "https://evil.example"), "issuer"},
		"30 an issuer that begins alike":     {set("iss", w.provider.URL+"/"), "issuer"},
		"30 no issuer":                       {without("iss"), "issuer"},
		"33 an id_token by its type":         {head("typ", "JWT"), "type"},
		"33 an id_token by its nonce":        {set("nonce", "n"), "type"},
		"33 an id_token by its at_hash":      {set("at_hash", "h"), "type"},
		"33 a refresh token":                 {set("typ", "Refresh"), "type"},
		"a logout token":                     {set("events", object{}), "type"},
		"bound to a key":                     {set("cnf", object{"jkt": "x"}), "bound"},
		"no type":                            {func(t *issuertest.Token) { delete(t.Header, "typ") }, "type"},
		"crit":                               {head("crit", []string{"exp"}), "key"},
		"an unknown sub":                     {set("sub", "s-nobody"), "account"},
		"an e-mail address for the sub":      {set("sub", "ann@hospital.example"), "account"},
		"no sub":                             {without("sub"), "account"},
		"a disabled account":                 {set("sub", "s-left"), "account"},
		"no scope":                           {without("scope"), "scope"},
		"a scope that is a number":           {set("scope", []any{1}), "scope"},
		"no fhirUser":                        {without("fhirUser"), "user"},
		"another's fhirUser":                 {set("fhirUser", base+"/Practitioner/left"), "user"},
		"a fhirUser elsewhere":               {set("fhirUser", "https://other.example/fhir/Practitioner/ann"), "user"},
		"a patient scope without a patient":  {set("scope", "user/*.rs patient/*.rs"), "patient"},
		"launch/patient without a patient":   {set("scope", "user/*.rs launch/patient"), "patient"},
		"a patient that is no id":            {set("patient", "../p1"), "patient"},
		"a client that hides":                {set("client_id", "a\nb"), "client"},
		"it authenticated tomorrow":          {set("auth_time", now.Add(24*time.Hour).Unix()), "auth-time"},
		"it authenticated at no time at all": {set("auth_time", "yesterday"), "auth-time"},
	} {
		_, _, err := w.External(t.Context(), w.ann(c.change))
		var r *Refusal
		if !errors.As(err, &r) || r.Code != c.code || !errors.Is(err, token.ErrInvalid) && !errors.Is(err, token.ErrExpired) || !strings.HasPrefix(r.AuditReason(), "external-token-") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := w.External(t.Context(), w.provider.Token(base, "s-pat", "patient/*.rs", set("patient", "p2"))); err == nil || err.Error() != refuse("context").Error() {
		t.Errorf("another's patient: %v", err)
	}
	// One fetch at the first token; guesses of a kid ask for none within retry.
	if n := w.provider.Asked("/keys"); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	if _, _, err := w.External(t.Context(), w.ann(nil)); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

// TestSameClaimTwiceIsRefused: parsers that take the first and the last one
// disagree about whom the token is for.
func TestSameClaimTwiceIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bearing)
	good := w.ann(nil)
	twice := w.ann(func(t *issuertest.Token) {
		t.Payload = fmt.Sprintf(`{"iss":%q,"aud":%q,"iat":%d,"exp":%d,"scope":"user/*.rs","fhirUser":"Practitioner/ann","sub":"s-pat","sub":"s-ann"}`,
			w.provider.URL, base, time.Now().Unix(), time.Now().Add(time.Minute).Unix())
	})
	if c, _, err := w.External(t.Context(), twice); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("two subs: %+v %v", c, err)
	}
	for _, text := range []string{"", "a.b", "..", "a.b.c", good + ".x", good[:len(good)-4], "eyJhbGciOiJFUzI1NiJ9.e30."} {
		if _, _, err := w.External(t.Context(), text); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// TestTokenEndsWithTheAccount: an account that ends before the token does.
func TestTokenEndsWithTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bearing)
	end := time.Now().Add(time.Minute)
	if _, err := w.accounts.Change(t.Context(), "user:ann", func(a *account.Account) error { a.Until = end; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, expires, err := w.External(t.Context(), w.ann(nil)); err != nil || expires.After(end.Add(time.Second)) {
		t.Errorf("%v %v", expires, err)
	}
	if _, err := w.accounts.Unlink(t.Context(), "user:ann", account.Identity{Issuer: w.provider.URL, Subject: "s-ann"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.External(t.Context(), w.ann(nil)); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("unlinked: %v", err)
	}
}

// TestIssuersThatMarkNoAccessTokens: typ jwt, and the account's own link for the
// user.
func TestIssuersThatMarkNoAccessTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "  bearer: {typ: jwt, audience: fhir-api, fhir_user_of_account: true, scope_claim: scp, patient_claim: ctx_patient, purpose: HOPERAT}\n")
	sign := func(change func(*issuertest.Token)) string {
		return w.provider.Token("fhir-api", "s-ann", "", func(t *issuertest.Token) {
			t.Header["typ"], t.Claims["scp"] = "JWT", []string{"user/*.rs", "patient/*.rs"}
			t.Claims["ctx_patient"] = "p9"
			if change != nil {
				change(t)
			}
		})
	}
	got, _, err := w.External(t.Context(), sign(nil))
	if err != nil || got.Who != "Practitioner/ann" || got.Purpose != "HOPERAT" || got.Patient != "p9" || len(got.Scopes) != 2 {
		t.Errorf("%+v %v", got, err)
	}
	for name, change := range map[string]func(*issuertest.Token){
		"an id_token":     set("nonce", "n"),
		"ID of Keycloak":  set("typ", "ID"),
		"id of Cognito":   set("token_use", "id"),
		"a logout token":  head("typ", "logout+jwt"),
		"another's token": set("aud", base),
	} {
		if _, _, err := w.External(t.Context(), sign(change)); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := w.External(t.Context(), sign(func(t *issuertest.Token) { delete(t.Header, "typ") })); err != nil {
		t.Errorf("no typ: %v", err)
	}
}

func BenchmarkExternal(b *testing.B) {
	w := newWorld(b, bearing)
	text := w.ann(nil)
	for b.Loop() {
		if _, _, err := w.External(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzExternal: no text makes it panic, and none that the provider did not sign
// is anybody.
func FuzzExternal(f *testing.F) {
	w := newWorld(f, bearing)
	good := w.ann(nil)
	for _, text := range []string{good, good[:len(good)-2], "", "..", "e30.e30.", "eyJhbGciOiJub25lIn0.e30.", strings.Replace(good, ".", "..", 1)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if c, _, err := w.External(t.Context(), text); err == nil && c.Account != "user:ann" || err != nil && !errors.Is(err, token.ErrInvalid) && !errors.Is(err, token.ErrExpired) {
			t.Errorf("%+v %v", c, err)
		}
	})
}
