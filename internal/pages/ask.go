package pages

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/login"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/authz/token"
)

// asking is a request of an app that a person decides about.
type asking struct {
	*visit
	asked oauth.Asked
	rec   account.Account
	app   string // source expression of where the answer goes
}

// Ask implements oauth.Interaction: login, patient, consent, decision.
func (p *Pages) Ask(w http.ResponseWriter, r *http.Request, a oauth.Asked) (*oauth.Decision, error) {
	if r.Method == http.MethodPost && r.PostForm.Has("client_id") {
		p.byGet(w, r)
		return nil, nil
	}
	if len(r.URL.RawQuery) > maxNext-len(authorizePath)-100 { // it has to fit into the address of the login page
		p.ErrorPage(w, r, http.StatusRequestURITooLong)
		return nil, nil
	}
	v, err := p.enter(w, r)
	if err != nil {
		p.down(w, r, err)
		return nil, nil
	}
	defer func() {
		if fault := recover(); fault != nil {
			p.down(w, r, errFault)
		}
	}()
	q := &asking{visit: v, asked: a, app: source(r.URL.Query().Get("redirect_uri"))}
	if away := q.needsLogin(); away != "" {
		if a.Prompt == "none" {
			return nil, oauth.ErrLogin
		}
		v.to(away)
		return nil, nil
	}
	if q.rec, err = p.Accounts.Get(r.Context(), v.session.Account); err != nil {
		p.down(w, r, err)
		return nil, nil
	}
	if a.Prompt == "none" {
		return q.silently()
	}
	return q.step()
}

