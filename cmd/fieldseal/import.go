package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/internal/adminapi"
	"github.com/fieldseal/fieldseal/internal/app"
	"github.com/fieldseal/fieldseal/internal/config"
	"github.com/fieldseal/fieldseal/internal/importer"
)

// tokenVariable holds the bearer token for imports into a remote server.
const tokenVariable = "FIELDSEAL_IMPORT_TOKEN"

type importFlags struct {
	base, state string
	parallel    int
	fresh, json bool
}

func newImport() *cobra.Command {
	var f importFlags
	c := &cobra.Command{Use: "import PATH...", Short: "Load Bundles, resources and ndjson from files, folders or standard input",
		Long: `Load transaction and batch Bundles, collections, single resources and ndjson
from files, folders (in sorted order) or, with "-", standard input. The data go
through the server on the data folder when one runs, else the folder is opened
for as long as the import takes. What is done is remembered in a state file: an
interrupted import is resumed by running it again. What was refused, and why, is
listed at the end; the command then exits with 1.

With --base the data go to another server, with the bearer token of the
environment variable ` + tokenVariable + `.`,
		Example: "  fieldseal import --data DIR patients/\n  zcat export.ndjson.gz | fieldseal import --data DIR -",
		Args:    cobra.MinimumNArgs(1)}
	off := newOffline(c)
	c.Flags().StringVar(&f.base, "base", "", "FHIR base `URL` of another server")
	c.Flags().StringVar(&f.state, "state", "", "`file` that remembers what is done (default DATA/import-state)")
	c.Flags().BoolVar(&f.fresh, "fresh", false, "forget what an earlier import did")
	c.Flags().IntVar(&f.parallel, "parallel", importer.DefaultParallel, "requests at once")
	c.Flags().BoolVar(&f.json, "json", false, "print the summary as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		if f.base != "" {
			return runImport(c, f, args, importer.HTTP(http.DefaultClient, f.base, os.Getenv(tokenVariable)))
		}
		cfg, err := off.load()
		if err != nil {
			return err
		}
		if f.state == "" {
			f.state = filepath.Join(cfg.Data, "import-state")
		}
		return withServer(c.Context(), cfg, func(client *adminapi.Client) error {
			return runImport(c, f, args, renewing(client))
		})
	}
	return c
}

func runImport(c *cobra.Command, f importFlags, paths []string, do importer.Do) error {
	if f.fresh && f.state != "" {
		if err := os.Remove(f.state); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("forgetting the earlier import: %w", err)
		}
	}
	sum, err := importer.Run(c.Context(), importer.Options{Paths: paths, Stdin: c.InOrStdin(), Do: do,
		Parallel: f.parallel, Progress: os.Stderr, State: f.state})
	if f.json {
		return errors.Join(err, printJSON(c.OutOrStdout(), sum))
	}
	printSummary(c.OutOrStdout(), sum)
	return err
}

func printSummary(w io.Writer, s importer.Summary) {
	fmt.Fprintf(w, "%d inputs (%d done before): %d created, %d updated, %d unchanged, %d refused; %.0f resources/s\n",
		s.Inputs, s.Skipped, s.Created, s.Updated, s.Unchanged, s.Refused, s.ResourcesPerSecond)
	for _, r := range s.Refusals {
		fmt.Fprintf(w, "refused: %s", r.Input)
		if r.Entry != nil {
			fmt.Fprintf(w, " entry %d", *r.Entry)
		}
		if r.Line > 0 {
			fmt.Fprintf(w, " line %d", r.Line)
		}
		if r.Status > 0 {
			fmt.Fprintf(w, " (%d)", r.Status)
		}
		for _, d := range r.Diagnostics {
			fmt.Fprintf(w, "; %s", d)
		}
		fmt.Fprintln(w)
	}
}

// withServer runs f with the server on the data folder, or with one of its own
// on an ephemeral loopback port when none runs.
func withServer(ctx context.Context, cfg config.Options, f func(*adminapi.Client) error) error {
	client, err := adminapi.Dial(ctx, cfg.Data)
	if err == nil {
		return f(client)
	}
	if !errors.Is(err, adminapi.ErrNotRunning) {
		return err
	}
	cfg.Listen, cfg.Metrics, cfg.Debug, cfg.Demo = "127.0.0.1:0", "", "", false
	if err := cfg.Validate(); err != nil {
		return usage(nil, err)
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- app.Serve(serving, cfg, nil, io.Discard, slog.New(slog.NewTextHandler(io.Discard, nil)), func(app.Serving) { close(ready) })
	}()
	select {
	case err := <-ended:
		return err
	case <-ready:
	}
	if client, err = adminapi.Dial(ctx, cfg.Data); err == nil {
		err = f(client)
	}
	stop()
	return errors.Join(err, <-ended)
}

// tokenLife is the longest that a service account's token may live.
const tokenLife = 5 * time.Minute

// renewing sends with an integration token from the admin socket and gets a
// new one when the server no longer takes it.
func renewing(client *adminapi.Client) importer.Do {
	var mu sync.Mutex
	var current adminapi.TokenReply
	renew := func(ctx context.Context, stale string) (adminapi.TokenReply, error) {
		mu.Lock()
		defer mu.Unlock()
		if current.Token != stale {
			return current, nil
		}
		var err error
		current, err = client.Token(ctx, adminapi.TokenRequest{Role: "integration", Lifetime: tokenLife})
		return current, err
	}
	return func(ctx context.Context, method, path string, header http.Header, body []byte) (importer.Answer, error) {
		mu.Lock()
		t := current
		mu.Unlock()
		for attempt := 0; ; attempt++ {
			if t.Token != "" {
				a, err := importer.HTTP(http.DefaultClient, t.Base, t.Token)(ctx, method, path, header, body)
				if err != nil || a.Status != http.StatusUnauthorized || attempt > 1 {
					return a, err
				}
			}
			var err error
			if t, err = renew(ctx, t.Token); err != nil {
				return importer.Answer{}, err
			}
		}
	}
}
