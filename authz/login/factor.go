package login

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"image/png"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"github.com/fieldseal/fieldseal/audit"
)

// RFC 6238 as every authenticator app has it.
const (
	totpPeriod = 30 // seconds
	totpSkew   = 1  // steps to either side
	totpDigits = otp.DigitsSix
)

// begun opens a session that has proven its first factor.
func (s *Service) begun(ctx context.Context, secret string) (open, error) {
	o, err := s.open(ctx, secret)
	if err == nil && o.view.Stage == Anonymous {
		err = ErrNoSession
	}
	return o, err
}

// TOTP proves the second factor by a code of an authenticator app, or renews it
// (step-up). Each time step is accepted once.
func (s *Service) TOTP(ctx context.Context, secret, peer, code string) (newSecret string, _ Session, err error) {
	return s.second(ctx, secret, peer, "wrong-code", []string{amrOTP, MFA}, func(c *credentials) error {
		if c.TOTP == nil {
			return ErrNoFactor
		}
		step, ok := stepOf(c.TOTP.Secret, code, s.Now())
		if !ok || step <= c.TOTP.Step {
			return ErrWrong
		}
		c.TOTP.Step = step
		return nil
	})
}

// stepOf finds the time step that a code belongs to.
func stepOf(secret, code string, now time.Time) (step uint64, ok bool) {
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	at := uint64(now.Unix()) / totpPeriod // #nosec G115 -- after 1970
	for step = at - totpSkew; step <= at+totpSkew; step++ {
		want, err := hotp.GenerateCodeCustom(secret, step, hotp.ValidateOpts{Digits: totpDigits, Algorithm: otp.AlgorithmSHA1})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			return step, true
		}
	}
	return 0, false
}

// Recovery proves the second factor by one of the recovery codes, which is used
// up.
func (s *Service) Recovery(ctx context.Context, secret, peer, code string) (newSecret string, _ Session, err error) {
	return s.second(ctx, secret, peer, "wrong-recovery-code", []string{amrOTP, MFA}, func(c *credentials) error {
		sum := recoveryHash(c.Salt, code)
		i := slices.IndexFunc(c.Recovery, func(have []byte) bool { return subtle.ConstantTimeCompare(have, sum) == 1 })
		if i < 0 {
			return ErrWrong
		}
		c.Recovery = slices.Delete(c.Recovery, i, i+1)
		return nil
	})
}

// second runs a proof of the second factor: counted before it is checked,
// consumed by compare-and-set.
func (s *Service) second(ctx context.Context, secret, peer, reason string, amr []string, prove func(*credentials) error) (string, Session, error) {
	o, err := s.begun(ctx, secret)
	if err != nil {
		return "", Session{}, err
	}
	if err := s.attempt(ctx, o.body.Account+factorCount, peer); err != nil {
		return "", Session{}, err
	}
	c, err := s.change(ctx, o.body.Account, prove)
	switch {
	case err == ErrWrong:
		return "", Session{}, s.wrong(ctx, reason, true, o.body.Account, peer)
	case err != nil:
		return "", Session{}, err
	}
	o.creds = c
	return s.proven(ctx, o, peer, amr)
}

// proven is a session whose second factor was proven just now.
func (s *Service) proven(ctx context.Context, o open, peer string, amr []string) (string, Session, error) {
	subtype := "login"
	if o.view.Stage == LoggedIn {
		subtype = "step-up"
	}
	if err := s.loggedIn(ctx, subtype, o.body.Account, peer); err != nil {
		return "", Session{}, err
	}
	b := o.body
	b.AMR, b.AuthTime, b.Seen, b.Challenge = with(b.AMR, amr...), s.Now(), s.Now(), nil
	return s.rise(ctx, o.secret, o.account, o.creds, b)
}

// loggedIn records that all factors were proven, and forgets the attempts
// before.
func (s *Service) loggedIn(ctx context.Context, subtype, subject, peer string) error {
	if err := s.record(ctx, audit.Login, subtype, "", subject, peer); err != nil {
		return err
	}
	for _, count := range []string{"", factorCount, enrolCount} {
		if err := s.succeeded(ctx, subject+count, peer); err != nil {
			return err
		}
	}
	return nil
}

