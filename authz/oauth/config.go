package oauth

import (
	"context"
	"errors"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/pkce"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/authz/token"
)

// configure sets the flows up: the authorization code with PKCE for everybody,
// refresh, and client credentials. Nothing else is a grant here.
func (s *Server) configure() {
	s.config = &fosite.Config{
		AccessTokenLifespan: token.DefaultLifetime, AuthorizeCodeLifespan: CodeLifetime, RefreshTokenLifespan: -1,
		EnforcePKCE: true, EnablePKCEPlainChallengeMethod: false, TokenURL: s.endpoint("token"),
		ScopeStrategy:                func(have []string, asked string) bool { return smart.Covered(have, asked) },
		AudienceMatchingStrategy:     noAudience,
		RefreshTokenScopes:           []string{smart.OfflineAccess, smart.OnlineAccess},
		SanitationWhiteList:          []string{"redirect_uri", "nonce", "code_challenge", "code_challenge_method"},
		ClientAuthenticationStrategy: s.authenticate,
		OmitRedirectScopeParam:       true,
	}
	strategy := strategy{}
	code := &oauth2.AuthorizeExplicitGrantHandler{AccessTokenStrategy: strategy, RefreshTokenStrategy: strategy, AuthorizeCodeStrategy: strategy,
		CoreStorage: s.store, TokenRevocationStorage: s.store, Config: s.config}
	proof := &pkce.Handler{AuthorizeCodeStrategy: strategy, Storage: s.store, Config: s.config}
	refresh := &oauth2.RefreshTokenGrantHandler{AccessTokenStrategy: strategy, RefreshTokenStrategy: strategy, TokenRevocationStorage: s.store, Config: s.config}
	service := &oauth2.ClientCredentialsGrantHandler{HandleHelper: &oauth2.HandleHelper{AccessTokenStrategy: strategy, AccessTokenStorage: s.store, Config: s.config}, Config: s.config}
	s.config.TokenEndpointHandlers = fosite.TokenEndpointHandlers{service}
	if s.Interaction != nil {
		s.config.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{code, proof}
		s.config.TokenEndpointHandlers = append(s.config.TokenEndpointHandlers, code, proof, refresh)
	}
	s.provider = fosite.NewOAuth2Provider(s.store, s.config)
}

// noAudience refuses the parameter audience, which is none of SMART's: the aud
// of an authorization request is checked where it comes in.
func noAudience(_, asked []string) error {
	if len(asked) > 0 {
		return fosite.ErrInvalidRequest
	}
	return nil
}

// registered makes a client known to fosite.
type registered struct{ client.Client }

var _ fosite.Client = registered{}

func (r registered) GetID() string                      { return r.ID }
func (r registered) GetHashedSecret() []byte            { return nil } // authenticate compares secrets
func (r registered) GetRedirectURIs() []string          { return r.Redirects }
func (r registered) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} }
func (r registered) GetScopes() fosite.Arguments        { return r.Scopes }
func (r registered) IsPublic() bool                     { return r.Auth == client.Public }
func (r registered) GetAudience() fosite.Arguments      { return nil }

func (r registered) GetGrantTypes() fosite.Arguments {
	if r.Service() {
		return fosite.Arguments{"client_credentials"}
	}
	return fosite.Arguments{"authorization_code", "refresh_token"}
}

// GetClient implements fosite.ClientManager.
func (s *store) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	c, err := s.Clients.Get(ctx, id)
	if errors.Is(err, client.ErrUnknown) {
		return nil, fosite.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return registered{c}, nil
}

// strategy draws secrets. fosite's "signature" of a secret is the handle by
// which it passes the secret to the store; here that is the secret itself, so
// that the store can name a row by its hash and seal it under it.
type strategy struct{}

// Prefixes of what is drawn here, for scanners of leaked secrets.
const (
	codePrefix    = "fsc_"
	refreshPrefix = "fsr_"
)

func draw(prefix string) (secret, handle string, err error) {
	secret = token.Draw(prefix)
	return secret, secret, nil
}

func (strategy) AccessTokenSignature(_ context.Context, secret string) string   { return secret }
func (strategy) RefreshTokenSignature(_ context.Context, secret string) string  { return secret }
func (strategy) AuthorizeCodeSignature(_ context.Context, secret string) string { return secret }

func (strategy) GenerateAccessToken(context.Context, fosite.Requester) (string, string, error) {
	return draw(token.Prefix)
}

func (strategy) GenerateRefreshToken(context.Context, fosite.Requester) (string, string, error) {
	return draw(refreshPrefix)
}

func (strategy) GenerateAuthorizeCode(context.Context, fosite.Requester) (string, string, error) {
	return draw(codePrefix)
}

// The store has checked what it returned: a secret that names a row which opens
// under it, and whose time has not passed.

func (strategy) ValidateAccessToken(context.Context, fosite.Requester, string) error   { return nil }
func (strategy) ValidateRefreshToken(context.Context, fosite.Requester, string) error  { return nil }
func (strategy) ValidateAuthorizeCode(context.Context, fosite.Requester, string) error { return nil }
