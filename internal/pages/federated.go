package pages

import (
	"errors"
	"net/http"

	"github.com/fieldseal/fieldseal/authz/federation"
	"github.com/fieldseal/fieldseal/authz/login"
)

// providers are those at which people can log in instead of here.
func (p *Pages) providers() []federation.Provider {
	if p.Federation == nil {
		return nil
	}
	return p.Federation.Providers()
}

// leaving is a provider at which a session may go on after one here has ended.
type leaving struct{ Display, Address string }

// elsewhere are the providers that let people end their session there.
func (v *visit) elsewhere() (out []leaving) {
	for _, p := range v.providers() {
		if address := v.Federation.Leave(v.r.Context(), p.Name); address != "" {
			out = append(out, leaving{p.Display, address})
		}
	}
	return out
}

// away sends the browser to a provider. It is a link and no form, since a form's
// policy would have to name the provider. A link that another site made leads
// nowhere. Whoever is logged in proves it anew and must come back as the same.
func (v *visit) away(p federation.Provider) {
	if !site(v.r) {
		v.Gatekeeper.RecordPreAuth(v.peer, "foreign-link")
		v.failedAt(p, http.StatusForbidden, federation.ErrRefused)
		return
	}
	f := federation.Flow{Provider: p.Name, Session: v.secret, Next: v.way()}
	if v.session.Stage == login.LoggedIn {
		f.Account, f.Again = v.session.Account, true
	}
	address, err := v.Federation.Start(v.r.Context(), v.peer, f)
	if err != nil {
		v.turnedAway(p, err)
		return
	}
	v.to(address)
}

// returned is where a provider sends the browser back to.
func (v *visit) returned(p federation.Provider) {
	done, err := v.Federation.Finish(v.r.Context(), v.peer, p.Name, v.secret, v.r.URL.Query())
	if err != nil {
		v.turnedAway(p, err)
		return
	}
	v.keep(done.Secret, done.Session)
	v.onward(continued(done.Next))
}

// turnedAway answers a login at a provider that did not work.
func (v *visit) turnedAway(p federation.Provider, err error) {
	switch {
	case errors.Is(err, federation.ErrAway):
		v.failedAt(p, http.StatusServiceUnavailable, federation.ErrAway)
	case errors.Is(err, login.ErrTooMany):
		v.failedAt(p, http.StatusTooManyRequests, login.ErrTooMany)
	default:
		for _, told := range []error{federation.ErrRefused, federation.ErrDeclined, federation.ErrUnknown, federation.ErrOther} {
			if errors.Is(err, told) {
				v.failedAt(p, http.StatusForbidden, told)
				return
			}
		}
		v.down(v.w, v.r, err)
	}
}

// federatedTexts are what people are told, each with what helps.
var federatedTexts = map[error]string{
	federation.ErrRefused:  "The answer does not belong to a login that began in this browser, or it came too late. Nothing was shared. Start again.",
	federation.ErrDeclined: "The provider did not sign you in. Start again, or choose another way.",
	federation.ErrUnknown:  "The provider knows you, but nobody here has this login. Ask your administrator to link it to your account.",
	federation.ErrOther:    "You came back as another person than the one who is signed in here. Sign out first if that is what you want.",
	federation.ErrAway:     "The provider cannot be reached at the moment. Try again later, or choose another way.",
	login.ErrTooMany:       "There were too many attempts from your network. Wait a little and try again.",
}

func (v *visit) failedAt(p federation.Provider, status int, told error) {
	v.refuse(v.w, v.r, status, problem{Title: "Signing in with " + p.Display + " did not work", Text: federatedTexts[told], Back: loginPath, Label: "Back to sign in"})
}