// mayEnrol opens a session that may change factors: a fresh login, or one that
// is to enrol its first.
func (s *Service) mayEnrol(ctx context.Context, secret string) (open, error) {
	o, err := s.begun(ctx, secret)
	switch {
	case err != nil:
		return o, err
	case o.view.Stage == NeedsEnrolment && s.Now().Sub(o.body.AuthTime) <= Fresh, o.view.Fresh(s.Now()):
		return o, nil
	}
	return o, ErrStale
}

// changed stores other credentials, ends the account's other sessions and goes
// on with this one under a new secret.
func (s *Service) changed(ctx context.Context, o open, peer, subtype string, amr []string, f func(*credentials) error) (string, Session, error) {
	if err := s.record(ctx, audit.Security, subtype, "", o.body.Account, peer); err != nil {
		return "", Session{}, err
	}
	c, err := s.change(ctx, o.body.Account, func(c *credentials) error {
		if c.Epoch != o.body.Epoch {
			return ErrNoSession // another change came between
		}
		c.Epoch++
		return f(c)
	})
	if err != nil {
		return "", Session{}, err
	}
	if len(amr) > 0 && o.view.Stage != LoggedIn { // what was lacking is proven by its enrolment
		if err := s.loggedIn(ctx, "login", o.body.Account, peer); err != nil {
			return "", Session{}, err
		}
	}
	b := o.body
	b.Epoch, b.Seen, b.Challenge, b.TOTP = c.Epoch, s.Now(), nil, ""
	if len(amr) > 0 {
		b.AMR, b.AuthTime = with(b.AMR, amr...), s.Now()
	}
	return s.rise(ctx, o.secret, o.account, c, b)
}

// TOTPOffer is what an authenticator app is set up with. It is shown once.
type TOTPOffer struct {
	URI    string // otpauth://
	Secret string // base32
	QR     []byte // PNG of the URI
}

// BeginTOTP offers a secret for an authenticator app. It counts once a code of
// it was seen (ConfirmTOTP).
func (s *Service) BeginTOTP(ctx context.Context, secret string) (TOTPOffer, error) {
	o, err := s.mayEnrol(ctx, secret)
	if err != nil {
		return TOTPOffer{}, err
	}
	_, name, _ := strings.Cut(o.body.Account, ":")
	raw := []byte(nil)
	if o.body.TOTP != "" { // a page that is shown again offers the same
		raw, _ = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(o.body.TOTP)
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: "Fieldseal", AccountName: name, SecretSize: 20, Secret: raw, Digits: totpDigits, Algorithm: otp.AlgorithmSHA1, Period: totpPeriod})
	if err != nil {
		return TOTPOffer{}, fmt.Errorf("making a secret for an authenticator app: %w", err)
	}
	if o.body.TOTP != key.Secret() {
		o.body.TOTP = key.Secret()
		if err := s.keep(ctx, &o); err != nil {
			return TOTPOffer{}, err
		}
	}
	img, err := key.Image(240, 240)
	if err != nil {
		return TOTPOffer{}, fmt.Errorf("drawing a QR code: %w", err)
	}
	var qr bytes.Buffer
	if err := png.Encode(&qr, img); err != nil {
		return TOTPOffer{}, fmt.Errorf("drawing a QR code: %w", err)
	}
	return TOTPOffer{URI: key.URL(), Secret: key.Secret(), QR: qr.Bytes()}, nil
}

// ConfirmTOTP enrols the offered authenticator app by its first code.
func (s *Service) ConfirmTOTP(ctx context.Context, secret, peer, code string) (newSecret string, _ Session, err error) {
	o, err := s.mayEnrol(ctx, secret)
	if err != nil {
		return "", Session{}, err
	}
	if o.body.TOTP == "" {
		return "", Session{}, ErrNoFactor
	}
	if err := s.attempt(ctx, o.body.Account+enrolCount, peer); err != nil {
		return "", Session{}, err
	}
	step, ok := stepOf(o.body.TOTP, code, s.Now())
	if !ok {
		return "", Session{}, ErrWrong
	}
	return s.changed(ctx, o, peer, "totp-enrolled", []string{amrOTP, MFA}, func(c *credentials) error {
		c.TOTP = &totpFactor{Secret: o.body.TOTP, Step: step, Since: s.Now()}
		return nil
	})
}

