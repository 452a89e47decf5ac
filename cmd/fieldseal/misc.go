package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/internal/app"
	"github.com/fieldseal/fieldseal/internal/config"
)

func newConfig() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check settings", Example: "  fieldseal config check --config fieldseal.yaml",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	settings := config.New()
	check := &cobra.Command{Use: "check", Short: "Report every problem of the settings at once, without starting",
		Example: "  fieldseal config check --config fieldseal.yaml --profile production", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := settings.LoadAndValidate(os.Environ()); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "the settings are good")
			return nil
		}}
	check.Flags().AddFlagSet(settings.Flags())
	c.AddCommand(check)
	return c
}

func newVersion() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Example: "  fieldseal version", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) {
			fmt.Fprintf(c.OutOrStdout(), "fieldseal %s (%s, %s/%s)\n", app.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		}}
}

// errUnhealthy makes a failed health check exit with 1.
var errUnhealthy = errors.New("the server is not ready")

func newHealthcheck() *cobra.Command {
	var url string
	c := &cobra.Command{Use: "healthcheck", Short: "Ask a server whether it is ready, for container images without a shell",
		Example: "  fieldseal healthcheck --url http://127.0.0.1:8080/readyz", Args: cobra.NoArgs}
	c.Flags().StringVar(&url, "url", "http://"+config.DefaultListen+"/readyz", "`URL` of the readiness endpoint")
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(c.Context(), 3*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return usage(c, err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("%w: %w", errUnhealthy, err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%w: it answered %d", errUnhealthy, resp.StatusCode)
		}
		return nil
	}
	return c
}
