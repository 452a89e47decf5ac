package main

import (
	"errors"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/internal/app"
)

// errTampered makes a failed verification exit with 1.
var errTampered = errors.New("the audit trail does not verify")

// errNoTrail: a database without a chain is none that a server has used.
var errNoTrail = errors.New("no chain of audit events is there")

func newAudit() *cobra.Command {
	c := &cobra.Command{Use: "audit", Short: "Check the audit trail", Example: "  fieldseal audit verify --data DIR",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newAuditVerify())
	return c
}

func newAuditVerify() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "verify", Short: "Find tampering: flipped, deleted, inserted, reordered or cut events",
		Long: `Verify hash chain, Merkle checkpoints and signatures of the whole trail, without
any decryption key, beside running servers or offline: of the data folder, or of
every node on a database. Give --witness, a file or a folder of them, to find a
cut tail or a replaced trail as well. Exits with 1 when anything is wrong.`,
		Example: `  fieldseal audit verify --data DIR --witness /mnt/witness/checkpoints
  fieldseal audit verify --store-uri-file /etc/fieldseal/auditor-uri --witness /mnt/witness`, Args: cobra.NoArgs}
	off := newOffline(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := off.settings.Load(os.Environ())
		if err == nil && cfg.Data == "" && !cfg.OnMongoDB() {
			err = errors.New("--data DIR is needed, or --store with the URI of a database")
		}
		if err != nil {
			return usage(nil, err)
		}
		reps, err := app.VerifyTrail(c.Context(), cfg)
		if err != nil {
			return err
		}
		if len(reps) == 0 {
			return errNoTrail
		}
		if err := printReports(c.OutOrStdout(), reps, asJSON, cfg.OnMongoDB()); err != nil {
			return err
		}
		if slices.ContainsFunc(reps, func(r trail.Report) bool { return !r.OK() }) {
			return errTampered
		}
		return nil
	}
	return c
}

// printReports prints one report of each chain. As JSON they are a list for a
// database, and for a folder that holds more than its own chain.
func printReports(w io.Writer, reps []trail.Report, asJSON, list bool) error {
	switch {
	case asJSON && len(reps) == 1 && !list:
		return printJSON(w, reps[0])
	case asJSON:
		return printJSON(w, reps)
	}
	for i := range reps {
		if _, err := reps[i].WriteTo(w); err != nil {
			return err
		}
	}
	return nil
}
