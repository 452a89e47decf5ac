package pages

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/login"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/repository"
)

// accountView is the own account.
type accountView struct {
	*visit
	Have     login.Factors
	Passkeys bool
	Roles    []string
	Done     string
}

// done are what the account page says after a change, by the word in its
// address.
var done = map[string]string{"password": "Your password was changed. Other sessions were ended, and apps lost their access.", "removed": "The factor was removed. Other sessions were ended."}

// member reports whether somebody is logged in, or leads to the login.
func (v *visit) member() bool {
	if v.session.Stage == login.LoggedIn {
		return true
	}
	v.onward(v.r.URL.Path)
	return false
}

func (v *visit) account() {
	if !v.member() {
		return
	}
	a := accountView{visit: v, Passkeys: v.Login.Passkeys(), Done: done[v.r.URL.Query().Get("done")]}
	rec, err := v.Accounts.Get(v.r.Context(), v.session.Account)
	if err == nil {
		a.Roles = named(rec)
		a.Have, err = v.Login.Factors(v.r.Context(), v.session.Account)
	}
	if err != nil {
		v.down(v.w, v.r, err)
		return
	}
	v.page(http.StatusOK, chrome{Title: "Your account", Here: accountPath, Wide: true}, "", accountPage(a))
}

// named are the roles and groups of an account, without their prefixes.
func named(rec account.Account) (out []string) {
	for _, list := range [][]string{rec.Roles, rec.Groups} {
		for _, r := range list {
			for _, prefix := range []string{account.Role, account.Group} {
				if account.ValidName(prefix, r) {
					out = append(out, r[len(prefix):])
				}
			}
		}
	}
	return out
}

// accountForm removes a factor or ends all sessions.
func (v *visit) accountForm() {
	if !v.read() {
		return
	}
	if v.session.Stage != login.LoggedIn {
		v.onward(accountPath)
		return
	}
	ctx := v.r.Context()
	var secret string
	var s login.Session
	var err error
	switch v.form("do") {
	case "remove-totp":
		secret, s, err = v.Login.RemoveTOTP(ctx, v.secret, v.peer)
	case "remove-passkey":
		secret, s, err = v.Login.RemovePasskey(ctx, v.secret, v.peer, v.form("id"))
	case "end-all":
		v.endAll()
		return
	default:
		err = login.ErrNoFactor
	}
	if err != nil {
		v.failed(err)
		return
	}
	v.keep(secret, s)
	v.to(accountPath + "?done=removed")
}

// endAll ends every session of the account, this one among them.
func (v *visit) endAll() {
	who := v.session.Account
	if err := v.Login.End(v.r.Context(), v.secret, v.peer); err != nil { // with its event
		v.down(v.w, v.r, err)
		return
	}
	if err := v.Login.EndAll(v.r.Context(), who); err != nil {
		v.down(v.w, v.r, err)
		return
	}
	secret, s, err := v.Login.Begin(v.r.Context())
	if err != nil {
		v.down(v.w, v.r, err)
		return
	}
	v.keep(secret, s)
	v.to(logoutPath)
}

// passwordView is the page on which a password is changed.
type passwordView struct {
	*visit
	Error string
}

func (v *visit) password() {
	if v.member() && v.mayEnrol() {
		v.page(http.StatusOK, chrome{Title: "Change your password", Here: accountPath}, "", passwordPage(passwordView{v, ""}))
	}
}

func (v *visit) passwordForm() {
	if !v.read() {
		return
	}
	again := func(text string) {
		v.page(http.StatusUnprocessableEntity, chrome{Title: "Change your password", Here: accountPath}, "", passwordPage(passwordView{v, text}))
	}
	if v.form("password") != v.form("repeat") {
		again("The two new passwords are not the same.")
		return
	}
	secret, s, err := v.Login.ChangePassword(v.r.Context(), v.secret, v.peer, v.form("old"), v.form("password"))
	switch {
	case err == nil:
		v.keep(secret, s)
		v.to(accountPath + "?done=password")
	case errors.Is(err, login.ErrWrong), errors.Is(err, login.ErrTooMany):
		again("That did not work. The old password is not right, or there were too many attempts.")
	case errors.Is(err, login.ErrWeak):
		again(weak(err))
	default:
		v.failed(err)
	}
}

// appsView are the apps that a person has authorised.
type appsView struct {
	*visit
	Apps []appView
	Done bool
}

type appView struct {
	Client      string // its id
	Name        string
	Since, Used time.Time
	Offers      []offer
}

func (h *Handler) authorised(v *visit) {
	if !v.member() {
		return
	}
	grants, err := h.apps.Grants(v.r.Context(), v.session.Account)
	if err != nil {
		v.down(v.w, v.r, err)
		return
	}
	a := appsView{visit: v, Done: v.r.URL.Query().Get("done") == "1"}
	for _, g := range byApp(grants) {
		name := "An app that is not registered any more"
		if c, err := v.Clients.Get(v.r.Context(), g.Client); err == nil {
			name = c.Name
		}
		a.Apps = append(a.Apps, appView{g.Client, name, g.Since, g.Used, offers(g.Scopes)})
	}
	v.page(http.StatusOK, chrome{Title: "Authorised apps", Here: appsPath, Wide: true}, "", appsPage(a))
}

// byApp makes one of all that an app was ever given and still has: to people an
// app is one thing, on however many devices it was allowed.
func byApp(grants []oauth.Grant) (out []oauth.Grant) {
	for _, g := range grants {
		i := slices.IndexFunc(out, func(have oauth.Grant) bool { return have.Client == g.Client })
		if i < 0 {
			out = append(out, g)
			continue
		}
		have := &out[i]
		if g.Since.Before(have.Since) {
			have.Since = g.Since
		}
		if g.Used.After(have.Used) {
			have.Used = g.Used
		}
		have.Scopes = slices.Concat(have.Scopes, g.Scopes)
	}
	return out
}

func (h *Handler) revoke(v *visit) {
	if !v.read() {
		return
	}
	if v.session.Stage != login.LoggedIn {
		v.onward(appsPath)
		return
	}
	// What has ended already, or never was the account's, needs no other answer.
	err := h.apps.EndApp(v.r.Context(), v.session.Account, v.form("client"))
	if err != nil && !errors.Is(err, repository.ErrNotFound) {
		v.down(v.w, v.r, err)
		return
	}
	v.to(appsPath + "?done=1")
}
