// Package app wires Fieldseal: it is the one place where engine, keys, trail,
// policy and faces meet.
//
// Start with Open, which builds the parts in the order in which they need each
// other, and Serve. Close releases them in the reverse order: faces first, so
// that nothing asks a part that is gone; the trail after the service, so that
// the last outcome is recorded; the keystore last.
//
// Security notes: a data folder and its keystore belong together. A keystore
// that is missing, fresh or another tenant's is refused beside existing data:
// making new keys there would turn old records into noise silently.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/federation"
	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/authz/issuer"
	"github.com/fieldseal/fieldseal/authz/login"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/office"
	"github.com/fieldseal/fieldseal/authz/policy/archive"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/fhir/rest"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/internal/config"
	"github.com/fieldseal/fieldseal/internal/node"
	"github.com/fieldseal/fieldseal/internal/pages"
	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// App is an open Fieldseal.
type App struct {
	cfg  config.Options
	log  *slog.Logger
	base string

	definitions *definition.Registry
	classes     *field.Table
	catalog     *search.Catalog
	indexPolicy *sealed.IndexPolicy
	node        *node.Register // nil with the embedded engine
	peers       peers
	indexWake   chan struct{}
	keystore    keystore
	ring        *keyring.Ring
	store       engine
	database    *mongostore.Store   // of the data, when nodes share it; else nil
	databases   []*mongostore.Store // of data and keystore on MongoDB; else none
	trailKeys   *trail.RingKeys
	trail       *trail.Trail
	tokens      *token.Issuer
	policies    *archive.Archive
	vault       *sealed.Vault
	service     *interaction.Service
	glasses     *glass.Book
	handler     *rest.Handler
	accounts    *account.Directory
	issuers     *issuer.Set // nil without external ones
	office      *office.Office
	login       *login.Service
	federation  *federation.Desk // nil without providers to log in at
	clients     *client.Registry
	oauth       *oauth.Server
	pages       *pages.Pages
	people      *pages.Handler
	root        http.Handler // what the FHIR listener serves
	flight      inFlight

	// fatal receives the failure after which the process must not go on.
	fatal   chan error
	closers []func() error
	closing sync.Once
}

// Open builds everything but the listeners. base is the FHIR base URL that
// answers carry.
func Open(ctx context.Context, cfg config.Options, base string, log *slog.Logger) (a *App, err error) {
	a = &App{cfg: cfg, log: log, base: base, definitions: definition.Default(), fatal: make(chan error, 4), indexWake: make(chan struct{}, 1)}
	a.flight.init()
	a.peers = sole{&a.flight}
	defer func() {
		if err != nil {
			_ = a.Close() // the first error is the one to report
			a = nil
		}
	}()
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return a, fmt.Errorf("creating the data folder: %w", err)
	}
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"definitions", a.openDefinitions}, {"keystore", a.openKeystore}, {"store", a.openStore}, {"audit trail", a.openTrail},
		{"policy", a.openPolicy}, {"service", a.openService},
	} {
		if err := step.run(ctx); err != nil {
			return a, fmt.Errorf("opening the %s: %w", step.name, err)
		}
	}
	if a.node != nil {
		a.node.Follow(a.follow, a.forget)
	}
	return a, nil
}

// Close releases everything; it may be called more than once.
func (a *App) Close() error {
	var errs []error
	a.closing.Do(func() {
		for i := len(a.closers) - 1; i >= 0; i-- {
			errs = append(errs, a.closers[i]())
		}
	})
	return errors.Join(errs...)
}

func (a *App) onClose(f func() error) { a.closers = append(a.closers, f) }

// fail reports a failure after which the process must end.
func (a *App) fail(part string) func(error) {
	return func(err error) {
		select {
		case a.fatal <- fmt.Errorf("%s failed: %w", part, err):
		default: // the first few are enough
		}
	}
}

// Fatal delivers failures after which the process must exit non-zero.
func (a *App) Fatal() <-chan error { return a.fatal }

func (a *App) path(name string) string { return filepath.Join(a.cfg.Data, name) }
