package pages

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/login"
)

// enrolView is the page of a one-time link.
type enrolView struct {
	*visit
	Link  string
	User  string
	Error string
}

func (v *visit) enrol() { v.askNewPassword(v.r.URL.Query().Get("link"), "", http.StatusOK) }

// askNewPassword shows the form of a link that is open.
func (v *visit) askNewPassword(link, trouble string, status int) {
	who, err := v.Login.Invitation(v.r.Context(), link, v.peer)
	if errors.Is(err, login.ErrLink) {
		v.refuse(v.w, v.r, http.StatusGone, problem{Title: "This link does not work any more",
			Text: "It was used already, is older than 24 hours, or was replaced by another one. Ask whoever sent it for a new one.", Back: loginPath, Label: "Go to sign in"})
		return
	}
	if err != nil {
		v.down(v.w, v.r, err)
		return
	}
	v.page(status, chrome{Title: "Welcome"}, "", enrolPage(enrolView{v, link, strings.TrimPrefix(who, account.User), trouble}))
}

func (v *visit) enrolForm() {
	if !v.read() {
		return
	}
	link := v.form("link")
	if v.form("password") != v.form("repeat") {
		v.askNewPassword(link, "The two passwords are not the same.", http.StatusUnprocessableEntity)
		return
	}
	secret, s, err := v.Login.Accept(v.r.Context(), link, v.peer, v.form("password"))
	switch {
	case err == nil:
		v.keep(secret, s)
		if s.Stage == login.NeedsFactor {
			v.onward(accountPath)
			return
		}
		v.to(securePath)
	case errors.Is(err, login.ErrWeak):
		v.askNewPassword(link, weak(err), http.StatusUnprocessableEntity)
	case errors.Is(err, login.ErrLink):
		v.askNewPassword(link, "", http.StatusGone)
	default:
		v.down(v.w, v.r, err)
	}
}

// weak is the reason why a password is refused, which the login gives for people.
func weak(err error) string {
	_, reason, ok := strings.Cut(err.Error(), ": ")
	if !ok || reason == "" {
		return "Choose another password."
	}
	return strings.ToUpper(reason[:1]) + reason[1:] + "."
}

// secureView offers the kinds of second factors.
type secureView struct {
	*visit
	Next     string
	Must     bool
	Passkeys bool
}

// mayEnrol reports whether factors may be changed now, or leads to what comes
// before.
func (v *visit) mayEnrol() bool {
	switch {
	case v.session.Stage == login.NeedsEnrolment:
		return true
	case v.session.Fresh(v.Now()):
		return true
	case v.session.Stage == login.LoggedIn:
		v.to(via(factorPath, v.self()))
	default:
		v.onward(v.self())
	}
	return false
}

// self is the page itself with where it leads on to, to come back to.
func (v *visit) self() string { return via(v.r.URL.Path, v.way()) }

func (v *visit) secure() {
	if v.mayEnrol() {
		v.page(http.StatusOK, chrome{Title: "A second way to prove that it is you"}, "",
			securePage(secureView{v, v.way(), v.session.Stage == login.NeedsEnrolment, v.Login.Passkeys()}))
	}
}

// totpView is the page on which an authenticator app is set up.
type totpView struct {
	*visit
	Next, QR, Secret, Error string
}

func (v *visit) totp() {
	if v.mayEnrol() {
		v.offerTOTP("", http.StatusOK)
	}
}

func (v *visit) offerTOTP(trouble string, status int) {
	offer, err := v.Login.BeginTOTP(v.r.Context(), v.secret)
	if err != nil {
		v.failed(err)
		return
	}
	v.page(status, chrome{Title: "Set up an authenticator app"}, "",
		totpPage(totpView{v, v.way(), "data:image/png;base64," + base64.StdEncoding.EncodeToString(offer.QR), spaced(offer.Secret), trouble}))
}

// spaced writes a secret in groups of four, to be typed.
func spaced(secret string) string {
	var b strings.Builder
	for i := 0; i < len(secret); i += 4 {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(secret[i:min(i+4, len(secret))])
	}
	return b.String()
}