// byGet turns the form that an app posted (SMART App Launch 2.2,
// authorize-post) into the same request by GET: forms of other sites come
// without the session's cookie.
func (p *Pages) byGet(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for name, values := range r.PostForm {
		q[name] = values
	}
	to := authorizePath + "?" + q.Encode()
	if len(to) > maxNext {
		p.ErrorPage(w, r, http.StatusRequestURITooLong)
		return
	}
	guard(w, false, "")
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// request is the address of the request, without the host.
func (q *asking) request() string { return authorizePath + "?" + q.r.URL.RawQuery }

// needsLogin is the page that comes before anything is asked, or empty.
func (q *asking) needsLogin() string {
	here := q.request()
	switch q.session.Stage {
	case login.LoggedIn:
	case login.NeedsFactor:
		return via(factorPath, here)
	case login.NeedsEnrolment:
		return via(securePath, here)
	default:
		return via(loginPath, q.awaited())
	}
	if q.stale() {
		return via(loginPath, q.awaited(), "again", "1")
	}
	switch mfa := slices.Contains(q.session.AMR, login.MFA); {
	case !slices.Contains(q.asked.Scopes, smart.Admin): // administration alone asks for a fresh second factor
		return ""
	case !mfa: // then there is none
		return via(securePath, here)
	case !q.session.Fresh(q.Now()):
		return via(factorPath, here)
	}
	return ""
}

// stale reports whether the app demands another login than the one there was
// (OpenID Connect Core §3.1.2.1, prompt and max_age).
func (q *asking) stale() bool {
	since := q.marked(q.r.URL.Query())
	if !since.IsZero() && !q.session.AuthTime.Before(since) {
		return false // it has happened
	}
	if q.asked.Prompt == "login" {
		return true
	}
	if q.asked.MaxAge == "" {
		return false
	}
	seconds, err := strconv.ParseUint(q.asked.MaxAge, 10, 31)
	return err != nil || q.Now().Sub(q.session.AuthTime) > time.Duration(seconds)*time.Second // #nosec G115 -- 31 bits
}

// awaited is the address of the request, marked when it demands a login of its
// own.
func (q *asking) awaited() string {
	if q.asked.Prompt != "login" && q.asked.MaxAge == "" {
		return q.request()
	}
	return q.mark(q.r.URL.Query())
}

// step answers the form that was posted, or shows what comes next.
func (q *asking) step() (*oauth.Decision, error) {
	if q.r.Method != http.MethodPost {
		return q.begin()
	}
	if !q.read("k") {
		return nil, nil
	}
	deny := q.form("answer") == "deny"
	switch {
	case deny && q.foreignLaunch(): // refused there, and recorded as what it is
		return &oauth.Decision{Claims: token.Claims{Account: q.session.Account}}, nil
	case deny:
		return nil, q.declined()
	case q.foreignLaunch():
		return q.begin()
	}
	switch q.form("step") {
	case "find":
		return q.find()
	case "pick":
		return q.pick(q.form("patient"))
	case "decide":
		return q.decide()
	}
	return q.begin()
}

// foreignLaunch reports whether an EHR opened the app for somebody else.
func (q *asking) foreignLaunch() bool {
	return q.asked.Launch != nil && q.asked.Launch.Account != q.session.Account
}

// begin shows the first page: for which patient, or what the app asks for.
func (q *asking) begin() (*oauth.Decision, error) {
	if q.foreignLaunch() {
		q.page(http.StatusForbidden, chrome{Title: "Opened for somebody else"}, q.app, launchPage(q, q.asked.Client.Name))
		return nil, nil
	}
	switch patient, settled := q.settled(); {
	case settled && patient == "":
		return q.consent("", person{})
	case settled:
		return q.pick(patient)
	}
	own, search := q.rec.Contexts(q.Now())
	if search {
		return nil, q.picker(found{})
	}
	return nil, q.choose(own)
}

// settled is for which patient an app is used when nobody has to choose; empty:
// for none in particular.
func (q *asking) settled() (patient string, settled bool) {
	if l := q.asked.Launch; l != nil && l.Patient != "" {
		return l.Patient, true
	}
	if !q.needsPatient() {
		return "", true
	}
	if own, search := q.rec.Contexts(q.Now()); !search && len(own) == 1 {
		return own[0].Patient, true
	}
	return "", false
}

// needsPatient reports whether something is asked for that is of one patient.
func (q *asking) needsPatient() bool {
	return slices.ContainsFunc(q.asked.Scopes, func(text string) bool {
		s, err := smart.Parse(text)
		return text == smart.LaunchPatient || err == nil && s.Level == smart.Patient
	})
}

// claims are what a token says for a patient and scopes. ErrDeclined: the
// account may not act so.
func (p *Pages) claims(rec account.Account, s account.Session) (token.Claims, error) {
	usual, besides := p.Purposes(rec)
	if slices.Contains(s.Scopes, smart.Admin) {
		usual, besides = "HSYSADMIN", nil
	}
	s.Purpose = usual
	c, err := rec.Claims(s, p.Now())
	if err != nil {
		return c, oauth.ErrDeclined
	}
	if c.Purpose == usual { // not narrowed to a proxy's
		c.Purposes = besides
	}
	return c, nil
}

func (q *asking) claimsFor(patient string, scopes []string) (token.Claims, error) {
	return q.Pages.claims(q.rec, account.Session{Client: q.asked.Client.ID, Scopes: scopes, Patient: patient,
		AMR: q.session.AMR, AuthTime: q.session.AuthTime})
}

// Renew implements oauth.Interaction. Who has to have a second factor by now and
// logged in without one has to log in again.
func (p *Pages) Renew(ctx context.Context, old token.Claims) (token.Claims, error) {
	rec, err := p.Accounts.Get(ctx, old.Account)
	if errors.Is(err, account.ErrUnknown) {
		return token.Claims{}, oauth.ErrDeclined
	}
	if err != nil {
		return token.Claims{}, err
	}
	if err := p.Policy(); err != nil { // no reason to end what people gave
		return token.Claims{}, err
	}
	if p.Login.NeedsFactor(rec) && !slices.Contains(old.AMR, login.MFA) {
		return token.Claims{}, oauth.ErrDeclined
	}
	return p.claims(rec, account.Session{Client: old.Client, Scopes: old.Scopes, Patient: old.Patient, AMR: old.AMR, AuthTime: old.AuthTime})
}

// decide takes the answer of a consent form: bound to this request, session and
// patient, and used once.
func (q *asking) decide() (*oauth.Decision, error) {
	f, claims, ok := q.proven(q.form("form"))
	if !ok {
		return nil, q.outdated()
	}
	granted, ok := chosen(offers(claims.Scopes), q.r.PostForm)
	if !ok {
		q.Gatekeeper.RecordPreAuth(q.peer, "forged-consent")
		return nil, q.outdated()
	}
	first, err := q.use(f)
	if err != nil {
		q.down(q.w, q.r, err)
		return nil, nil
	}
	if !first {
		return nil, q.outdated()
	}
	if len(granted) == 0 || q.form("answer") != "allow" {
		return nil, q.declined()
	}
	if claims, err = q.claimsFor(f.patient, granted); err != nil {
		return nil, err
	}
	return &oauth.Decision{Scopes: claims.Scopes, Claims: claims}, nil
}

// outdated answers a form that was used, is too old, or belongs to something
// else.
func (q *asking) outdated() error {
	q.refuse(q.w, q.r, http.StatusConflict, problem{Title: "This page was used already",
		Text: "Each request of an app can be answered once, and within 15 minutes. Nothing more was shared.", Back: q.back(), Label: "Show the request again"})
	return nil
}

// bare is the query of the request as it was asked, for what is bound to it.
func bare(u *url.URL) string { return u.Query().Encode() }
