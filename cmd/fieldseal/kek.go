package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/crypto/kms/localfile"
)

// newKeysCreate makes a root key before the first start. Profile production
// never makes one itself: a typing error in the path would become a new key
// beside old data.
func newKeysCreate() *cobra.Command {
	c := &cobra.Command{Use: "create FILE", Short: "Make a new root key (KEK) in a new file of mode 0600",
		Long:    "Make a new root key in a new file of mode 0600, for --kek-file of a new installation. A file that exists is never touched. The key belongs to the account that runs this command, and into escrow before the first patient: without it everything is lost.",
		Example: "  fieldseal keys create /etc/fieldseal/kek", Args: cobra.ExactArgs(1)}
	c.RunE = func(c *cobra.Command, args []string) error {
		kms, err := localfile.Create(args[0])
		if err != nil {
			return err
		}
		id, err := kms.KeyID()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s\nEscrow a copy of %s now: without it the data is lost.\n", id, args[0])
		return err
	}
	return c
}