// RemoveTOTP removes the authenticator app. The last factor of an account that
// needs one stays.
func (s *Service) RemoveTOTP(ctx context.Context, secret, peer string) (newSecret string, _ Session, err error) {
	return s.remove(ctx, secret, peer, "totp-removed", func(c *credentials) error {
		if c.TOTP == nil {
			return ErrNoFactor
		}
		c.TOTP = nil
		return nil
	})
}

// ErrLastFactor means that the role of the account demands a second factor.
var ErrLastFactor = fmt.Errorf("%w: the role of the account demands a second factor; enrol another one first", ErrNoFactor)

func (s *Service) remove(ctx context.Context, secret, peer, subtype string, f func(*credentials) error) (string, Session, error) {
	o, err := s.mayEnrol(ctx, secret)
	if err != nil {
		return "", Session{}, err
	}
	return s.changed(ctx, o, peer, subtype, nil, func(c *credentials) error {
		if err := f(c); err != nil {
			return err
		}
		if !c.hasFactor() {
			c.Recovery, c.Salt = nil, nil // of nothing
			if s.NeedsFactor(o.account) {
				return ErrLastFactor
			}
		}
		return nil
	})
}

// RecoveryCodes draws ten codes anew; those before are void. They are shown
// once.
func (s *Service) RecoveryCodes(ctx context.Context, secret, peer string) (codes []string, err error) {
	o, err := s.mayEnrol(ctx, secret)
	if err != nil {
		return nil, err
	}
	if !o.creds.hasFactor() {
		return nil, ErrNoFactor
	}
	if err := s.record(ctx, audit.Security, "recovery-codes-drawn", "", o.body.Account, peer); err != nil {
		return nil, err
	}
	_, err = s.change(ctx, o.body.Account, func(c *credentials) error {
		codes, c.Recovery, c.Salt = nil, nil, newSalt()
		for range 10 {
			code := drawCode()
			codes, c.Recovery = append(codes, code), append(c.Recovery, recoveryHash(c.Salt, code))
		}
		return nil
	})
	return codes, err
}

// drawCode draws 80 bits in groups that can be written down.
func drawCode() string {
	raw := make([]byte, 10)
	_, _ = rand.Read(raw) // never fails
	text := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
	return text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
}

// recoveryHash needs no slow function: a code has 80 random bits.
func recoveryHash(salt []byte, code string) []byte {
	code = strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(strings.TrimSpace(code)))
	sum := sha256.Sum256(append(slices.Clone(salt), code...))
	return sum[:]
}

// ChangePassword sets another password in a fresh session, and ends all others and
// what the account gave to apps.
func (s *Service) ChangePassword(ctx context.Context, secret, peer, old, fresh string) (newSecret string, _ Session, err error) {
	o, err := s.begun(ctx, secret)
	if err != nil {
		return "", Session{}, err
	}
	if !o.view.Fresh(s.Now()) || o.creds.Password == nil {
		return "", Session{}, ErrStale
	}
	if err := s.attempt(ctx, o.body.Account, peer); err != nil {
		return "", Session{}, err
	}
	ok, err := s.matches(ctx, *o.creds.Password, old)
	if err != nil {
		return "", Session{}, err
	}
	if !ok {
		return "", Session{}, s.wrong(ctx, "wrong-password", true, o.body.Account, peer)
	}
	if err := s.succeeded(ctx, o.body.Account, peer); err != nil {
		return "", Session{}, err
	}
	h, err := s.chosen(ctx, o.body.Account, fresh)
	if err != nil {
		return "", Session{}, err
	}
	if _, err := s.Grants.EndGrants(ctx, o.body.Account); err != nil {
		return "", Session{}, err
	}
	return s.changed(ctx, o, peer, "password-changed", nil, func(c *credentials) error {
		c.Password = h
		return nil
	})
}

func (s *Service) chosen(ctx context.Context, subject, password string) (*passwordHash, error) {
	if err := s.acceptable(subject, password); err != nil {
		return nil, err
	}
	return s.hash(ctx, password)
}
