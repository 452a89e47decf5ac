package app

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel"

	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/internal/config"
	"github.com/fieldseal/fieldseal/internal/limit"
)

// openOAuth builds the registry of clients and the authorization server, whose
// endpoints lie beside the FHIR base.
func (a *App) openOAuth(ctx context.Context) (err error) {
	table := a.store.Table("oauth")
	a.oauth, err = oauth.New(ctx, oauth.Options{Base: a.base, Issuer: strings.TrimSuffix(a.base, "/fhir") + oauth.Path,
		Table: table, Clients: a.clients, Tokens: a.tokens, PRF: a.ring.StorageID, Recorder: a.trail, Gatekeeper: a.trail, Charts: a.office,
		Interaction: a.pages, Picker: true, Manage: "apps", Registers: a.cfg.DynamicRegistration == config.RegistrationApproval, ErrorPage: a.pages.ErrorPage, Peer: func(r *http.Request) string { return a.handler.Peer(r) },
		AccessLifetime: a.cfg.AccessLifetime, RefreshLifetime: a.cfg.RefreshLifetime, ConsentLifetime: a.cfg.ConsentLifetime, Limits: a.limits(), PerNetwork: limit.Limit(a.cfg.NetworkLimit()),
		Tracer: trace.New(otel.GetTracerProvider()), Log: a.log})
	if err != nil {
		return err
	}
	a.people = a.pages.Handler(a.oauth)
	return nil
}

// allowsOrigin is rest.Options.Allows: a client's own origins may read FHIR
// answers too.
func (a *App) allowsOrigin(r *http.Request, origin string) bool { return a.oauth.Allows(r, origin) }

func (a *App) sweepAuthorizations(ctx context.Context) error {
	_, err := a.oauth.Sweep(ctx)
	return err
}
