package login

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
)

const (
	linkPrefix = "fsi_"
	rowLinks   = "link/"
)

// invitation is what a link's row holds.
type invitation struct {
	Account string    `json:"account"`
	Expires time.Time `json:"expires"`
}

// Invite makes a one-time link on which the person of an account sets a
// password; any link before is void. What was enrolled stays: a second factor is
// asked for after the new password. Who asks, and why, is the caller's audit
// event.
func (s *Service) Invite(ctx context.Context, subject string) (link string, expires time.Time, err error) {
	a, err := s.Accounts.Get(ctx, subject)
	switch {
	case err != nil:
		return "", expires, err
	case !account.ValidName(account.User, subject):
		return "", expires, fmt.Errorf("%w: people log in, as user:NAME", account.ErrInvalid)
	case a.Ended(s.Now()):
		return "", expires, account.ErrDisabled
	}
	secret := token.Draw(linkPrefix)
	expires = s.Now().Add(LinkLife).Truncate(time.Second)
	if _, err = s.writeSecret(ctx, rowLinks, secret, invitation{subject, expires}, expires, 0); err != nil {
		return "", expires, err
	}
	sum := sha256.Sum256([]byte(secret))
	_, err = s.change(ctx, subject, func(c *credentials) error {
		c.Invite = &invite{sum[:], expires}
		return nil
	})
	return s.Origin + EnrolPath + "?" + url.Values{"link": {secret}}.Encode(), expires, err
}

// Reset takes everything that an account proves itself with, ends its sessions
// and voids its links: for a lost second factor, or a stolen one.
func (s *Service) Reset(ctx context.Context, subject string) error {
	_, err := s.change(ctx, subject, func(c *credentials) error {
		*c = credentials{Account: c.Account, Epoch: c.Epoch + 1}
		return nil
	})
	return err
}

// Invitation returns whose link it is, or ErrLink. secret is the link's
// parameter.
func (s *Service) Invitation(ctx context.Context, secret, peer string) (subject string, err error) {
	_, c, err := s.invited(ctx, secret, peer)
	return c.Account, err
}

func (s *Service) invited(ctx context.Context, secret, peer string) (a account.Account, c credentials, err error) {
	var in invitation
	if _, err = s.readSecret(ctx, rowLinks, secret, &in); errors.Is(err, ErrNoSession) {
		s.Gatekeeper.RecordPreAuth(peer, "invalid-link")
		return a, c, ErrLink
	}
	if err != nil {
		return a, c, err
	}
	if a, err = s.Accounts.Get(ctx, in.Account); err != nil {
		if errors.Is(err, account.ErrUnknown) {
			err = ErrLink
		}
		return a, credentials{}, err
	}
	if c, _, err = s.load(ctx, in.Account); err != nil {
		return a, credentials{}, err
	}
	if !c.invites(secret, s.Now()) || a.Ended(s.Now()) {
		return a, credentials{}, ErrLink
	}
	return a, c, nil
}

// invites reports whether the link is the open one.
func (c *credentials) invites(secret string, now time.Time) bool {
	sum := sha256.Sum256([]byte(secret))
	return c.Invite != nil && now.Before(c.Invite.Expires) && subtle.ConstantTimeCompare(c.Invite.Hash, sum[:]) == 1
}

// Accept sets the password and uses the link up, in one step: a password that is
// refused (ErrWeak) leaves the link open. The account's sessions end, and what it
// gave to apps.
func (s *Service) Accept(ctx context.Context, link, peer, password string) (secret string, _ Session, err error) {
	a, _, err := s.invited(ctx, link, peer)
	if err != nil {
		return "", Session{}, err
	}
	h, err := s.chosen(ctx, a.Subject, password)
	if err != nil {
		return "", Session{}, err
	}
	if err := s.record(ctx, audit.Security, "password-set", "", a.Subject, peer); err != nil {
		return "", Session{}, err
	}
	if _, err := s.Grants.EndGrants(ctx, a.Subject); err != nil {
		return "", Session{}, err
	}
	c, err := s.change(ctx, a.Subject, func(c *credentials) error {
		if !c.invites(link, s.Now()) {
			return ErrLink
		}
		c.Password, c.Invite = h, nil
		c.Epoch++
		return nil
	})
	if err != nil {
		return "", Session{}, err
	}
	key := rowKey(rowLinks, link)
	if stored, err := s.Table.Get(ctx, key); err == nil {
		if err := s.Table.DeleteIf(ctx, key, stored.Revision); err != nil && !errors.Is(err, repository.ErrNotFound) && !errors.Is(err, repository.ErrConflict) {
			return "", Session{}, fmt.Errorf("removing a link: %w", err)
		}
	}
	return s.entered(ctx, "", peer, a, c, []string{amrPassword}, s.Now())
}

// HasPassword reports whether anybody of the accounts can log in with a
// password: before that, the first administrator is to be invited.
func (s *Service) HasPassword(ctx context.Context, of func(account.Account) bool) (bool, error) {
	for a, err := range s.Accounts.All(ctx) {
		if err != nil {
			return false, err
		}
		if !of(a) || a.Ended(s.Now()) {
			continue
		}
		c, _, err := s.load(ctx, a.Subject)
		if err != nil || c.Password != nil {
			return err == nil, err
		}
	}
	return false, nil
}
