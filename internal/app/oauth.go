package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"go.opentelemetry.io/otel"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/internal/adminapi"
	"github.com/fieldseal/fieldseal/internal/limit"
)

// openOAuth builds the registry of clients and the authorization server, whose
// endpoints lie beside the FHIR base.
func (a *App) openOAuth(ctx context.Context) (err error) {
	table := a.store.Table("oauth")
	a.clients = client.New(client.Options{Table: table, PRF: a.ring.StorageID, CheckKeys: oauth.CheckKeys, CheckKeysURL: oauth.CheckKeysURL})
	a.oauth, err = oauth.New(ctx, oauth.Options{Base: a.base, Issuer: strings.TrimSuffix(a.base, "/fhir") + oauth.Path,
		Table: table, Clients: a.clients, Tokens: a.tokens, PRF: a.ring.StorageID, Recorder: a.trail, Gatekeeper: a.trail, Charts: a.office, Peer: func(r *http.Request) string { return a.handler.Peer(r) },
		AccessLifetime: a.cfg.AccessLifetime, RefreshLifetime: a.cfg.RefreshLifetime, Limits: a.limits(), PerNetwork: limit.Limit(a.cfg.NetworkLimit()),
		Tracer: trace.New(otel.GetTracerProvider()), Log: a.log})
	return err
}

// allowsOrigin is rest.Options.Allows: a client's own origins may read FHIR
// answers too.
func (a *App) allowsOrigin(r *http.Request, origin string) bool { return a.oauth.Allows(r, origin) }

func (a *App) sweepAuthorizations(ctx context.Context) error {
	_, err := a.oauth.Sweep(ctx)
	return err
}

// Clients implements adminapi.Backend. What changes a client is an event before
// it has an effect.
func (a *App) Clients(ctx context.Context, r adminapi.ClientRequest) (out adminapi.ClientReply, err error) {
	switch r.Do {
	case adminapi.ListClients:
		out.Clients, err = a.clients.List(ctx)
		return out, err
	case adminapi.ShowClient:
		c, err := a.clients.Show(ctx, r.Client.ID)
		return adminapi.ClientReply{Clients: []client.Client{c}}, err
	}
	ev := a.operatorEvent(audit.Security, "client-"+string(r.Do), audit.Execute)
	ev.Entities = []audit.Entity{{Type: "Client", ID: r.Client.ID}}
	if err := a.record(ctx, ev); err != nil {
		return out, err
	}
	switch r.Do {
	case adminapi.AddClient:
		if err := a.declared(r.Client); err != nil {
			return out, err
		}
		out.Secret, err = a.clients.Add(ctx, r.Client)
	case adminapi.RotateClientSecret:
		out.Secret, err = a.clients.RotateSecret(ctx, r.Client.ID)
	case adminapi.DisableClient:
		if err = a.clients.Disable(ctx, r.Client.ID); err == nil {
			out.Revoked, err = a.tokens.RevokeClient(ctx, r.Client.ID)
		}
	case adminapi.RotateSigningKey:
		out.KeyID, out.From, err = a.oauth.RotateSigningKey(ctx)
	default:
		err = errors.New("unknown call")
	}
	return out, err
}

// declared refuses roles that the policy in force does not declare, and a
// purpose that none of its rules is for: such a client would silently get
// nothing.
func (a *App) declared(c client.Client) error {
	_, decider, err := a.policies.Active()
	if err != nil {
		return err
	}
	for _, role := range c.Roles {
		if !slices.Contains(decider.Roles(), role) {
			return fmt.Errorf("the policy in force declares no %s", role)
		}
	}
	if known := decider.Purposes(); c.Purpose != "" && !slices.Contains(known, c.Purpose) {
		return fmt.Errorf("no rule of the policy in force is for the purpose; those it has are %s", strings.Join(known, ", "))
	}
	return nil
}
