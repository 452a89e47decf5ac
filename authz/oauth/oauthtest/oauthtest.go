// Package oauthtest answers for people in tests of the authorization server: an
// Interaction without pages. It is no part of the product.
package oauthtest

import (
	"context"
	"net/http"
	"sync"

	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/token"
)

// Person is a logged-in user who answers every question in the same way. The
// zero Person declines.
type Person struct {
	mu sync.Mutex
	// claims of the login; without an account the person declines.
	claims  token.Claims
	scopes  []string // granted; nil: all that are asked for
	asked   []oauth.Asked
	page    bool
	failure error
}

var _ oauth.Interaction = (*Person)(nil)

// Login sets who is logged in and, as an app would get it, patient and context.
func (p *Person) Login(c token.Claims) { p.set(func() { p.claims = c }) }

// Grant sets the scopes that are granted; none given means all asked for.
func (p *Person) Grant(scopes ...string) { p.set(func() { p.scopes = scopes }) }

// ShowPage makes the next questions be answered with a page.
func (p *Person) ShowPage(show bool) { p.set(func() { p.page = show }) }

// Fail makes every answer an error.
func (p *Person) Fail(err error) { p.set(func() { p.failure = err }) }

func (p *Person) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// Asked is every question so far.
func (p *Person) Asked() []oauth.Asked {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]oauth.Asked(nil), p.asked...)
}

// Ask implements oauth.Interaction.
func (p *Person) Ask(w http.ResponseWriter, _ *http.Request, a oauth.Asked) (*oauth.Decision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, a)
	switch {
	case p.failure != nil:
		return nil, p.failure
	case p.page:
		_, _ = w.Write([]byte("a page"))
		return nil, nil
	case p.claims.Account == "":
		return nil, oauth.ErrDeclined
	}
	d := &oauth.Decision{Scopes: a.Scopes, Claims: p.claims}
	if p.scopes != nil {
		d.Scopes = p.scopes
	}
	return d, nil
}

// Renew implements oauth.Interaction: the roles are those of the login in force.
func (p *Person) Renew(_ context.Context, c token.Claims) (token.Claims, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure != nil {
		return c, p.failure
	}
	if p.claims.Account != c.Account {
		return c, oauth.ErrDeclined
	}
	c.Roles = p.claims.Roles
	return c, nil
}
