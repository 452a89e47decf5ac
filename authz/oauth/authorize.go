package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ory/fosite"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/internal/limit"
)

// parameters are those of an authorization request; pages add their own.
var parameters = []string{"response_type", "client_id", "redirect_uri", "launch", "scope", "state", "aud", "nonce",
	"code_challenge", "code_challenge_method", "prompt", "max_age", "login_hint", "response_mode", "request", "request_uri", "audience"}

// authorize is the authorization endpoint, by GET and by form POST (SMART App
// Launch 2.2, authorize-post).
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY") // a login inside of another page is a trap
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
	r = withPeer(r, s.Peer(r))
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if wait, ok := s.byNetwork.Admit(limit.Network(s.Peer(r)), s.Now()); !ok {
		h.Set("Retry-After", limit.Seconds(wait))
		s.page(w, r, http.StatusTooManyRequests)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		h.Set("Allow", "GET, POST")
		s.page(w, r, http.StatusMethodNotAllowed)
		return
	}
	if r.Method == http.MethodPost && !isForm(r) || r.ParseForm() != nil || slices.ContainsFunc(parameters, func(p string) bool { return len(r.Form[p]) > 1 }) {
		s.page(w, r, http.StatusBadRequest)
		return
	}
	// Before the redirect URI is known to be the client's, nobody is redirected
	// (RFC 6749 §4.1.2.1).
	c, err := s.Clients.Get(r.Context(), r.Form.Get("client_id"))
	if err != nil || c.Service() || !slices.Contains(c.Redirects, r.Form.Get("redirect_uri")) {
		if err != nil && !errors.Is(err, client.ErrUnknown) {
			s.page(w, r, http.StatusServiceUnavailable)
			return
		}
		s.page(w, r, http.StatusBadRequest)
		return
	}
	if err := s.ask(w, r, c); err != nil {
		s.redirectError(w, r, c, err)
	}
}

// ask leads a request to a code. A nil error means that it was answered.
func (s *Server) ask(w http.ResponseWriter, r *http.Request, c client.Client) error {
	ar, err := s.provider.NewAuthorizeRequest(r.Context(), r)
	if err != nil {
		return err
	}
	if err := s.acceptableRequest(r.Form, ar); err != nil {
		return err
	}
	prompt, anew, err := promptOf(r.Form.Get("prompt"))
	if err != nil {
		return err
	}
	launch := r.Form.Get("launch")
	l, err := s.launched(r.Context(), launch, ar.GetRequestedScopes(), c)
	if err != nil {
		return err
	}
	a := Asked{Client: c, Scopes: l.offered(ar.GetRequestedScopes()), Launch: l,
		Memory: s.memory(c, r.Form.Get("redirect_uri"), ar.GetRequestedScopes()), AskAnew: anew,
		Prompt: prompt, MaxAge: r.Form.Get("max_age"), Hint: r.Form.Get("login_hint")}
	d, err := s.Interaction.Ask(w, r, a)
	if err == nil && d == nil { // there is a page to answer
		return nil
	}
	if l != nil && (err == nil || errors.Is(err, ErrDeclined)) {
		err = errors.Join(err, s.useLaunch(r.Context(), launch, a))
	}
	if err == nil && l != nil {
		err = s.fits(r.Context(), a, d)
	}
	if err == nil {
		err = d.sound(a)
	}
	if err != nil {
		return err
	}
	if !d.Recalled && a.Memory != nil {
		if err := a.Memory.keep(r.Context(), d.Claims.Account, d.Claims.Patient, d.Scopes); err != nil {
			return err
		}
	}
	d.Claims.Context = l.context(s.endpoint(stylePath()), d.Claims.Patient)
	return s.grantCode(w, r, ar, *d)
}

// acceptableRequest checks what SMART demands beyond OAuth: a state, the FHIR
// base as aud, so that no token goes to a server that only claims to be this
// one, and PKCE before anybody is asked anything.
func (s *Server) acceptableRequest(form url.Values, ar fosite.AuthorizeRequester) error {
	if ar.GetState() == "" || len(ar.GetRequestedScopes()) == 0 || strings.TrimSuffix(form.Get("aud"), "/") != s.Base {
		return fosite.ErrInvalidRequest
	}
	challenge := form.Get("code_challenge")
	if form.Get("code_challenge_method") != "S256" || len(challenge) != 43 || strings.ContainsFunc(challenge, notBase64URL) {
		return fosite.ErrInvalidRequest
	}
	return nil
}

