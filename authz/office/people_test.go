package office

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
)

// people is a login of which only the calls are seen.
type people struct {
	calls    []string
	password map[string]bool
}

func (p *people) Invite(_ context.Context, subject string) (string, time.Time, error) {
	p.calls = append(p.calls, "invite "+subject)
	return "https://fhir.test/link", time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), nil
}

func (p *people) Reset(_ context.Context, subject string) error {
	p.calls = append(p.calls, "reset "+subject)
	return nil
}

func (p *people) EndAll(_ context.Context, subject string) error {
	p.calls = append(p.calls, "end "+subject)
	return nil
}

func (p *people) Unlock(_ context.Context, subject string) error {
	p.calls = append(p.calls, "unlock "+subject)
	return nil
}

func (p *people) Enrolled(_ context.Context, subject string) (any, error) { return subject, nil }

func (p *people) HasPassword(_ context.Context, of func(account.Account) bool) (bool, error) {
	for name, has := range p.password {
		if has && of(account.Account{Subject: name, Roles: []string{"role:security-officer"}}) {
			return true, nil
		}
	}
	return false, nil
}

func (d *desk) people() *people { return d.Credentials.(*people) }

func TestOfficersInviteAndReset(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	ann := d.officer("user:ann")
	in, err := do[Invitation](d, ann, "user/invite", PersonRequest{Subject: "user:nurse", Reason: "new on ward 3"})
	if err != nil || in.Link == "" || in.Subject != "user:nurse" {
		t.Errorf("%+v %v", in, err)
	}
	if e := d.trail.events[len(d.trail.events)-1]; e.Event.Subtype != "account-invite" || strings.Contains(e.Event.Reason, "https") {
		t.Errorf("%+v", e.Event)
	}
	if _, err := do[Invitation](d, ann, "user/reset", PersonRequest{Subject: "user:nurse", Reason: "phone lost"}); err != nil {
		t.Error(err)
	}
	for _, op := range []string{"user/logout", "user/unlock"} {
		if _, err := do[SubjectRequest](d, ann, op, PersonRequest{Subject: "user:nurse", Reason: "asked"}); err != nil {
			t.Error(op, err)
		}
	}
	if got := strings.Join(d.people().calls, ", "); got != "invite user:nurse, reset user:nurse, invite user:nurse, end user:nurse, unlock user:nurse" {
		t.Error(got)
	}
	for name, of := range map[string][]string{"tokens": d.revoked, "grants": d.ended} {
		if got := strings.Join(of, " "); got != "user:nurse user:nurse" {
			t.Errorf("%s were ended of: %s", name, got)
		}
	}
	for _, op := range []string{"user/invite", "user/reset", "user/logout", "user/unlock"} {
		d.people().calls = nil
		for name, in := range map[string]PersonRequest{"without a reason": {Subject: "user:nurse"}, "for oneself, where two persons are needed": {Subject: "user:ann", Reason: "mine"}} {
			if _, err := do[Invitation](d, ann, op, in); err == nil || len(d.people().calls) > 0 {
				t.Errorf("%s %s was done", op, name)
			}
		}
		d.trail.err = audit.ErrUnavailable
		if _, err := do[Invitation](d, ann, op, PersonRequest{Subject: "user:nurse", Reason: "asked"}); !errors.Is(err, audit.ErrUnavailable) || len(d.people().calls) > 0 {
			t.Errorf("%s without a trail: %v", op, err)
		}
		d.trail.err = nil
	}
}

// TestNobodyFoundsAnInstallationAgain: bootstrap works at the machine, for who
// may administer, until an administrator has a password.
func TestNobodyFoundsAnInstallationAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	local, err := d.AdmitLocal(t.Context(), "root", "")
	d.must(err)
	first := BootstrapRequest{Subject: "user:first", Roles: []string{"role:security-officer", "role:admin"}}
	if _, err := do[Invitation](d, d.officer("user:ann"), "user/bootstrap", first); err == nil {
		t.Error("over HTTP")
	}
	if _, err := do[Invitation](d, local, "user/bootstrap", BootstrapRequest{Subject: "user:first", Roles: []string{"role:nurse"}}); err == nil {
		t.Error("for a nurse")
	}
	if _, err := do[Invitation](d, local, "user/bootstrap", BootstrapRequest{Subject: "user:nurse", Roles: first.Roles}); err == nil {
		t.Error("a nurse's account became an administrator's")
	}
	for range 2 { // the first link was lost
		if in, err := do[Invitation](d, local, "user/bootstrap", first); err != nil || in.Link == "" {
			t.Error(in, err)
		}
	}
	d.people().password = map[string]bool{"user:first": true}
	if _, err := do[Invitation](d, local, "user/bootstrap", BootstrapRequest{Subject: "user:second", Roles: first.Roles}); err == nil {
		t.Error("again")
	}
}

// TestPowerfulRolesNeedASecondFactor (access.md, MFA).
func TestPowerfulRolesNeedASecondFactor(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	for role, want := range map[string]bool{"role:admin": true, "role:security-officer": true, "role:privacy-officer": true, "role:physician": true,
		"role:clinician": false, "role:nurse": false, "role:researcher": false, "role:patient": false, "role:registrar": false, "role:nobody": false} {
		a := account.Account{Subject: "user:x", Roles: []string{role}, Links: []string{"Practitioner/x"}}
		if role == "role:patient" {
			a.Links = []string{"Patient/p1"}
		}
		if d.NeedsFactor(a) != want {
			t.Errorf("%s: %v", role, !want)
		}
	}
}
