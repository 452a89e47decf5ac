package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/audit/trail"
)

// errTampered makes a failed verification exit with 1.
var errTampered = errors.New("the audit trail does not verify")

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
any decryption key, beside a running server or offline. Give --witness to find
a cut tail or a replaced trail as well. Exits with 1 when anything is wrong.`,
		Example: "  fieldseal audit verify --data DIR --witness /mnt/witness/checkpoints", Args: cobra.NoArgs}
	off := newOffline(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := off.load()
		if err != nil {
			return err
		}
		rep, err := trail.Verify(c.Context(), trail.VerifyOptions{Dir: filepath.Join(cfg.Data, "trail"), Witness: cfg.Witness})
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(c.OutOrStdout(), rep)
		} else {
			_, err = rep.WriteTo(c.OutOrStdout())
		}
		if err == nil && !rep.OK() {
			err = errTampered
		}
		return err
	}
	return c
}
