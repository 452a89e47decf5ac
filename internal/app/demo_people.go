package app

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"net/url"
	"strings"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/login"
)

// DemoPeople are those of the demo who log in at the pages, in the order in which
// they are shown, and what they are.
func DemoPeople() [][2]string {
	return [][2]string{
		{"clinician", "reads and writes every patient"},
		{"physician", "cares for one patient; sets up a second factor first, for emergencies"},
		{"patient", "sees the own record"},
		{"admin", "administers policy and server; sets up a second factor first"},
	}
}

// demoPeople makes the accounts of the demo's people and draws a password for
// each that has none.
func (a *App) demoPeople(ctx context.Context, d demoFound, c *Credentials) error {
	if c.Passwords == nil {
		c.Passwords = map[string]string{}
	}
	for _, rec := range []account.Account{
		{Subject: "user:clinician", Roles: []string{"role:clinician"}, Links: []string{"Practitioner/" + d.Practitioner}},
		{Subject: "user:physician", Roles: []string{"role:physician"}, Links: []string{"Practitioner/" + d.Practitioner}},
		{Subject: "user:patient", Roles: []string{"role:patient"}, Links: []string{"Patient/" + d.Patient}},
		{Subject: "user:admin", Roles: []string{"role:admin", "role:security-officer"}},
	} {
		if err := a.accounts.Create(ctx, rec); err != nil && !errors.Is(err, account.ErrExists) {
			return err
		}
		has, err := a.login.Factors(ctx, rec.Subject)
		if err != nil {
			return err
		}
		if has.Password { // also when another node drew it
			continue
		}
		password := drawPassword()
		if err := a.setPassword(ctx, rec.Subject, password); err != nil {
			return err
		}
		c.Passwords[strings.TrimPrefix(rec.Subject, account.User)] = password
	}
	return nil
}

// setPassword goes the way of every person: by a link.
func (a *App) setPassword(ctx context.Context, subject, password string) error {
	link, _, err := a.login.Invite(ctx, subject)
	if err != nil {
		return err
	}
	to, err := url.Parse(link)
	if err != nil {
		return err
	}
	secret, _, err := a.login.Accept(ctx, to.Query().Get("link"), "local", password)
	if errors.Is(err, login.ErrLink) {
		return nil // another node was faster
	}
	if err != nil {
		return err
	}
	return a.login.End(ctx, secret, "local")
}

// drawPassword draws 80 bits in groups that can be typed.
func drawPassword() string {
	raw := make([]byte, 10)
	_, _ = rand.Read(raw) // never fails
	text := strings.ToLower(base32.StdEncoding.EncodeToString(raw))
	return text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
}
