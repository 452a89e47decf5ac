package login

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestRoleThatNeedsASecondFactorEnrolsFirst: until then the session is good for
// enrolment alone.
func TestRoleThatNeedsASecondFactorEnrolsFirst(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, s := d.enrolled("user:chief")
	if s.Stage != NeedsEnrolment {
		t.Fatalf("%+v", s)
	}
	offer, err := d.BeginTOTP(t.Context(), secret)
	d.must(err)
	if again, err := d.BeginTOTP(t.Context(), secret); err != nil || again.Secret != offer.Secret || len(again.QR) < 100 || !strings.HasPrefix(again.URI, "otpauth://totp/Fieldseal:chief?") {
		t.Errorf("%+v %v", again.URI, err)
	}
	if _, _, err := d.ConfirmTOTP(t.Context(), secret, peer, "000000x"); err != ErrWrong {
		t.Error(err)
	}
	fresh, s, err := d.ConfirmTOTP(t.Context(), secret, peer, d.app(offer.Secret))
	d.must(err)
	if s.Stage != LoggedIn || fmt.Sprint(s.AMR) != "[pwd otp mfa]" || fresh == secret {
		t.Errorf("%+v", s)
	}
	if _, err := d.Open(t.Context(), secret); !errors.Is(err, ErrNoSession) {
		t.Errorf("the session before still works: %v", err)
	}
	if _, _, err := d.RemoveTOTP(t.Context(), fresh, peer); !errors.Is(err, ErrLastFactor) {
		t.Errorf("the last factor of a role that needs one: %v", err)
	}
	d.clock.Advance(time.Minute)
	half, s, err := d.Password(t.Context(), "", peer, "chief", phrase)
	d.must(err)
	if s.Stage != NeedsFactor {
		t.Errorf("%+v", s)
	}
	for name, call := range map[string]func() error{
		"enrol another app":   func() error { _, err := d.BeginTOTP(t.Context(), half); return err },
		"enrol a passkey":     func() error { _, err := d.BeginRegister(t.Context(), half); return err },
		"recovery codes":      func() error { _, err := d.RecoveryCodes(t.Context(), half, peer); return err },
		"another password":    func() error { _, _, err := d.ChangePassword(t.Context(), half, peer, phrase, phrase+"!"); return err },
		"removing the factor": func() error { _, _, err := d.RemoveTOTP(t.Context(), half, peer); return err },
	} {
		if err := call(); !errors.Is(err, ErrStale) {
			t.Errorf("%s with one factor: %v", name, err)
		}
	}
}

// TestTimeCodeIsAcceptedOnce: again, in parallel, and an older step after a
// newer one.
func TestTimeCodeIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	app, _ := d.withTOTP("user:chief")
	code := d.app(app)
	var won atomic.Int32
	var all sync.WaitGroup
	for i := range 4 {
		secret, _, err := d.Password(t.Context(), "", peer, "chief", phrase)
		d.must(err)
		all.Go(func() {
			if _, _, err := d.TOTP(t.Context(), secret, peer, code); err == nil {
				won.Add(1)
			} else if err != ErrWrong {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d used one code", won.Load())
	}
	d.clock.Advance(time.Hour)
	secret, _, err := d.Password(t.Context(), "", peer, "chief", phrase)
	d.must(err)
	older := d.app(app)
	d.clock.Advance(30 * time.Second)
	secret, _, err = d.TOTP(t.Context(), secret, peer, d.app(app))
	d.must(err)
	if _, _, err := d.TOTP(t.Context(), secret, peer, older); err != ErrWrong {
		t.Errorf("an older step: %v", err)
	}
}

func TestRecoveryCodeIsUsedOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	_, secret := d.withTOTP("user:chief")
	codes, err := d.RecoveryCodes(t.Context(), secret, peer)
	d.must(err)
	if len(codes) != 10 {
		t.Fatal(codes)
	}
	login := func(code string) error {
		half, _, err := d.Password(t.Context(), "", peer, "chief", phrase)
		d.must(err)
		_, _, err = d.Recovery(t.Context(), half, peer, code)
		return err
	}
	if err := login(strings.ToUpper(strings.ReplaceAll(codes[3], "-", " "))); err != nil {
		t.Error(err)
	}
	if err := login(codes[3]); err != ErrWrong {
		t.Errorf("again: %v", err)
	}
	if f, err := d.Factors(t.Context(), "user:chief"); err != nil || f.RecoveryLeft != 9 || !f.TOTP || !f.Password {
		t.Errorf("%+v %v", f, err)
	}
	if err := login(codes[4]); err != nil {
		t.Error(err)
	}
}
