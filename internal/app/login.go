package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/federation"
	"github.com/fieldseal/fieldseal/authz/login"
)

// openLogin needs store, ring, trail and accounts. Which roles must have a second
// factor is the office's to say.
func (a *App) openLogin() error {
	base, err := url.Parse(a.base)
	if err != nil {
		return fmt.Errorf("reading the base: %w", err)
	}
	breached, err := readBreached(a.cfg.BreachedPasswords)
	if err != nil {
		return err
	}
	a.login, err = login.New(login.Options{Table: a.store.Table("login"), Sealer: a.ring, Accounts: a.accounts,
		Origin: base.Scheme + "://" + base.Host, NeedsFactor: func(rec account.Account) bool { return a.office.NeedsFactor(rec) },
		Grants: grants{a}, Recorder: a.trail, Gatekeeper: a.trail, Breached: breached})
	if err != nil {
		return err
	}
	if a.issuers != nil && len(a.issuers.Login()) > 0 {
		a.federation = federation.New(federation.Options{Issuers: a.issuers, Accounts: a.accounts, Login: a.login, Table: a.store.Table("login"),
			Origin: base.Scheme + "://" + base.Host, Recorder: a.trail, Gatekeeper: a.trail})
	}
	return nil
}

func readBreached(path string) (_ *login.Breached, err error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path) // #nosec G304 -- the operator names the file
	if err != nil {
		return nil, fmt.Errorf("breached-passwords: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return login.ReadBreached(f)
}

func (a *App) sweepLogins(ctx context.Context) error {
	_, err := a.login.Sweep(ctx)
	if a.federation != nil {
		_, ferr := a.federation.Sweep(ctx)
		err = errors.Join(err, ferr)
	}
	return err
}

// credentials show the office what it may know of a login.
type credentials struct{ *login.Service }

// Enrolled implements office.Credentials.
func (c credentials) Enrolled(ctx context.Context, subject string) (any, error) {
	return c.Factors(ctx, subject)
}
