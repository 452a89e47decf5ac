package login

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// challengeLife is how long a browser may take for a ceremony.
const challengeLife = 5 * time.Minute

// user implements webauthn.User: the handle is a pseudonym, the name is for the
// authenticator's own list.
type user struct {
	id    []byte
	name  string
	creds *credentials
}

func (u user) WebAuthnID() []byte          { return u.id }
func (u user) WebAuthnName() string        { return u.name }
func (u user) WebAuthnDisplayName() string { return u.name }
func (u user) WebAuthnCredentials() (out []webauthn.Credential) {
	for _, k := range u.creds.Passkeys {
		out = append(out, k.Credential)
	}
	return out
}

func (s *Service) user(o open) user {
	id := s.Sealer.StorageID("login-webauthn", o.body.Account)
	_, name, _ := strings.Cut(o.body.Account, ":")
	return user{id[:], name, &o.creds}
}

func passkeyID(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) }

// BeginPasskey returns the PublicKeyCredentialRequestOptions (WebAuthn §5.5) of
// a ceremony with user verification, as JSON.
func (s *Service) BeginPasskey(ctx context.Context, secret string) (options []byte, err error) {
	o, err := s.begun(ctx, secret)
	if err != nil {
		return nil, err
	}
	if s.webauthn == nil || len(o.creds.Passkeys) == 0 {
		return nil, ErrNoFactor
	}
	asked, ceremony, err := s.webauthn.BeginLogin(s.user(o), webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, fmt.Errorf("beginning a passkey login: %w", err)
	}
	return s.challenged(ctx, o, ceremony, asked.Response)
}

// BeginRegister returns the PublicKeyCredentialCreationOptions (WebAuthn §5.4)
// of a ceremony, as JSON.
func (s *Service) BeginRegister(ctx context.Context, secret string) (options []byte, err error) {
	o, err := s.mayEnrol(ctx, secret)
	if err != nil {
		return nil, err
	}
	if s.webauthn == nil || len(o.creds.Passkeys) >= maxKeys {
		return nil, ErrNoFactor
	}
	u := s.user(o)
	have := webauthn.Credentials(u.WebAuthnCredentials()).CredentialDescriptors()
	asked, ceremony, err := s.webauthn.BeginRegistration(u, webauthn.WithExclusions(have))
	if err != nil {
		return nil, fmt.Errorf("beginning a passkey registration: %w", err)
	}
	return s.challenged(ctx, o, ceremony, asked.Response)
}

// challenged keeps the challenge in the session, and answers the options.
func (s *Service) challenged(ctx context.Context, o open, ceremony *webauthn.SessionData, options any) ([]byte, error) {
	o.body.Challenge = ceremony
	if err := s.keep(ctx, &o); err != nil {
		return nil, err
	}
	text, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("encoding passkey options: %w", err)
	}
	return text, nil
}

// challenge takes the challenge out of the session: it is used once, whatever
// comes of it.
func (s *Service) challenge(ctx context.Context, o *open) (webauthn.SessionData, error) {
	ceremony := o.body.Challenge
	if ceremony == nil || s.webauthn == nil {
		return webauthn.SessionData{}, ErrWrong
	}
	o.body.Challenge = nil
	return *ceremony, s.keep(ctx, o)
}

// FinishPasskey proves the second factor by what the authenticator answered
// (PublicKeyCredential as JSON), or renews it.
func (s *Service) FinishPasskey(ctx context.Context, secret, peer string, response []byte) (newSecret string, _ Session, err error) {
	o, err := s.begun(ctx, secret)
	if err != nil {
		return "", Session{}, err
	}
	if err := s.attempt(ctx, o.body.Account+factorCount, peer); err != nil {
		return "", Session{}, err
	}
	ceremony, err := s.challenge(ctx, &o)
	if err != nil {
		return "", Session{}, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBody(bytes.NewReader(response))
	if err != nil {
		return "", Session{}, s.wrong(ctx, "wrong-passkey", true, o.body.Account, peer)
	}
	used, err := s.webauthn.ValidateLogin(s.user(o), ceremony, parsed)
	switch {
	case err != nil:
		return "", Session{}, s.wrong(ctx, "wrong-passkey", true, o.body.Account, peer)
	case used.Authenticator.CloneWarning:
		return "", Session{}, s.wrong(ctx, "cloned-passkey", true, o.body.Account, peer)
	}
	o.creds, err = s.change(ctx, o.body.Account, func(c *credentials) error {
		i := slices.IndexFunc(c.Passkeys, func(k passkey) bool { return bytes.Equal(k.Credential.ID, used.ID) })
		if i < 0 {
			return ErrWrong // removed meanwhile
		}
		c.Passkeys[i].Credential, c.Passkeys[i].Used = *used, s.Now()
		return nil
	})
	if err != nil {
		return "", Session{}, err
	}
	return s.proven(ctx, o, peer, []string{amrKey, amrPresence, MFA})
}

// FinishRegister enrols the authenticator that answered.
func (s *Service) FinishRegister(ctx context.Context, secret, peer, name string, response []byte) (newSecret string, _ Session, err error) {
	o, err := s.mayEnrol(ctx, secret)
	if err != nil {
		return "", Session{}, err
	}
	ceremony, err := s.challenge(ctx, &o)
	if err != nil {
		return "", Session{}, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBody(bytes.NewReader(response))
	if err != nil {
		return "", Session{}, ErrWrong
	}
	made, err := s.webauthn.CreateCredential(s.user(o), ceremony, parsed)
	if err != nil || !made.Flags.UserVerified {
		return "", Session{}, ErrWrong
	}
	return s.changed(ctx, o, peer, "passkey-enrolled", []string{amrKey, amrPresence, MFA}, func(c *credentials) error {
		if len(c.Passkeys) >= maxKeys {
			return ErrNoFactor
		}
		c.Passkeys = append(c.Passkeys, passkey{Name: passkeyName(name, len(c.Passkeys)+1), Credential: *made, Created: s.Now()})
		return nil
	})
}

// passkeyName is what people called an authenticator, without what cannot be
// shown.
func passkeyName(name string, n int) string {
	name = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "")))
	for len(name) > maxNameLen {
		r := []rune(name)
		name = string(r[:len(r)-1])
	}
	if name == "" {
		return fmt.Sprintf("Passkey %d", n)
	}
	return name
}

// RemovePasskey removes an authenticator by its id. The last factor of an
// account that needs one stays.
func (s *Service) RemovePasskey(ctx context.Context, secret, peer, id string) (newSecret string, _ Session, err error) {
	return s.remove(ctx, secret, peer, "passkey-removed", func(c *credentials) error {
		i := slices.IndexFunc(c.Passkeys, func(k passkey) bool { return passkeyID(k.Credential.ID) == id })
		if i < 0 {
			return ErrNoFactor
		}
		c.Passkeys = slices.Delete(c.Passkeys, i, i+1)
		return nil
	})
}
