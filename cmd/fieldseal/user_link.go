package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/authz/office"
)

func newUserLink() *cobra.Command {
	return newLinking("link ACCOUNT", "Say who an account is at another issuer: its iss and sub, never an e-mail address", "user/link", "new at the identity provider")
}

func newUserUnlink() *cobra.Command {
	return newLinking("unlink ACCOUNT", "Take an identity at another issuer from an account, with all its tokens", "user/unlink", "left the partner")
}

func newLinking(use, short, operation, example string) *cobra.Command {
	in := office.LinkRequest{}
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1),
		Example: "  fieldseal " + operation[:4] + " " + operation[5:] + " --data DIR --issuer https://idp.example/realms/hospital --sub 248289761001 --reason '" + example + "' user:ann"}
	d := newDesk(c)
	c.Flags().StringVar(&in.Identity.Issuer, "issuer", "", "`URL` of the issuer, exactly as in its tokens")
	c.Flags().StringVar(&in.Identity.Subject, "sub", "", "the `sub` by which the issuer knows the account")
	c.Flags().StringVar(&in.Reason, "reason", "", "why, for the audit trail")
	c.RunE = func(c *cobra.Command, args []string) error {
		if in.Subject = args[0]; in.Reason == "" || in.Identity.Issuer == "" || in.Identity.Subject == "" {
			return usage(c, errors.New("--issuer, --sub and --reason are needed"))
		}
		return ask(c, d, operation, in, printAccount)
	}
	return c
}
