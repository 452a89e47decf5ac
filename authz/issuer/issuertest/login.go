package issuertest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// code is an authorization code that was not redeemed.
type code struct {
	nonce, challenge, redirect string
	person                     Object
}

// authorize answers for whoever is logged in, without a page.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q, f := r.URL.Query(), p.misbehaviour()
	p.mu.Lock()
	person, redirect := maps.Clone(p.person), p.redirect
	p.mu.Unlock()
	if q.Get("client_id") != ClientID || q.Get("redirect_uri") != redirect || q.Get("response_type") != "code" {
		http.Error(w, "the client or its redirect URI is unknown", http.StatusBadRequest)
		return
	}
	out := Object{"state": q.Get("state"), "iss": p.URL}
	switch {
	case q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("nonce") == "":
		out["error"] = "invalid_request"
	case person == nil:
		out["error"] = "access_denied"
	default:
		if q.Get("max_age") != "" || q.Get("prompt") == "login" {
			person["auth_time"] = time.Now().Unix() // it has them log in anew
		}
		out["code"] = p.NewCode(q.Get("nonce"), q.Get("code_challenge"), redirect, person)
	}
	if f.Redirect != nil {
		f.Redirect(out)
	}
	values := url.Values{}
	for name, value := range out {
		if text, ok := value.(string); ok {
			values.Set(name, text)
		}
	}
	http.Redirect(w, r, redirect+"?"+values.Encode(), http.StatusSeeOther)
}

// NewCode makes a code as though an authorization had been asked for.
func (p *Provider) NewCode(nonce, challenge, redirect string, person Object) string {
	secret := rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[secret] = code{nonce, challenge, redirect, person}
	return secret
}

// token redeems a code (RFC 6749 §4.1.3, RFC 7636 §4.6) once.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	f := p.misbehaviour()
	if err := r.ParseForm(); err != nil {
		http.Error(w, "no form", http.StatusBadRequest)
		return
	}
	id, secret, basic := r.BasicAuth()
	if basic { // RFC 6749 §2.3.1: both are form-encoded
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	if id != ClientID || subtle.ConstantTimeCompare([]byte(secret), []byte(ClientSecret)) != 1 {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	p.mu.Lock()
	c, known := p.codes[r.PostForm.Get("code")]
	delete(p.codes, r.PostForm.Get("code"))
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !known || r.PostForm.Get("redirect_uri") != c.redirect || r.PostForm.Get("grant_type") != "authorization_code" || !f.SkipPKCE && encode(sum[:]) != c.challenge {
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	t := p.fresh("JWT")
	maps.Copy(t.Claims, Object{"aud": ClientID, "nonce": c.nonce, "exp": time.Now().Add(5 * time.Minute).Unix()})
	maps.Copy(t.Claims, c.person)
	if f.IDToken != nil {
		f.IDToken(t)
	}
	answer := Object{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": t.Sign()}
	if f.NoIDToken {
		delete(answer, "id_token")
	}
	write(w, "no-store", answer)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(`{"error":"` + code + `"}`))
}
