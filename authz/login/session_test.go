package login

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/repository"
)

// TestSessionSecretChangesAtEachRise: whoever planted or saw the secret before
// has nothing after (session fixation).
func TestSessionSecretChangesAtEachRise(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	app, _ := d.withTOTP("user:chief")
	anonymous, _, err := d.Begin(t.Context())
	d.must(err)
	half, _, err := d.Password(t.Context(), anonymous, peer, "chief", phrase)
	d.must(err)
	whole, _, err := d.TOTP(t.Context(), half, peer, d.app(app))
	d.must(err)
	d.clock.Advance(time.Minute)
	stepped, s, err := d.TOTP(t.Context(), whole, peer, d.app(app))
	d.must(err)
	if d.rec.last()[0] != "step-up" || s.Stage != LoggedIn {
		t.Error(d.rec.last(), s)
	}
	for _, old := range []string{half, whole} {
		if _, err := d.Open(t.Context(), old); !errors.Is(err, ErrNoSession) {
			t.Errorf("an earlier secret works: %v", err)
		}
	}
	if s, err := d.Open(t.Context(), anonymous); err != nil || s.Stage != Anonymous {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := d.Open(t.Context(), stepped); err != nil {
		t.Error(err)
	}
}

// TestStolenSessionEndsWithTheCredentials: a change of credentials, a disabled
// account, time.
func TestStolenSessionEndsWithTheCredentials(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(d *desk, mine, theirs string){
		"another password": func(d *desk, mine, _ string) {
			_, _, err := d.ChangePassword(t.Context(), mine, peer, phrase, "another phrase of words")
			d.must(err)
		},
		"a reset":  func(d *desk, _, _ string) { d.must(d.Reset(t.Context(), "user:nurse")) },
		"end all":  func(d *desk, _, _ string) { d.must(d.EndAll(t.Context(), "user:nurse")) },
		"idleness": func(d *desk, _, _ string) { d.clock.Advance(Idle) },
		"a disabled account": func(d *desk, _, _ string) {
			_, err := d.Accounts.Change(t.Context(), "user:nurse", func(a *account.Account) error { a.Disabled = true; return nil })
			d.must(err)
		},
		"half a day of use": func(d *desk, _, theirs string) {
			for range 12*3 - 1 {
				d.clock.Advance(20 * time.Minute)
				if _, err := d.Open(t.Context(), theirs); err != nil {
					t.Fatal(err)
				}
			}
			d.clock.Advance(20 * time.Minute)
		},
	} {
		d := newDesk(t)
		d.enrolled("user:nurse")
		theirs, _, err := d.Password(t.Context(), "", other, "nurse", phrase)
		d.must(err)
		mine, _, err := d.Password(t.Context(), "", peer, "nurse", phrase)
		d.must(err)
		end(d, mine, theirs)
		if _, err := d.Open(t.Context(), theirs); !errors.Is(err, ErrNoSession) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRowsNameNobody: keys are hashes and pseudonyms, values are sealed under a
// secret or by the keystore, which this test leaves out.
func TestRowsNameNobody(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, _ := d.enrolled("user:nurse")
	link := d.invite("user:chief")
	_, _, _ = d.Password(t.Context(), "", other, "nurse", "wrong password")
	for row, err := range d.table.Scan(t.Context(), nil) {
		d.must(err)
		text := string(row.Key) + string(row.Value)
		for _, bad := range []string{"nurse", "chief", secret, link, phrase, peer, other} {
			if strings.Contains(text, bad) && !strings.HasPrefix(string(row.Key), rowProofs) || strings.Contains(string(row.Key), bad) {
				t.Errorf("%.20q shows %.10s", row.Key, bad)
			}
		}
	}
}

func TestSweepKeepsWhatCounts(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, _ := d.enrolled("user:nurse")
	_, _, _ = d.Password(t.Context(), "", other, "nurse", "wrong password")
	if n, err := d.Sweep(t.Context()); err != nil || n != 0 {
		t.Errorf("%d %v", n, err)
	}
	if _, err := d.Open(t.Context(), secret); err != nil {
		t.Error(err)
	}
	d.clock.Advance(100 * 24 * time.Hour)
	if n, err := d.Sweep(t.Context()); err != nil || n < 4 {
		t.Errorf("%d %v", n, err)
	}
	if _, _, err := d.Password(t.Context(), "", peer, "nurse", phrase); err != nil {
		t.Errorf("credentials were swept: %v", err)
	}
}

// TestAnotherPasswordEndsWhatAppsWereGiven: whoever knew the old one may have
// authorised an app. Nothing is half done when that fails.
func TestAnotherPasswordEndsWhatAppsWereGiven(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret, _ := d.enrolled("user:nurse")
	d.ended = nil
	if _, _, err := d.ChangePassword(t.Context(), secret, peer, "not the old one", "another phrase of words"); err != ErrWrong || len(d.ended) > 0 {
		t.Errorf("with a wrong password: %v, ended %v", err, d.ended)
	}
	d.outage = repository.ErrUnavailable
	if _, _, err := d.ChangePassword(t.Context(), secret, peer, phrase, "another phrase of words"); !errors.Is(err, repository.ErrUnavailable) {
		t.Error(err)
	}
	link := d.invite("user:nurse")
	if _, _, err := d.Accept(t.Context(), link, peer, "another phrase of words"); !errors.Is(err, repository.ErrUnavailable) {
		t.Error(err)
	}
	if _, _, err := d.Password(t.Context(), "", peer, "nurse", phrase); err != nil {
		t.Errorf("the password was changed all the same: %v", err)
	}
	d.outage = nil
	secret, _, err := d.Accept(t.Context(), link, peer, "another phrase of words")
	d.must(err)
	_, _, err = d.ChangePassword(t.Context(), secret, peer, "another phrase of words", phrase)
	d.must(err)
	if got := strings.Join(d.ended, " "); got != "user:nurse user:nurse" {
		t.Errorf("ended of: %s", got)
	}
}
