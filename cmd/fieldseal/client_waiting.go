package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/office"
)

func newClientWaiting() *cobra.Command {
	c := &cobra.Command{Use: "waiting", Short: "List clients that registered themselves and wait for approval",
		Example: "  fieldseal client waiting --data DIR", Args: cobra.NoArgs}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return ask(c, d, "client/waiting", struct{}{}, printWaiting)
	}
	return c
}

// printWaiting quotes what nobody vouches for.
func printWaiting(out io.Writer, all []client.Client) {
	for _, k := range all {
		fmt.Fprintf(out, "%s  %s\n  says it is: %q\n  authenticates: %s\n", k.ID, k.Created.UTC().Format("2006-01-02 15:04"), k.Name, k.Auth)
		for _, u := range k.Redirects {
			fmt.Fprintf(out, "  redirect: %q\n", u)
		}
		if k.KeysURL != "" {
			fmt.Fprintf(out, "  keys: %q\n", k.KeysURL)
		}
		if k.Service() {
			fmt.Fprintln(out, "  backend service: approve it with --role")
		}
		fmt.Fprintf(out, "  scopes: %s\n", strings.Join(k.Scopes, " "))
	}
}

func newClientApprove() *cobra.Command {
	var in client.Client
	var scopes string
	c := &cobra.Command{Use: "approve ID", Short: "Register a client that waits, as it described itself or with less",
		Example: "  fieldseal client approve self-XXXX --data DIR --scope \"launch/patient patient/*.rs\"", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	f := c.Flags()
	f.StringVar(&in.Name, "name", "", "name that people are shown, instead of the client's own")
	f.StringVar(&scopes, "scope", "", "`scopes`, separated by spaces: some of those that it asked for; all when left out")
	f.StringArrayVar(&in.Roles, "role", nil, "`role` of a backend service, role:NAME; may be repeated")
	f.StringVar(&in.Purpose, "purpose", "", "purpose of use of a backend service's requests; TREAT when empty")
	c.RunE = func(c *cobra.Command, args []string) error {
		in.ID, in.Scopes = args[0], strings.Fields(scopes)
		return ask(c, d, "client/approve", office.ClientRequest{Client: in}, func(out io.Writer, r office.ClientSecret) {
			fmt.Fprintln(out, "approved", r.ID)
		})
	}
	return c
}

func newClientReject() *cobra.Command {
	c := &cobra.Command{Use: "reject ID", Short: "Forget a client that waits",
		Example: "  fieldseal client reject self-XXXX --data DIR", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return ask(c, d, "client/reject", about(args), func(out io.Writer, r office.ClientSecret) {
			fmt.Fprintln(out, "rejected", r.ID)
		})
	}
	return c
}
