package pages

import (
	"crypto/subtle"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz/login"
	"github.com/fieldseal/fieldseal/authz/oauth"
)

// The paths of the pages.
const (
	authorizePath = oauth.Path + "/authorize"
	loginPath     = oauth.Path + "/login"
	factorPath    = loginPath + "/factor"
	awayPath      = loginPath + "/at/" // and the name of a provider
	enrolPath     = login.EnrolPath
	logoutPath    = oauth.Path + "/logout"
	accountPath   = oauth.Path + "/account"
	securePath    = accountPath + "/factor"
	totpPath      = accountPath + "/totp"
	passkeyPath   = accountPath + "/passkey"
	recoveryPath  = accountPath + "/recovery"
	passwordPath  = accountPath + "/password"
	appsPath      = oauth.Path + "/apps"
	assetsPath    = oauth.Path + "/assets/"
)

// destinations are where a page may lead on to: nothing but what is served here
// (open redirect).
var destinations = []string{authorizePath, accountPath, securePath, totpPath, passkeyPath, recoveryPath, passwordPath, appsPath}

// maxNext bounds the address of an authorization request, so that it still fits
// into the header of a request when it is the parameter of another one.
const maxNext = 6 << 10

// continued returns a path of this server that a person was on the way to, or
// the account page when it is anything else.
func continued(next string) string {
	u, err := url.Parse(next)
	if err != nil || len(next) > maxNext || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.RawPath != "" ||
		!slices.Contains(destinations, u.Path) || strings.ContainsFunc(next, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return accountPath
	}
	if u.RawQuery == "" {
		return u.Path
	}
	return u.Path + "?" + u.RawQuery
}

// via is the address of a page that leads on to next.
func via(path, next string, more ...string) string {
	q := url.Values{}
	if next != "" && next != accountPath {
		q.Set("next", next)
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// askedParameter marks in the address of an authorization request since when a
// login is awaited, so that the one that follows satisfies it (prompt=login).
const askedParameter = "asked"

// mark adds the parameter. It is proven, so that nobody writes one himself and
// skips the login that an app demanded.
func (p *Pages) mark(q url.Values) string {
	at := strconv.FormatInt(p.Now().UnixMilli(), 10)
	q.Del(askedParameter)
	q.Set(askedParameter, at+"."+p.proof("pages-asked", at, q.Encode()))
	return authorizePath + "?" + q.Encode()
}

// marked is since when the request awaits a login; zero: not yet.
func (p *Pages) marked(q url.Values) (since time.Time) {
	at, proof, _ := strings.Cut(q.Get(askedParameter), ".")
	bare := url.Values{}
	for name, values := range q {
		if name != askedParameter {
			bare[name] = values
		}
	}
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil || !equal(proof, p.proof("pages-asked", at, bare.Encode())) {
		return since
	}
	return time.UnixMilli(ms)
}

// proof is a keyed checksum over texts, none of which runs into the next.
func (p *Pages) proof(label string, texts ...string) string {
	var b strings.Builder
	for _, t := range texts {
		b.WriteString(strconv.Itoa(len(t)))
		b.WriteByte(':')
		b.WriteString(t)
	}
	sum := p.PRF(label, b.String())
	return hex.EncodeToString(sum[:])
}

// source is the source expression of the address that an app gets its answer at
// (CSP Level 3, §2.3.1). What the grammar has no word for, as an IPv6 address,
// is named by its scheme.
func source(redirect string) string {
	u, err := url.Parse(redirect)
	if err != nil || u.Scheme == "" {
		return ""
	}
	if u.Scheme != "https" && u.Scheme != "http" || strings.ContainsFunc(u.Hostname(), noHost) {
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}

func noHost(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-')
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
