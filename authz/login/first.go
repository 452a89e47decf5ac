package login

import (
	"context"
	"errors"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
)

// Password proves the first factor. name is that of a person, without the prefix
// of accounts. ErrWrong is the answer to anything that is not right, ErrTooMany
// to too many attempts.
func (s *Service) Password(ctx context.Context, secret, peer, name, password string) (newSecret string, _ Session, err error) {
	subject := account.User + name
	if err := s.attempt(ctx, subject, peer); err != nil {
		return "", Session{}, err
	}
	a, c, known, err := s.person(ctx, subject)
	if err != nil {
		return "", Session{}, err
	}
	expected := s.dummy
	if known && c.Password != nil {
		expected = *c.Password
	}
	ok, err := s.matches(ctx, expected, password)
	if err != nil {
		return "", Session{}, err
	}
	if !ok || !known || c.Password == nil {
		return "", Session{}, s.wrong(ctx, "wrong-password", known, subject, peer)
	}
	if !s.cost.is(expected) {
		if c, err = s.rehash(ctx, subject, expected, password); err != nil {
			return "", Session{}, err
		}
	}
	return s.entered(ctx, secret, peer, a, c, []string{amrPassword}, s.Now())
}

// person reads an account and its credentials, with the same work whether there
// is one.
func (s *Service) person(ctx context.Context, subject string) (a account.Account, c credentials, known bool, err error) {
	a, err = s.Accounts.Get(ctx, subject)
	if err != nil && !errors.Is(err, account.ErrUnknown) {
		return a, c, false, err
	}
	known = err == nil && !a.Ended(s.Now()) && account.ValidName(account.User, subject)
	c, _, err = s.load(ctx, subject)
	return a, c, known, err
}

// wrong records a refused attempt, of an unknown name too, so that both take the
// same time. What was typed as an unknown name is not recorded: it may be a
// password.
func (s *Service) wrong(ctx context.Context, reason string, known bool, subject, peer string) error {
	if !known {
		subject, reason = "", "unknown-account"
	}
	if err := s.record(ctx, audit.Login, "failure", reason, subject, peer); err != nil {
		return err
	}
	return ErrWrong
}

func (s *Service) rehash(ctx context.Context, subject string, old passwordHash, password string) (credentials, error) {
	h, err := s.hash(ctx, password)
	if err != nil {
		return credentials{}, err
	}
	return s.change(ctx, subject, func(c *credentials) error {
		if c.Password != nil && string(c.Password.Hash) == string(old.Hash) {
			c.Password = h
		}
		return nil
	})
}

// entered makes the session of somebody who proved one factor or all.
func (s *Service) entered(ctx context.Context, old, peer string, a account.Account, c credentials, amr []string, at time.Time) (string, Session, error) {
	err := error(nil)
	if s.stage(a, &c, amr) == LoggedIn {
		err = s.loggedIn(ctx, "login", a.Subject, peer)
	} else {
		err = s.record(ctx, audit.Login, "login-first-factor", "", a.Subject, peer)
	}
	if err != nil {
		return "", Session{}, err
	}
	now := s.Now()
	return s.rise(ctx, old, a, c, body{Account: a.Subject, AMR: amr, AuthTime: at, Epoch: c.Epoch, Created: now, Seen: now})
}

// Federated makes the session of somebody whom an external provider proved
// (authz/federation). The provider's amr is mapped already: without mfa it is a
// single factor.
func (s *Service) Federated(ctx context.Context, secret, peer, subject string, amr []string, authTime time.Time) (newSecret string, _ Session, err error) {
	a, c, known, err := s.person(ctx, subject)
	if err != nil {
		return "", Session{}, err
	}
	if !known {
		return "", Session{}, s.wrong(ctx, "unknown-account", false, subject, peer)
	}
	return s.entered(ctx, secret, peer, a, c, amr, authTime)
}
