package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/office"
	"github.com/fieldseal/fieldseal/internal/adminapi"
	"github.com/fieldseal/fieldseal/internal/config"
)

// openOffice needs trail, policy, tokens and service.
func (a *App) openOffice() (err error) {
	if err = a.openLogin(); err != nil {
		return err
	}
	a.clients = client.New(client.Options{Table: a.store.Table("oauth"), PRF: a.ring.StorageID, CheckKeys: oauth.CheckKeys, CheckKeysURL: oauth.CheckKeysURL})
	a.office = office.New(office.Options{Policies: a.policies, Accounts: a.accounts, Trail: a.trail, Resources: resources{a},
		Tokens: a.tokens, Grants: grants{a}, Glasses: a.glasses, Credentials: credentials{a.login}, Clients: a.clients, Signing: signing{a}, PRF: func(typ, id string) [16]byte { return a.ring.StorageID(typ, id) },
		TwoPersons: a.cfg.Profile == config.Production})
	return nil
}

// signing is the authorization server's key, which is there later than the office.
type signing struct{ *App }

// RotateSigningKey implements office.Signing.
func (s signing) RotateSigningKey(ctx context.Context) (string, time.Time, error) {
	return s.oauth.RotateSigningKey(ctx)
}

// grants are the authorization server's, which is there later than office and
// login.
type grants struct{ *App }

// EndGrants implements office.Grants.
func (g grants) EndGrants(ctx context.Context, account string) (int, error) {
	return g.oauth.EndGrants(ctx, account)
}

// resources tell facts to the office.
type resources struct{ *App }

// Facts implements office.Resources.
func (r resources) Facts(ctx context.Context, g authz.Grant, id string) (authz.Facts, func() []string, error) {
	return r.service.Facts(ctx, g, id)
}

// Owner implements office.Resources.
func (r resources) Owner(patient string) audit.Owner { return r.vault.PatientOwner(patient) }

// Office implements adminapi.Backend.
func (a *App) Office(ctx context.Context, c adminapi.OfficeCall) (json.RawMessage, error) {
	who := c.System
	if who == "" { // this process, on a folder that no server has open
		who = adminapi.ProcessUser()
	}
	actor, err := a.office.AdmitLocal(ctx, who, c.Account)
	if err != nil {
		return nil, err
	}
	out, err := a.office.Do(ctx, actor, c.Operation, c.Body)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}
