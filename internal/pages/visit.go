package pages

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/login"
)

// maxFormBytes is ample for every form; the largest is the answer of a passkey.
const maxFormBytes = 64 << 10

// visit is one request of a browser, with its session.
type visit struct {
	*Pages
	w       http.ResponseWriter
	r       *http.Request
	peer    string
	secret  string
	session login.Session
}

// cookie is the name of the session's cookie. The prefix makes browsers refuse
// one that was set for other hosts or without TLS (RFC 6265bis §4.1.3.2).
func (p *Pages) cookie() string {
	if p.Secure {
		return "__Host-fieldseal"
	}
	return "fieldseal"
}

// enter opens the session of a browser, an anonymous one when it has none.
func (p *Pages) enter(w http.ResponseWriter, r *http.Request) (v *visit, err error) {
	v = &visit{Pages: p, w: w, r: r, peer: p.Peer(r)}
	if c, cerr := r.Cookie(p.cookie()); cerr == nil {
		v.secret = c.Value
		v.session, err = p.Login.Open(r.Context(), v.secret)
	}
	if v.secret == "" || errors.Is(err, login.ErrNoSession) {
		if v.secret, v.session, err = p.Login.Begin(r.Context()); err == nil {
			v.keep(v.secret, v.session)
		}
	}
	return v, err
}

// keep hands the browser the secret of its session. The cookie ends with the
// browser; the server ends the session earlier.
func (v *visit) keep(secret string, s login.Session) {
	v.secret, v.session = secret, s
	name := v.cookie()
	v.w.Header().Del("Set-Cookie")                                                                                                            // of an anonymous session that has ended
	http.SetCookie(v.w, &http.Cookie{Name: name, Value: secret, Path: "/", HttpOnly: true, Secure: v.Secure, SameSite: http.SameSiteLaxMode}) // #nosec G124 -- Secure whenever the pages are served over TLS
}

// read parses a form and reports whether it came from a page of this session. A
// field that is given twice and is none of the multiple ones makes it bad.
func (v *visit) read(multiple ...string) bool {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxFormBytes)
	ok := v.r.ParseForm() == nil && site(v.r) && v.session.CSRF != "" && equal(v.r.PostForm.Get("csrf"), v.session.CSRF)
	for name, values := range v.r.PostForm {
		many := slices.ContainsFunc(multiple, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
		ok = ok && (len(values) == 1 || many)
	}
	if !ok {
		v.Gatekeeper.RecordPreAuth(v.peer, "foreign-form")
		v.refuse(v.w, v.r, http.StatusForbidden, problem{Title: "This page is out of date",
			Text: "Your form could not be matched to your session, so nothing was done. Open the page again and repeat what you did.", Back: v.back(), Label: "Open the page again"})
	}
	return ok
}

// site reports whether a form came from this origin, as far as the browser says
// (Fetch Metadata); a second wall beside the value of the session.
func site(r *http.Request) bool {
	s := r.Header.Get("Sec-Fetch-Site")
	return s == "" || s == "same-origin" || s == "none"
}

func (v *visit) form(name string) string { return v.r.PostForm.Get(name) }

// back is the address of the page itself, by GET.
func (v *visit) back() string { return continued(v.r.URL.Path + "?" + v.r.URL.RawQuery) }

// name is who is logged in, without the prefix of accounts.
func (v *visit) name() string {
	if v.session.Stage != login.LoggedIn {
		return ""
	}
	return strings.TrimPrefix(v.session.Account, account.User)
}

// page writes a page of a person.
func (v *visit) page(status int, c chrome, app string, content templ.Component) {
	if c.Name == "" {
		c.Name = v.name()
	}
	v.write(v.w, v.r, status, c, app, content)
}

// to sends the browser on, to a path that continued has passed or that stands in
// the code.
func (v *visit) to(path string) {
	guard(v.w, false, "")
	v.w.Header().Set("Location", path)
	v.w.WriteHeader(http.StatusSeeOther)
}
