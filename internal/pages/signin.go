package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/fieldseal/fieldseal/authz/login"
)

// refusedLogin is the one text for an unknown name, a wrong password, a locked
// account and too many attempts.
const refusedLogin = "That did not work. The name or password is not right, or there were too many attempts. Check both, or wait a few minutes."

// refusedFactor is the one text for a second factor.
const refusedFactor = "That did not work. The code is not right, was used already, or there were too many attempts. Try the next one, or wait a few minutes."

// loginView is what the login page shows.
type loginView struct {
	*visit
	Next  string
	Again bool   // somebody is logged in and has to prove it again
	App   string // that somebody is on the way to
	User  string // filled in
	Error string
}

// way is where the visit leads on to.
func (v *visit) way() string {
	if v.r.Method == http.MethodPost {
		return continued(v.form("next"))
	}
	return continued(v.r.URL.Query().Get("next"))
}

// toApp is the app behind an authorization request that the visit leads on to:
// its name, the source expression of its address, and the name that it hints at.
func (v *visit) toApp(next string) (name, address, hint string) {
	u, err := url.Parse(next)
	if err != nil || u.Path != authorizePath {
		return "", "", ""
	}
	q := u.Query()
	c, err := v.Clients.Get(v.r.Context(), q.Get("client_id"))
	if err != nil || !slices.Contains(c.Redirects, q.Get("redirect_uri")) {
		return "", "", ""
	}
	if hint = q.Get("login_hint"); len(hint) > 100 {
		hint = ""
	}
	return c.Name, source(q.Get("redirect_uri")), hint
}

func (v *visit) login() {
	next := v.way()
	again := v.r.URL.Query().Get("again") == "1"
	switch {
	case again && v.session.Stage == login.LoggedIn, v.session.Stage == login.Anonymous:
	default:
		v.onward(next)
		return
	}
	v.askPassword(loginView{Next: next, Again: again}, http.StatusOK)
}

func (v *visit) askPassword(l loginView, status int) {
	var app string
	l.visit = v
	hint := ""
	l.App, app, hint = v.toApp(l.Next)
	if l.Again && v.name() != "" {
		l.User = v.name()
	}
	if l.User == "" {
		l.User = hint
	}
	title := "Sign in"
	if l.Again && v.name() != "" {
		title = "Confirm that it is you"
	}
	v.page(status, chrome{Title: title}, app, loginPage(l))
}

func (v *visit) loginForm() {
	if !v.read() {
		return
	}
	next, name := v.way(), v.form("username")
	secret, s, err := v.Login.Password(v.r.Context(), v.secret, v.peer, name, v.form("password"))
	switch {
	case err == nil:
		v.keep(secret, s)
		v.onward(next)
	case errors.Is(err, login.ErrWrong), errors.Is(err, login.ErrTooMany):
		v.askPassword(loginView{Next: next, Again: v.form("again") == "1", User: name, Error: refusedLogin}, http.StatusForbidden)
	default:
		v.down(v.w, v.r, err)
	}
}

// onward goes to what the session still lacks, then to next.
func (v *visit) onward(next string) {
	switch v.session.Stage {
	case login.LoggedIn:
		v.to(next)
	case login.NeedsFactor:
		v.to(via(factorPath, next))
	case login.NeedsEnrolment:
		v.to(via(securePath, next))
	default:
		v.to(via(loginPath, next))
	}
}

// factorView is what the page of the second factor shows.
type factorView struct {
	*visit
	Next    string
	StepUp  bool // somebody is logged in and proves it freshly
	Passkey string
	TOTP    bool
	Codes   bool
	Error   string
}

func (v *visit) factor() {
	if v.session.Stage != login.NeedsFactor && v.session.Stage != login.LoggedIn {
		v.onward(v.way())
		return
	}
	v.askFactor(v.way(), "", http.StatusOK)
}

func (v *visit) askFactor(next, trouble string, status int) {
	have, err := v.Login.Factors(v.r.Context(), v.session.Account)
	if err != nil {
		v.down(v.w, v.r, err)
		return
	}
	f := factorView{visit: v, Next: next, StepUp: v.session.Stage == login.LoggedIn, TOTP: have.TOTP, Codes: have.RecoveryLeft > 0, Error: trouble}
	if v.Login.Passkeys() && len(have.Passkeys) > 0 {
		options, err := v.Login.BeginPasskey(v.r.Context(), v.secret)
		if err != nil && !errors.Is(err, login.ErrStale) && !errors.Is(err, login.ErrNoFactor) {
			v.down(v.w, v.r, err)
			return
		}
		f.Passkey = string(options)
	}
	if f.StepUp && f.Passkey == "" && !f.TOTP && !f.Codes { // there is only the password
		v.to(via(loginPath, next, "again", "1"))
		return
	}
	_, app, _ := v.toApp(next)
	title := "Second step"
	if f.StepUp {
		title = "Confirm that it is you"
	}
	v.page(status, chrome{Title: title, Script: f.Passkey != ""}, app, factorPage(f))
}

func (v *visit) factorForm() {
	if !v.read() {
		return
	}
	var secret string
	var s login.Session
	var err error
	ctx := v.r.Context()
	switch v.form("how") {
	case "passkey":
		secret, s, err = v.Login.FinishPasskey(ctx, v.secret, v.peer, []byte(v.form("response")))
	case "recovery":
		secret, s, err = v.Login.Recovery(ctx, v.secret, v.peer, v.form("code"))
	default:
		secret, s, err = v.Login.TOTP(ctx, v.secret, v.peer, v.form("code"))
	}
	switch {
	case err == nil:
		v.keep(secret, s)
		v.onward(v.way())
	case errors.Is(err, login.ErrNoSession):
		v.to(via(loginPath, v.way()))
	case errors.Is(err, login.ErrWrong), errors.Is(err, login.ErrTooMany), errors.Is(err, login.ErrNoFactor), errors.Is(err, login.ErrStale):
		v.askFactor(v.way(), refusedFactor, http.StatusForbidden)
	default:
		v.down(v.w, v.r, err)
	}
}

func (v *visit) logout() {
	if v.session.Account == "" {
		v.page(http.StatusOK, chrome{Title: "You are signed out"}, "", signedOutPage(v.elsewhere()))
		return
	}
	v.page(http.StatusOK, chrome{Title: "Sign out?"}, "", logoutPage(v))
}

func (v *visit) logoutForm() {
	if !v.read() {
		return
	}
	if err := v.Login.End(v.r.Context(), v.secret, v.peer); err != nil {
		v.down(v.w, v.r, err)
		return
	}
	secret, s, err := v.Login.Begin(v.r.Context())
	if err != nil {
		v.down(v.w, v.r, err)
		return
	}
	v.keep(secret, s)
	if next := v.way(); next != accountPath {
		v.to(via(loginPath, next))
		return
	}
	v.to(logoutPath)
}
