package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fieldseal/fieldseal/internal/adminapi"
	"github.com/fieldseal/fieldseal/internal/app"
	"github.com/fieldseal/fieldseal/internal/config"
)

// offline are the settings of commands that work on a data folder, whether a
// server runs on it or not.
type offline struct{ settings *config.Settings }

func newOffline(c *cobra.Command) *offline {
	o := &offline{settings: config.New()}
	for _, name := range []string{"data", "store", "store-uri-file", "keystore", "keystore-uri-file", "node", "kek-file", "kms", "witness", "config", "profile", "index-profile", "base-url"} {
		c.Flags().AddFlag(o.settings.Flags().Lookup(name))
	}
	o.settings.Flags().VisitAll(func(f *pflag.Flag) {
		if strings.HasPrefix(f.Name, "vault-") {
			c.Flags().AddFlag(f)
		}
	})
	return o
}

func (o *offline) load() (config.Options, error) {
	cfg, err := o.settings.Load(os.Environ())
	if err != nil {
		return cfg, usage(nil, err)
	}
	if cfg.Data == "" {
		return cfg, usage(nil, errors.New("--data DIR is needed"))
	}
	return cfg, nil
}

// backend runs f with the server's admin socket when a server runs on the data
// folder, else with the folder opened in this process.
func (o *offline) backend(ctx context.Context, f func(adminapi.Backend) error) (err error) {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	client, err := adminapi.Dial(ctx, cfg.Data)
	if err == nil {
		return f(client)
	}
	if !errors.Is(err, adminapi.ErrNotRunning) {
		return err
	}
	if _, err := os.Stat(cfg.Data); err != nil {
		return errors.New("the data folder does not exist")
	}
	a, err := app.Open(ctx, cfg, cfg.Base(nil), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return f(a)
}
