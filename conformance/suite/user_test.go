package suite

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"

	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What the pages say; the tests find buttons by it.
const (
	buttonLogin    = "Sign in"
	buttonPassword = "Set password"
	buttonAllow    = "Allow"
	buttonDecline  = "Deny"
	buttonEnrol    = "Finish"
	buttonConfirm  = "Continue"
)

// user is a person with an account and a password.
type user struct {
	s             *server
	account, name string
	password      string
	who           string // reference of the person
}

var invitationLink = regexp.MustCompile(`https?://\S+`)

// newUser creates an account, and its person sets a password by the link.
func (s *server) newUser(t testing.TB, role, who string) *user {
	t.Helper()
	u := s.account(t, role, who)
	u.accept(t, newVisitor(t))
	return u
}

// account creates an account without a password.
func (s *server) account(t testing.TB, role, who string) *user {
	t.Helper()
	u := &user{s: s, name: unique("u"), password: unique("pass-phrase-"), who: who}
	u.account = "user:" + u.name
	if code, _, stderr := command(t, "user", "create", "--data", s.dir, "--role", "role:"+role, "--link", who, "--reason", "test", u.account); code != 0 {
		t.Fatal(stderr)
	}
	return u
}

// invitation is a one-time link.
func (u *user) invitation(t testing.TB) string {
	t.Helper()
	code, stdout, stderr := command(t, "user", "invite", "--data", u.s.dir, "--reason", "test", u.account)
	link := invitationLink.FindString(stdout)
	if code != 0 || link == "" {
		t.Fatal(stdout, stderr)
	}
	return link
}

func (u *user) accept(t testing.TB, v *visitor) {
	t.Helper()
	v.open(u.invitation(t)).press(buttonPassword, map[string]string{"new-password": u.password})
	if v.page.status != 200 {
		t.Fatalf("setting a password: %d %.500s", v.page.status, v.page.text)
	}
}

// newDoctor is a clinician with a Practitioner of the same name.
func (s *server) newDoctor(t testing.TB) *user {
	t.Helper()
	return s.newUser(t, clinician, "Practitioner/"+s.create(t, object{"resourceType": "Practitioner", "name": []any{object{"family": unique("Doctor")}}}))
}

// newReader is a user for the demo patient.
func (s *server) newReader(t testing.TB) *user {
	t.Helper()
	return s.newUser(t, patient, "Patient/"+s.Patient)
}

// login fills in the form that asks for name and password.
func (u *user) login(v *visitor) *visitor {
	v.t.Helper()
	return v.press(buttonLogin, map[string]string{"Name": u.name, "Password": u.password})
}

// loggedIn is a browser in which the user is logged in.
func (u *user) loggedIn(t testing.TB, a *smartApp) *visitor {
	t.Helper()
	return u.login(newVisitor(t).open(a.asks("user/Patient.rs").url()))
}

// authorize leads the user from the app's request to its tokens.
func (u *user) authorize(t testing.TB, a *smartApp, scope string, choose map[string]string) *granted {
	t.Helper()
	at := a.asks(scope)
	return a.token(t, at.redemption(u.login(newVisitor(t).open(at.url())).allow(choose))).want()
}

// allow says yes on the consent page, after its boxes were changed, and returns
// the code. Who has allowed the same before is not asked.
func (v *visitor) allow(choose map[string]string) string {
	v.t.Helper()
	if v.left == nil {
		v.press(buttonAllow, choose)
	}
	if v.left == nil || v.left.Query().Get("code") == "" {
		v.t.Fatalf("no code: %v %d %.500s", v.left, v.page.status, v.page.text)
	}
	return v.left.Query().Get("code")
}

// totp is a code of RFC 6238 with the defaults of authenticator apps.
func totp(t testing.TB, secret string, at time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.ReplaceAll(secret, " ", "")))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	step := at.Unix() / 30
	for shift := 56; shift >= 0; shift -= 8 {
		mac.Write([]byte{byte(step >> shift)})
	}
	sum := mac.Sum(nil)
	four := sum[sum[len(sum)-1]&15:]
	number := uint32(four[0]&0x7f)<<24 | uint32(four[1])<<16 | uint32(four[2])<<8 | uint32(four[3])
	return fmt.Sprintf("%06d", number%1_000_000)
}
