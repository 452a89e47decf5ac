package suite

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// appCodes is an authenticator app (RFC 6238): it shows each code once.
type appCodes struct {
	t      testing.TB
	secret string
	last   int64 // step of the code that was shown
}

// next is a code that was not shown before. The server takes the one that comes
// next, too; what lies further ahead is waited for.
func (c *appCodes) next() string {
	c.t.Helper()
	step := func() int64 { return time.Now().Unix() / 30 }
	for step() < c.last {
		time.Sleep(100 * time.Millisecond)
	}
	c.last = max(step(), c.last+1)
	return totp(c.t, c.secret, time.Unix(c.last*30, 0))
}

// wrong is a code of no step around now.
func (c *appCodes) wrong() string {
	c.t.Helper()
	var near []string
	for d := -5; d <= 5; d++ {
		near = append(near, totp(c.t, c.secret, time.Now().Add(time.Duration(d)*30*time.Second)))
	}
	for _, code := range []string{"000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777", "888888", "999999", "123123", "321321"} {
		if !slices.Contains(near, code) {
			return code
		}
	}
	return "not a code"
}

// asked reports whether a page asks for consent.
func (v *visitor) asked() bool {
	return slices.ContainsFunc(v.page.forms, func(f form) bool {
		return slices.ContainsFunc(f.fields, func(b field) bool { return b.label == buttonAllow })
	})
}

// TestSecondFactorIsAskedFor (access.md, MFA): a role that must have a second
// factor gets nowhere before one is enrolled; then it is asked for at each login,
// a code opens once, and the token says what was proven.
func TestSecondFactorIsAskedFor(t *testing.T) {
	t.Parallel()
	s := shared(t)
	a := newApp(t, s)
	officer := s.account(t, "security-officer", "Practitioner/"+s.create(t, object{"resourceType": "Practitioner"}))
	v := newVisitor(t)
	officer.accept(t, v)
	ask := a.asks("openid fhirUser user/Patient.rs")
	if v.open(ask.url()); v.left != nil || v.asked() {
		t.Fatalf("without a factor: %v %.300s", v.left, v.page.text)
	}
	codes := v.enrolTOTP(a)

	v = officer.login(newVisitor(t).open(ask.url()))
	used := totp(t, codes.secret, time.Unix(codes.last*30, 0))
	for name, code := range map[string]string{"nothing": "", "a wrong code": codes.wrong(), "the code of the enrolment": used} {
		if v.left != nil || v.asked() {
			t.Fatalf("after %s: %v %.300s", name, v.left, v.page.text)
		}
		v.press(buttonConfirm, map[string]string{"one-time-code": code})
	}
	v.press(buttonConfirm, map[string]string{"one-time-code": codes.next()})
	_, claims := a.verified(t, a.token(t, ask.redemption(v.allow(nil))).want().text("id_token"))
	if amr := list(claims, "amr"); !slices.Contains(amr, "mfa") || !slices.Contains(amr, "otp") || !slices.Contains(amr, "pwd") {
		t.Errorf("amr %v", amr)
	}
}

// enrolTOTP sets an authenticator app up on the page of the account.
func (v *visitor) enrolTOTP(a *smartApp) *appCodes {
	v.t.Helper()
	issuer, _ := a.config["issuer"].(string)
	v.open(issuer + "/account/totp")
	_, after, found := strings.Cut(v.page.body, "<code>")
	secret, _, _ := strings.Cut(after, "<")
	if !found || secret == "" {
		v.t.Fatalf("no secret: %.500s", v.page.text)
	}
	c := &appCodes{t: v.t, secret: secret}
	v.press(buttonEnrol, map[string]string{"Code": c.next()})
	return c
}
