package oauth

import (
	"maps"
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/fieldseal/fieldseal/authz/token"
)

// session is what an authorization stands for. It implements fosite.Session.
type session struct {
	Claims token.Claims `json:"claims"`
	Nonce  string       `json:"nonce,omitempty"`
	// Until bounds the access tokens of a code: an account or a delegation may
	// end before.
	Until time.Time `json:"until,omitzero"`

	granted  []string // what the user granted, as the row of the code or refresh token says
	narrowed []string // scopes of this access token, when fewer were asked for at refresh
	expires  map[fosite.TokenType]time.Time
	ends     time.Time // of the access token that was stored
}

var _ fosite.Session = (*session)(nil)

func (s *session) SetExpiresAt(k fosite.TokenType, at time.Time) {
	if s.expires == nil {
		s.expires = map[fosite.TokenType]time.Time{}
	}
	s.expires[k] = at
}

func (s *session) GetExpiresAt(k fosite.TokenType) time.Time { return s.expires[k] }
func (s *session) GetUsername() string                       { return "" }
func (s *session) GetSubject() string                        { return s.Claims.Account }

// Clone returns a copy whose changes do not touch the original.
func (s *session) Clone() fosite.Session {
	c := *s
	c.expires = maps.Clone(s.expires)
	c.Claims.Context = maps.Clone(s.Claims.Context)
	for _, list := range []*[]string{&c.Claims.Roles, &c.Claims.Scopes, &c.Claims.Orgs, &c.Claims.AMR, &c.granted, &c.narrowed} {
		*list = slices.Clone(*list)
	}
	return &c
}
