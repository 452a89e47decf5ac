// Package pages is everything of the authorization server that a person sees:
// login, second factor, enrolment, the choice of a patient, consent, the own
// account and the apps that were authorised.
//
// Start with Pages. Ask (ask.go) implements oauth.Interaction: it leads a
// request of the authorization endpoint from page to page until there is a
// decision. Handler serves the pages around it. What they look like stands in
// the templ files beside and in assets; the _templ.go files are generated from
// them, and as long as the generator makes them: nobody reads or edits those.
//
// Security notes: every form carries a value of its session, and is refused
// without (CSRF). A page leads on to paths of this package and to the
// authorization endpoint only. What a form sends back is an index into what the
// page offered, or is proven anew: a scope that was not asked for cannot be
// named, a patient is looked up as the user. A consent form is bound to its
// request, session and patient and works once. Names of patients come from the
// released answer of a FHIR search as that user, which is an audit event; they
// stand in no URL that is made here and in no log. No page runs a script but
// those with passkeys, whose one file is served from here.
//
// Kept compatible: the rows (docs/format/pages.md) and the paths.
package pages

//go:generate go tool -modfile=../../tools/go.mod templ generate -path .

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/a-h/templ"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/federation"
	"github.com/fieldseal/fieldseal/authz/login"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
)

// Errors of Patients that people are told about. Any other one is an outage.
var (
	// ErrDenied means that the user may not search for patients this way.
	ErrDenied = errors.New("the user may not search for patients")
	// ErrQuery means that the search is not understood, or its page is too old.
	ErrQuery = errors.New("the search is not understood")
)

// Patients searches as somebody who is logged in.
type Patients interface {
	// Search is a FHIR search of Patient with the rights of the claims, an audit
	// event among it. It returns the released Bundle.
	Search(ctx context.Context, as token.Claims, peer, rawQuery string) ([]byte, error)
}

// Clients are the registered ones.
type Clients interface {
	Get(ctx context.Context, id string) (client.Client, error)
}

// Apps are what an account has authorised (oauth.Server).
type Apps interface {
	Grants(ctx context.Context, account string) ([]oauth.Grant, error)
	// EndApp ends what the account authorised a client to, and forgets the answer.
	EndApp(ctx context.Context, account, client string) error
}

// Gatekeeper records what is refused before anything is checked, aggregated per
// peer (decision 35).
type Gatekeeper interface {
	RecordPreAuth(peer, reason string)
}

// Options are what Pages need.
type Options struct {
	Login    *login.Service
	Accounts *account.Directory
	Clients  Clients
	Patients Patients
	Table    repository.Table // of the consent forms that were used
	// PRF is a keyed function; it proves that forms were made here.
	PRF        func(label, text string) repository.StorageID
	Gatekeeper Gatekeeper
	// Purposes are the usual purpose of use of an account, and those that it may
	// name besides.
	Purposes func(account.Account) (usual string, besides []string)
	// Policy returns an error while nobody can tell which roles need a second
	// factor (authz.ErrNoPolicy).
	Policy func() error
	// Secure says that the pages are served over TLS, so that the cookie is never
	// sent without.
	Secure bool
	// Federation logs people in at external providers; nil: at none.
	Federation Federation
	// Peer is the network address of the caller.
	Peer func(*http.Request) string
	Log  *slog.Logger
	Now  func() time.Time // nil means time.Now
}

// Federation is authz/federation.
type Federation interface {
	Providers() []federation.Provider
	Start(ctx context.Context, peer string, f federation.Flow) (address string, err error)
	// Leave is where a session at the provider is ended; empty: nowhere.
	Leave(ctx context.Context, provider string) string
	Finish(ctx context.Context, peer, provider, secret string, query url.Values) (federation.Done, error)
}

// Pages are safe for concurrent use.
type Pages struct{ Options }

