package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/internal/adminapi"
)

func newReindex() *cobra.Command {
	c := &cobra.Command{Use: "reindex", Short: "Make the search index again from the sealed resources",
		Long: "Open every resource and give it its search tokens again. Requests go on meanwhile and searches stay complete. " +
			"When it is interrupted, run it again: it resumes; a running server goes on by itself. " +
			"It is needed only after a doubt about the index: a changed --index-profile, an upgrade or a restore rebuild what they must at the next start.",
		Example: "  fieldseal reindex --data DIR", Args: cobra.NoArgs}
	off := newOffline(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return off.backend(c.Context(), func(b adminapi.Backend) error { return b.Reindex(c.Context(), bar(os.Stderr)) })
	}
	return c
}
