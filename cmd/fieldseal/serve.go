package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/internal/adminapi"
	"github.com/fieldseal/fieldseal/internal/app"
	"github.com/fieldseal/fieldseal/internal/config"
	"github.com/fieldseal/fieldseal/internal/telemetry"
)

func newServe() *cobra.Command {
	settings := config.New()
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the FHIR API",
		Long: `Serve the FHIR R4 API from a data folder.

Flags, FIELDSEAL_... environment variables and the YAML file of --config name
the same settings; a flag wins over the environment, the environment over the
file. SIGTERM drains requests in flight and exits with 0.`,
		Example: `  fieldseal serve --demo
  fieldseal serve --data /var/lib/fieldseal --kek-file /run/secrets/kek --witness /mnt/witness/checkpoints
  fieldseal serve --data DIR --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem
  fieldseal serve --data DIR --issuers issuers.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(settings)
			if err != nil {
				return err
			}
			return serve(c.Context(), cfg)
		},
	}
	c.Flags().AddFlagSet(settings.Flags())
	return c
}

// loadConfig reads and checks the settings; every problem is reported at once.
func loadConfig(s *config.Settings) (config.Options, error) {
	cfg, err := s.Load(os.Environ())
	if err != nil {
		return cfg, usage(nil, err)
	}
	if cfg.Data == "" && cfg.Demo {
		if cfg.Data, err = os.MkdirTemp("", "fieldseal-demo-"); err != nil {
			return cfg, fmt.Errorf("making a data folder: %w", err)
		}
	}
	if err := cfg.Validate(); err != nil {
		return cfg, usage(nil, err)
	}
	return cfg, nil
}

func serve(ctx context.Context, cfg config.Options) (err error) {
	tel, err := newTelemetry(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, tel.Shutdown(ctx))
	}()
	tel.Install()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	var metrics http.Handler
	if cfg.Metrics != "" {
		metrics = tel.Handler()
	}
	return app.Serve(ctx, cfg, metrics, terminal(os.Stderr), tel.Logger(), func(s app.Serving) { announce(os.Stdout, s) })
}

func newTelemetry(ctx context.Context, cfg config.Options) (*telemetry.Telemetry, error) {
	return telemetry.New(ctx, telemetry.Options{LogLevel: cfg.LogLevel, LogFormat: cfg.LogFormat, LogOutput: os.Stderr,
		OTLPEndpoint: cfg.OTLPEndpoint, OTLPInsecure: cfg.OTLPInsecure, Service: "fieldseal", Version: app.Version, Instance: cfg.NodeName()})
}

// terminal is w when people watch it, else nothing: progress is for them.
func terminal(w *os.File) io.Writer {
	if isatty.IsTerminal(w.Fd()) {
		return w
	}
	return io.Discard
}

// announce says where the server is and, for a demo, how to call it.
func announce(w io.Writer, s app.Serving) {
	fmt.Fprintf(w, "FHIR base  %s\ndata       %s\n", s.Base, s.Folder)
	if s.Metrics != "" {
		fmt.Fprintf(w, "metrics    %s/metrics\n", s.Metrics)
	}
	if s.Founding {
		fmt.Fprintf(w, "\nNobody can log in as an administrator yet. On this machine:\n  fieldseal user bootstrap --data %s user:NAME\n", s.Folder)
	}
	if s.Credentials == nil {
		return
	}
	fmt.Fprintf(w, "\nDemo users (tokens in %s/%s):\n", s.Folder, app.CredentialsName)
	for _, role := range token.DemoRoles() {
		if role == "security-officer" {
			fmt.Fprintf(w, "\n# %s, for 15 minutes; then: fieldseal token --data DIR --role %s\ncurl -s -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{}' '%spolicy/history'\n",
				role, role, s.Credentials.Tokens[role], strings.TrimSuffix(s.Base, "/fhir")+adminapi.RemotePath)
			continue
		}
		path := map[string]string{"privacy-officer": "/AuditEvent?patient=" + s.Credentials.Patient,
			"integration": "/Patient?_id=" + s.Credentials.Patient, "device": "/metadata", "admin": "/metadata"}[role]
		if path == "" {
			path = "/Patient/" + s.Credentials.Patient
		}
		fmt.Fprintf(w, "\n# %s\ncurl -s -H 'Authorization: Bearer %s' '%s%s'\n", role, s.Credentials.Tokens[role], s.Base, path)
	}
	announcePeople(w, s)
}

// announcePeople says who can log in at the pages.
func announcePeople(w io.Writer, s app.Serving) {
	fmt.Fprintf(w, "\nDemo people (passwords in %s/%s):\n", s.Folder, app.CredentialsName)
	for _, p := range app.DemoPeople() {
		if password := s.Credentials.Passwords[p[0]]; password != "" {
			fmt.Fprintf(w, "  %-10s %s   %s\n", p[0], password, p[1])
		}
	}
	fmt.Fprintf(w, "\nTheir pages  %s/account\nAn app asks them for access (docs/smart.md says how to go on with the code that it gets):\n  %s\n",
		strings.TrimSuffix(s.Base, "/fhir")+oauth.Path, app.DemoLaunch(s.Base))
}

// gcPercent lets garbage grow to twice the live heap. That heap is small (the
// definitions, keys and the engine's cache) beside what searches allocate, so
// that Go's default of 100 spends a quarter of the processor on collecting it.
const gcPercent = 200
