package oauth

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/authz/token"
)

// ErrDeclined means that the user, or a rule about the account, said no.
var ErrDeclined = errors.New("declined")

// ErrLogin means that nobody is logged in and nobody may be asked (prompt=none,
// OpenID Connect Core §3.1.2.1).
var ErrLogin = errors.New("login is required")

// ErrConsent means that somebody is logged in and would have to be asked, but
// nobody may be (prompt=none, OpenID Connect Core §3.1.2.6).
var ErrConsent = errors.New("consent is required")

// ErrInteraction means that a person would have to do something other than
// consent, as choosing a patient, and nobody may be asked (prompt=none, OpenID
// Connect Core §3.1.2.6).
var ErrInteraction = errors.New("interaction is required")

// Interaction asks people: who they are, what an app may do, for which patient.
// The pages implement it.
type Interaction interface {
	// Ask is called for every request of the authorization endpoint that is
	// acceptable so far. While there is something to ask it writes a page and
	// returns nil and no error; the page's forms go to the same URL, query
	// included. Once everything is known it writes nothing and returns the
	// decision, or ErrDeclined, ErrLogin, ErrConsent or ErrInteraction. It must keep the forms of one person
	// from being sent by another's page (CSRF).
	Ask(w http.ResponseWriter, r *http.Request, a Asked) (*Decision, error)
	// Renew returns what the claims of an account are now, when a refresh token
	// is used: roles may have changed since. Patient and context stay as they
	// are; scopes that the claims lack are not in the new access token, nil means
	// that all stay. ErrDeclined ends the authorisation.
	Renew(ctx context.Context, c token.Claims) (token.Claims, error)
}

// Asked is what an app asks for.
type Asked struct {
	Client client.Client
	Scopes []string
	// Launch is what an EHR started the app with; nil: standalone. Its patient
	// needs no picker and must be that of the claims; its user must be the one
	// who decides. The value is consumed when Ask returns a decision or
	// ErrDeclined.
	Launch *Launch
	// Memory is what people allowed the app before; AskAnew says that the app
	// wants them to be asked nevertheless.
	Memory  *Memory
	AskAnew bool
	Prompt  string // login, none or empty
	MaxAge  string // seconds since the login, or empty
	Hint    string // login_hint
}

// Decision is what the user, and rules about the account, answered.
type Decision struct {
	// Scopes are the granted ones: each is covered by one that was asked for,
	// finer alternatives among them.
	Scopes []string
	// Claims say who logged in and how (Account, Roles, Who, Orgs, Purpose,
	// Purposes, AMR, AuthTime), and for which patient. Client, Scopes and Context
	// are filled in.
	Claims token.Claims
	// Recalled says that nobody was asked: the answer is one that Memory knew.
	Recalled bool
}

// sound refuses a decision that gives more than was asked for, or a scope
// without what it needs: a missing patient or user is a refusal, not a skip.
func (d Decision) sound(a Asked) error {
	substance := false
	for _, text := range d.Scopes {
		if !smart.Covered(a.Scopes, text) {
			return errors.New("a scope was granted that nobody asked for")
		}
		s, err := smart.Parse(text)
		substance = substance || err == nil || text == smart.Admin
		patient := err == nil && s.Level == smart.Patient || text == smart.LaunchPatient
		if patient && d.Claims.Patient == "" || text == smart.FHIRUser && d.Claims.Who == "" {
			return ErrDeclined
		}
	}
	if !substance && !slices.Contains(d.Scopes, smart.OpenID) {
		return ErrDeclined
	}
	return nil
}