// promptOf is the one of several demands that decides (OpenID Connect Core
// §3.1.2.1): none stands alone, and a login is demanded whatever stands beside
// it; who logs in chooses the account. Every word but these two wants a person
// to be asked anew, also one that is not known.
func promptOf(text string) (prompt string, anew bool, err error) {
	all := strings.Fields(text)
	anew = slices.ContainsFunc(all, func(word string) bool { return word != "none" && word != "login" })
	switch has := func(word string) bool { return slices.Contains(all, word) }; {
	case has("none") && len(all) > 1:
		return "", false, fosite.ErrInvalidRequest
	case has("none"):
		return "none", false, nil
	case has("login"), has("select_account"):
		return "login", anew, nil
	}
	return "", anew, nil
}

func notBase64URL(c rune) bool {
	return !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_')
}

// grantCode makes the code and sends the browser back with it.
func (s *Server) grantCode(w http.ResponseWriter, r *http.Request, ar fosite.AuthorizeRequester, d Decision) error {
	for _, scope := range d.Scopes {
		ar.GrantScope(scope)
	}
	sess := &session{Claims: d.Claims, Nonce: r.Form.Get("nonce")}
	if d.Claims.Lifetime > 0 {
		sess.Until = s.Now().Add(d.Claims.Lifetime)
	}
	sess.Claims.Client, sess.Claims.Scopes, sess.Claims.Lifetime = "", nil, 0
	ar.SetID(s.newFamily(d.Claims.Account))
	resp, err := s.provider.NewAuthorizeResponse(r.Context(), ar, sess)
	if err != nil {
		return err
	}
	subtype := "authorize"
	if d.Recalled {
		subtype = "authorize-remembered"
	}
	if err := s.record(r.Context(), event{subtype: subtype, claims: d.Claims, client: ar.GetClient().GetID()}); err != nil {
		return err
	}
	s.redirect(w, r, url.Values{"code": {resp.GetCode()}, "state": {ar.GetState()}})
	return nil
}

// redirectError tells the app what went wrong, by a code alone.
func (s *Server) redirectError(w http.ResponseWriter, r *http.Request, c client.Client, err error) {
	code := codeOf(err)
	switch {
	case errors.Is(err, ErrDeclined):
		code = "access_denied"
	case errors.Is(err, ErrLogin):
		code = "login_required"
	case errors.Is(err, ErrConsent):
		code = "consent_required"
	case errors.Is(err, ErrInteraction):
		code = "interaction_required"
	case code == "server_error":
		s.Log.Error("authorization failed", "client", c.ID)
	}
	if err := s.record(context.WithoutCancel(r.Context()), event{subtype: "failure", reason: code, client: c.ID}); err != nil {
		s.page(w, r, http.StatusServiceUnavailable)
		return
	}
	out := url.Values{"error": {code}, "error_description": {standard[code]}}
	if state := r.Form.Get("state"); state != "" {
		out.Set("state", state)
	}
	s.redirect(w, r, out)
}

// redirect adds parameters to the registered URI and goes there by GET.
func (s *Server) redirect(w http.ResponseWriter, r *http.Request, add url.Values) {
	to, err := url.Parse(r.Form.Get("redirect_uri"))
	if err != nil {
		s.page(w, r, http.StatusBadRequest)
		return
	}
	note(w, add.Get("error"))
	q := to.Query()
	for name, values := range add {
		q[name] = values
	}
	to.RawQuery = q.Encode()
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusSeeOther)
}

// page says to a person that a request cannot be answered, without a redirect
// and without anything of the request.
func (s *Server) page(w http.ResponseWriter, r *http.Request, status int) {
	reason := "invalid-authorization-request"
	text := "The app that sent you here is not registered with this address, or its request is not readable. Nothing was shared."
	switch status {
	case http.StatusServiceUnavailable:
		text = "The server cannot answer at the moment. Nothing was shared."
	case http.StatusTooManyRequests:
		reason, text = "throttled", "Too many requests come from your network. Wait a little and try again. Nothing was shared."
	}
	s.Gatekeeper.RecordPreAuth(s.Peer(r), reason)
	note(w, "page")
	if s.ErrorPage != nil {
		s.ErrorPage(w, r, status)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
		"<title>Not possible</title><main><h1>Not possible</h1><p>" + text + "</p></main></html>"))
}
