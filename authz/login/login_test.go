package login

import (
	"errors"
	"fmt"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
)

func TestPasswordLogsIn(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.enrolled("user:nurse")
	anonymous, s, err := d.Begin(t.Context())
	d.must(err)
	if s.Stage != Anonymous || s.CSRF == "" {
		t.Fatalf("%+v", s)
	}
	secret, s, err := d.Password(t.Context(), anonymous, peer, "nurse", phrase)
	d.must(err)
	if s.Stage != LoggedIn || s.Account != "user:nurse" || fmt.Sprint(s.AMR) != "[pwd]" || !s.Fresh(d.clock.Now()) {
		t.Errorf("%+v", s)
	}
	if got := d.rec.last(); got != [3]string{"login", "", "user:nurse"} {
		t.Error(got)
	}
	again, err := d.Open(t.Context(), secret)
	d.must(err)
	if again.Account != s.Account || again.CSRF != s.CSRF {
		t.Errorf("%+v", again)
	}
	d.must(d.End(t.Context(), secret, peer))
	if _, err := d.Open(t.Context(), secret); !errors.Is(err, ErrNoSession) {
		t.Error(err)
	}
}

// TestNothingHappensWithoutAnAuditRecord: the trail fails, so does the login.
func TestNothingHappensWithoutAnAuditRecord(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	link := d.invite("user:nurse")
	d.rec.down = true
	if _, _, err := d.Accept(t.Context(), link, peer, phrase); !errors.Is(err, audit.ErrUnavailable) {
		t.Error(err)
	}
	d.rec.down = false
	if _, _, err := d.Accept(t.Context(), link, peer, phrase); err != nil {
		t.Errorf("the link was used: %v", err)
	}
	d.rec.down = true
	for _, password := range []string{phrase, "wrong password"} {
		if _, _, err := d.Password(t.Context(), "", peer, "nurse", password); !errors.Is(err, audit.ErrUnavailable) {
			t.Error(err)
		}
	}
}

// TestFederatedLoginIsOneFactorUnlessTheProviderSaysMore.
func TestFederatedLoginIsOneFactorUnlessTheProviderSaysMore(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, c := range []struct {
		amr  []string
		want Stage
	}{{nil, NeedsEnrolment}, {[]string{"pwd"}, NeedsEnrolment}, {[]string{"pwd", MFA}, LoggedIn}} {
		_, s, err := d.Federated(t.Context(), "", peer, "user:chief", c.amr, d.clock.Now())
		if err != nil || s.Stage != c.want {
			t.Errorf("%v: %+v %v", c.amr, s, err)
		}
	}
	if _, _, err := d.Federated(t.Context(), "", peer, "user:nobody", nil, d.clock.Now()); err != ErrWrong {
		t.Error(err)
	}
}