// New returns Pages; it panics when a required option is missing, which is a
// wiring error.
func New(o Options) *Pages {
	if o.Login == nil || o.Accounts == nil || o.Clients == nil || o.Patients == nil || o.Table == nil || o.PRF == nil ||
		o.Gatekeeper == nil || o.Purposes == nil || o.Policy == nil || o.Peer == nil {
		panic("pages: a required option is missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Pages{o}
}

// chrome is what is around the content of a page.
type chrome struct {
	Title string
	Name  string // of who is logged in; empty: nobody
	Here  string // path, for the navigation
	Wide  bool
	// Script loads the one script file, for passkeys.
	Script bool
}

// policy is the Content-Security-Policy of a page. Browsers hold form-action
// against redirects that follow a form too, so the address of the app that a
// decision leads back to has to be named (CSP Level 3, §6.4.1).
func policy(script bool, app string) string {
	scripts := ""
	if script {
		scripts = "script-src 'self'; "
	}
	if app != "" {
		app = " " + app
	}
	return "default-src 'none'; style-src 'self'; img-src 'self' data:; " + scripts +
		"form-action 'self'" + app + "; frame-ancestors 'none'; base-uri 'none'"
}

// guard sets the headers that all pages have: nothing is kept, framed, guessed
// or told to others.
func guard(w http.ResponseWriter, script bool, app string) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy(script, app))
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
}

// write renders a page whole before the first byte leaves.
func (p *Pages) write(w http.ResponseWriter, r *http.Request, status int, c chrome, app string, content templ.Component) {
	var b bytes.Buffer
	if err := layout(c).Render(templ.WithChildren(r.Context(), content), &b); err != nil {
		p.Log.Error("rendering a page", "page", c.Title)
		http.Error(w, "The page cannot be shown.", http.StatusInternalServerError)
		return
	}
	guard(w, c.Script, app)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes())
	}
}

// problem is a page that says that something cannot be done.
type problem struct {
	Title, Text string
	Back, Label string // where to go on; empty: nowhere
}

func (p *Pages) refuse(w http.ResponseWriter, r *http.Request, status int, pr problem) {
	p.write(w, r, status, chrome{Title: pr.Title}, "", problemPage(pr))
}

// down answers an outage. The cause is in the log of whoever had it.
func (p *Pages) down(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, context.Canceled) {
		p.Log.Error("a page cannot be answered", "path", r.URL.Path, "kind", kindOf(err))
	}
	w.Header().Set("Retry-After", "5")
	p.refuse(w, r, http.StatusServiceUnavailable, problem{Title: "Not available at the moment",
		Text: "The server cannot answer right now. Nothing was changed or shared. Please try again in a moment."})
}

// errFault stands for a fault of ours, which must not end the server.
var errFault = errors.New("a fault while a page was made")

// kindOf classifies an outage for the log, without its text.
func kindOf(err error) string {
	switch {
	case errors.Is(err, errFault):
		return "fault"
	case errors.Is(err, repository.ErrCorrupt):
		return "corrupt"
	case errors.Is(err, repository.ErrUnavailable):
		return "unavailable"
	}
	return "other"
}

// ErrorPage is oauth.Options.ErrorPage: what an authorization request that leads
// nowhere is answered with. Nothing of the request is repeated.
func (p *Pages) ErrorPage(w http.ResponseWriter, r *http.Request, status int) {
	pr := problem{Title: "This link does not work",
		Text: "The app that sent you here is not registered with this address, or its request is not readable. Nothing was shared. Go back to the app and try again; if it happens again, tell those who run the app."}
	switch status {
	case http.StatusServiceUnavailable:
		pr = problem{Title: "Not available at the moment", Text: "The server cannot answer right now. Nothing was shared. Please try again in a moment."}
	case http.StatusTooManyRequests:
		pr = problem{Title: "Too many requests", Text: "Too many requests come from your network. Wait a little and try again. Nothing was shared."}
	case http.StatusMethodNotAllowed:
		pr = problem{Title: "Not possible", Text: "This address cannot be used in this way. Nothing was shared."}
	}
	p.refuse(w, r, status, pr)
}
