package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/conformance"
	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/fhir/rest"
	"github.com/fieldseal/fieldseal/internal/adminapi"
	"github.com/fieldseal/fieldseal/internal/limit"
	"github.com/fieldseal/fieldseal/repository"
)

// Version is the release, set by the linker for releases.
var Version = "0.1.0-dev"

func (a *App) openFace(ctx context.Context) error {
	if err := a.openOffice(); err != nil {
		return fmt.Errorf("opening the login: %w", err)
	}
	a.openPages()
	if err := a.openOAuth(ctx); err != nil {
		return fmt.Errorf("opening the authorization server: %w", err)
	}
	served := a.served(a.catalog)
	statement, err := conformance.Statement(served)
	if err != nil {
		return err
	}
	routes := make([]conformance.Route, 0, 64)
	for _, r := range rest.Routes() {
		routes = append(routes, conformance.Route(r))
	}
	openAPI, err := conformance.OpenAPI(served, routes)
	if err != nil {
		return err
	}
	a.handler = rest.New(rest.Options{Service: a.service, Authenticator: a.tokens, Gatekeeper: a.trail, Metadata: statement, OpenAPI: openAPI,
		Ready: a.ready, Note: a.note, Prefix: "/fhir", BodyBytes: int(a.cfg.MaxResource), BundleBytes: int(a.cfg.MaxBody),
		Timeout: a.cfg.RequestTimeout, BundleTimeout: rest.DefaultBundleTimeout, Log: a.log,
		TrustedProxies: a.cfg.ProxyPrefixes(), Origins: a.cfg.CORSOrigins, Allows: a.allowsOrigin, Limits: a.limits(),
		Unauthorized: badToken})
	a.root = a.beside(a.handler, adminapi.NewRemote(adminapi.RemoteOptions{Desk: a.office, Authenticator: a.tokens, Gatekeeper: a.trail,
		Peer: a.handler.Peer, Unauthorized: badToken, Log: a.log}))
	return nil
}

// badToken reports whether Verify refused a token, and not the server.
func badToken(err error) bool {
	return errors.Is(err, token.ErrInvalid) || errors.Is(err, token.ErrExpired) || errors.Is(err, token.ErrRevoked)
}

// beside serves administration and authorization under their own paths, beside
// the FHIR base.
func (a *App) beside(fhir, admin http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer a.faulted()
		if strings.HasPrefix(r.URL.Path, adminapi.RemotePath) {
			admin.ServeHTTP(w, r)
			return
		}
		if a.oauth.Serves(r.URL.EscapedPath()) {
			a.oauth.ServeHTTP(w, r)
			return
		}
		if a.people.Serves(r.URL.Path) {
			a.people.ServeHTTP(w, r)
			return
		}
		fhir.ServeHTTP(w, r)
	})
}

// faulted says in the log where a handler broke, and cuts the connection: what
// was half said may be wrong. The value of a panic may hold what a client sent.
// The FHIR face answers its own faults.
func (a *App) faulted() {
	fault := recover()
	if fault == nil {
		return
	}
	if fault != http.ErrAbortHandler {
		a.log.Error("a request broke a handler", "stack", string(debug.Stack()))
	}
	panic(http.ErrAbortHandler)
}

func (a *App) limits() limit.Limits {
	others, own := a.cfg.Limits()
	l := limit.Limits{Default: limit.Limit(others), Clients: map[string]limit.Limit{}}
	for client, one := range own {
		l.Clients[client] = limit.Limit(one)
	}
	return l
}

// readyTimeout bounds a readiness probe.
const readyTimeout = 3 * time.Second

// ready asks store, keys and trail whether patient data can be served: reading
// an unknown id costs all three what a read costs.
func (a *App) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := a.reached(); err != nil {
		return err
	}
	if !a.trail.Status().Available {
		return errors.New("the audit trail cannot record")
	}
	if _, _, err := a.policies.Active(); err != nil {
		return interaction.AsFailure(err)
	}
	_, err := a.vault.Load(ctx, a.vault.Key("Basic", "readiness"))
	if errors.Is(err, repository.ErrNotFound) {
		return nil
	}
	return err
}