func (v *visit) totpForm() {
	if !v.read() {
		return
	}
	secret, s, err := v.Login.ConfirmTOTP(v.r.Context(), v.secret, v.peer, v.form("code"))
	switch {
	case err == nil:
		v.keep(secret, s)
		v.enrolled()
	case errors.Is(err, login.ErrWrong), errors.Is(err, login.ErrTooMany):
		v.offerTOTP("That code did not fit. Wait for the next one and try again; the clock of your phone must be right.", http.StatusUnprocessableEntity)
	default:
		v.failed(err)
	}
}

// passkeyView is the page on which a passkey is set up.
type passkeyView struct {
	*visit
	Next, Options, Error string
}

func (v *visit) passkey() {
	if v.mayEnrol() {
		v.offerPasskey("", http.StatusOK)
	}
}

func (v *visit) offerPasskey(trouble string, status int) {
	options, err := v.Login.BeginRegister(v.r.Context(), v.secret)
	if err != nil {
		v.failed(err)
		return
	}
	v.page(status, chrome{Title: "Set up a passkey", Script: true}, "", passkeyPage(passkeyView{v, v.way(), string(options), trouble}))
}

func (v *visit) passkeyForm() {
	if !v.read() {
		return
	}
	secret, s, err := v.Login.FinishRegister(v.r.Context(), v.secret, v.peer, v.form("name"), []byte(v.form("response")))
	switch {
	case err == nil:
		v.keep(secret, s)
		v.enrolled()
	case errors.Is(err, login.ErrWrong):
		v.offerPasskey("The passkey could not be set up. Please try again.", http.StatusUnprocessableEntity)
	default:
		v.failed(err)
	}
}

// enrolled goes on after a factor was set up: to recovery codes, when there are
// none.
func (v *visit) enrolled() {
	have, err := v.Login.Factors(v.r.Context(), v.session.Account)
	switch {
	case err != nil:
		v.down(v.w, v.r, err)
	case have.RecoveryLeft == 0:
		v.to(via(recoveryPath, v.way()))
	default:
		v.to(v.way())
	}
}

// recoveryView is the page of recovery codes: the offer, or the codes, once.
type recoveryView struct {
	*visit
	Next  string
	Left  int
	Codes []string
}

func (v *visit) recovery() {
	if !v.mayEnrol() {
		return
	}
	have, err := v.Login.Factors(v.r.Context(), v.session.Account)
	if err != nil {
		v.down(v.w, v.r, err)
		return
	}
	v.page(http.StatusOK, chrome{Title: "Recovery codes"}, "", recoveryPage(recoveryView{visit: v, Next: v.way(), Left: have.RecoveryLeft}))
}

func (v *visit) recoveryForm() {
	if !v.read() {
		return
	}
	codes, err := v.Login.RecoveryCodes(v.r.Context(), v.secret, v.peer)
	if err != nil {
		v.failed(err)
		return
	}
	v.page(http.StatusOK, chrome{Title: "Your recovery codes", Wide: true}, "", recoveryPage(recoveryView{visit: v, Next: v.way(), Codes: codes}))
}

// failed answers an error of a change of credentials: what has to come first, or
// an outage.
func (v *visit) failed(err error) {
	switch {
	case errors.Is(err, login.ErrStale):
		v.to(via(factorPath, v.self()))
	case errors.Is(err, login.ErrNoSession):
		v.to(via(loginPath, v.self()))
	case errors.Is(err, login.ErrLastFactor):
		v.refuse(v.w, v.r, http.StatusConflict, problem{Title: "This is your only second factor",
			Text: "Your role demands one. Set up another one first, then remove this one.", Back: accountPath, Label: "Back to your account"})
	case errors.Is(err, login.ErrNoFactor):
		v.refuse(v.w, v.r, http.StatusConflict, problem{Title: "Not possible",
			Text: "There is no such factor, or this kind cannot be set up here.", Back: accountPath, Label: "Back to your account"})
	case errors.Is(err, login.ErrTooMany):
		v.refuse(v.w, v.r, http.StatusTooManyRequests, problem{Title: "Too many attempts", Text: "Wait a few minutes and try again.", Back: accountPath, Label: "Back to your account"})
	default:
		v.down(v.w, v.r, err)
	}
}
