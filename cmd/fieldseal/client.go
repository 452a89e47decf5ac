package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/office"
)

func newClient() *cobra.Command {
	c := &cobra.Command{Use: "client", Short: "Register OAuth clients: apps and backend services",
		Example: "  fieldseal client list --data DIR", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newClientAdd(), newClientList(), newClientShow(), newClientRotate(), newClientDisable(), newClientSigning(),
		newClientWaiting(), newClientApprove(), newClientReject())
	return c
}

func newClientAdd() *cobra.Command {
	var in client.Client
	var auth, keysFile, scopes string
	var access, refresh time.Duration
	c := &cobra.Command{
		Use: "add ID", Short: "Register a client; its secret, if it has one, is shown once",
		Long: "Register an OAuth client. With a redirect URI it is an app that acts for its users; without one it is a backend service: " +
			"it signs assertions (private_key_jwt) and has roles of its own. The scopes are the widest it may ask for.",
		Example: "  fieldseal client add lab-feed --data DIR --name \"Lab feed\" --jwks keys.json --role role:integration --scope \"system/Observation.cruds\"\n" +
			"  fieldseal client add growth-chart --data DIR --name \"Growth chart\" --auth none --redirect https://app.example/cb --origin https://app.example --scope \"launch/patient openid fhirUser patient/*.rs\"",
		Args: cobra.ExactArgs(1),
	}
	d := newDesk(c)
	f := c.Flags()
	f.StringVar(&in.Name, "name", "", "name that people are shown")
	f.StringVar(&auth, "auth", string(client.PrivateKeyJWT), "how it authenticates: none, client_secret_basic, client_secret_post or private_key_jwt")
	f.StringVar(&keysFile, "jwks", "", "`file` with its JSON Web Key Set; - is standard input")
	f.StringVar(&in.KeysURL, "jwks-url", "", "https `URL` of its JSON Web Key Set")
	f.StringArrayVar(&in.Redirects, "redirect", nil, "redirect `URI`, exact; may be repeated")
	f.StringArrayVar(&in.Origins, "origin", nil, "web `origin` whose scripts may call; may be repeated")
	f.StringVar(&scopes, "scope", "", "`scopes`, separated by spaces")
	f.StringArrayVar(&in.Roles, "role", nil, "`role` of a backend service, role:NAME; may be repeated")
	f.StringVar(&in.Purpose, "purpose", "", "purpose of use of a backend service's requests; TREAT when empty")
	f.BoolVar(&in.Introspects, "introspect", false, "may ask about tokens of others, as a resource server does")
	f.DurationVar(&access, "access-lifetime", 0, "how long its access tokens live; the server's setting when left out, 5m of a backend service")
	f.DurationVar(&refresh, "refresh-lifetime", 0, "how long its unused refresh tokens live; the server's setting when left out")
	f.BoolVar(&in.Launches, "launches", false, "may start apps with context, as an EHR does")
	c.RunE = func(c *cobra.Command, args []string) error {
		in.AccessSeconds, in.RefreshSeconds = int64(access/time.Second), int64(refresh/time.Second)
		in.ID, in.Auth, in.Scopes = args[0], client.Auth(auth), strings.Fields(scopes)
		if in.Name == "" {
			in.Name = in.ID
		}
		if keysFile != "" {
			keys, err := readKeys(c.InOrStdin(), keysFile)
			if err != nil {
				return usage(c, err)
			}
			in.Keys = keys
		}
		if err := in.Validate(); err != nil {
			return usage(c, err)
		}
		return ask(c, d, "client/add", office.ClientRequest{Client: in}, printClientSecret)
	}
	return c
}

// maxKeysBytes is the limit of key sets that are fetched, too.
const maxKeysBytes = 64 << 10

func readKeys(stdin io.Reader, name string) (keys []byte, err error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	keys, err = io.ReadAll(io.LimitReader(in, maxKeysBytes+1))
	if err == nil && len(keys) > maxKeysBytes {
		err = errors.New("the key set is larger than 64 KiB")
	}
	return keys, err
}

func printClientSecret(out io.Writer, r office.ClientSecret) {
	if r.Secret == "" {
		fmt.Fprintln(out, "registered", r.ID)
		return
	}
	fmt.Fprintln(out, r.Secret)
}

func newClientList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List clients, disabled ones too", Example: "  fieldseal client list --data DIR --json", Args: cobra.NoArgs}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return ask(c, d, "client/list", struct{}{}, func(out io.Writer, all []client.Client) {
			w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			for _, k := range all {
				state := "in force"
				if !k.Disabled.IsZero() {
					state = "disabled"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, k.Auth, state, strings.Join(k.Scopes, " "))
			}
			_ = w.Flush() // standard output that is gone ends the command anyway
		})
	}
	return c
}

func newClientShow() *cobra.Command {
	c := &cobra.Command{Use: "show ID", Short: "Show what is registered of a client, as JSON; never a secret",
		Example: "  fieldseal client show lab-feed --data DIR", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		d.asJSON = true
		return ask(c, d, "client/show", about(args), func(io.Writer, client.Client) {})
	}
	return c
}

func newClientRotate() *cobra.Command {
	c := &cobra.Command{Use: "rotate-secret ID", Short: "Give a client a new secret, shown once; the old one is void within 5 seconds",
		Example: "  fieldseal client rotate-secret growth-chart --data DIR", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return ask(c, d, "client/rotate-secret", about(args), printClientSecret)
	}
	return c
}

func newClientDisable() *cobra.Command {
	c := &cobra.Command{Use: "disable ID", Short: "End a client for good, with every token it has",
		Example: "  fieldseal client disable lab-feed --data DIR", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return ask(c, d, "client/disable", about(args), func(out io.Writer, r office.ClientEnded) {
			fmt.Fprintf(out, "disabled; tokens ended: %d\n", r.Tokens)
		})
	}
	return c
}

func newClientSigning() *cobra.Command {
	c := &cobra.Command{Use: "rotate-signing-key", Short: "Make a new key of id_tokens; the old one stays published while its tokens live",
		Example: "  fieldseal client rotate-signing-key --data DIR", Args: cobra.NoArgs}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return ask(c, d, "client/rotate-signing-key", struct{}{}, func(out io.Writer, r office.SigningKey) {
			fmt.Fprintf(out, "%s signs from %s\n", r.ID, r.From.UTC().Format(time.RFC3339))
		})
	}
	return c
}

func about(args []string) office.ClientRequest {
	return office.ClientRequest{Client: client.Client{ID: args[0]}}
}
