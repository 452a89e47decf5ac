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
	"github.com/fieldseal/fieldseal/internal/adminapi"
)

func newClient() *cobra.Command {
	c := &cobra.Command{Use: "client", Short: "Register OAuth clients: apps and backend services",
		Example: "  fieldseal client list --data DIR", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newClientAdd(), newClientList(), newClientShow(), newClientRotate(), newClientDisable(), newClientSigning())
	return c
}

func newClientAdd() *cobra.Command {
	var in client.Client
	var auth, keysFile, scopes string
	var asJSON bool
	var access, refresh time.Duration
	c := &cobra.Command{
		Use: "add ID", Short: "Register a client; its secret, if it has one, is shown once",
		Long: "Register an OAuth client. With a redirect URI it is an app that acts for its users; without one it is a backend service: " +
			"it signs assertions (private_key_jwt) and has roles of its own. The scopes are the widest it may ask for.",
		Example: "  fieldseal client add lab-feed --data DIR --name \"Lab feed\" --jwks keys.json --role role:integration --scope \"system/Observation.cruds\"\n" +
			"  fieldseal client add growth-chart --data DIR --name \"Growth chart\" --auth none --redirect https://app.example/cb --origin https://app.example --scope \"launch/patient openid fhirUser patient/*.rs\"",
		Args: cobra.ExactArgs(1),
	}
	off := newOffline(c)
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
	f.BoolVar(&asJSON, "json", false, "print JSON")
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
		return clientCall(c, off, adminapi.ClientRequest{Do: adminapi.AddClient, Client: in}, func(out io.Writer, r adminapi.ClientReply) error {
			if asJSON {
				return printJSON(out, map[string]string{"id": in.ID, "secret": r.Secret})
			}
			if r.Secret == "" {
				_, err := fmt.Fprintln(out, "registered", in.ID)
				return err
			}
			return printSecret(out, r.Secret)
		})
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

func printSecret(out io.Writer, secret string) (err error) {
	if secret != "" {
		_, err = fmt.Fprintln(out, secret)
	}
	return err
}

// clientCall asks the server, or the data folder when none runs.
func clientCall(c *cobra.Command, off *offline, r adminapi.ClientRequest, show func(io.Writer, adminapi.ClientReply) error) error {
	return off.backend(c.Context(), func(b adminapi.Backend) error {
		reply, err := b.Clients(c.Context(), r)
		if err != nil {
			return err
		}
		return show(c.OutOrStdout(), reply)
	})
}

func newClientList() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "List clients, disabled ones too", Example: "  fieldseal client list --data DIR --json", Args: cobra.NoArgs}
	off := newOffline(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return clientCall(c, off, adminapi.ClientRequest{Do: adminapi.ListClients}, func(out io.Writer, r adminapi.ClientReply) error {
			if asJSON {
				return printJSON(out, shown(r.Clients))
			}
			w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			for _, k := range r.Clients {
				state := "in force"
				if !k.Disabled.IsZero() {
					state = "disabled"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.ID, k.Auth, state, strings.Join(k.Scopes, " "))
			}
			return w.Flush()
		})
	}
	return c
}

// shown leaves out the hash of the secret, which is of no use to anybody.
func shown(clients []client.Client) []client.Client {
	out := make([]client.Client, len(clients))
	for i, k := range clients {
		k.SecretHash = nil
		out[i] = k
	}
	return out
}

func newClientShow() *cobra.Command {
	c := &cobra.Command{Use: "show ID", Short: "Show what is registered of a client, as JSON; never a secret",
		Example: "  fieldseal client show lab-feed --data DIR", Args: cobra.ExactArgs(1)}
	off := newOffline(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return clientCall(c, off, about(adminapi.ShowClient, args), func(out io.Writer, r adminapi.ClientReply) error {
			return printJSON(out, shown(r.Clients)[0])
		})
	}
	return c
}

func newClientRotate() *cobra.Command {
	c := &cobra.Command{Use: "rotate-secret ID", Short: "Give a client a new secret, shown once; the old one is void within 5 seconds",
		Example: "  fieldseal client rotate-secret growth-chart --data DIR", Args: cobra.ExactArgs(1)}
	off := newOffline(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return clientCall(c, off, about(adminapi.RotateClientSecret, args), func(out io.Writer, r adminapi.ClientReply) error {
			return printSecret(out, r.Secret)
		})
	}
	return c
}

func newClientDisable() *cobra.Command {
	c := &cobra.Command{Use: "disable ID", Short: "End a client for good, with every token it has",
		Example: "  fieldseal client disable lab-feed --data DIR", Args: cobra.ExactArgs(1)}
	off := newOffline(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return clientCall(c, off, about(adminapi.DisableClient, args), func(out io.Writer, r adminapi.ClientReply) error {
			_, err := fmt.Fprintf(out, "disabled; tokens ended: %d\n", r.Revoked)
			return err
		})
	}
	return c
}

func newClientSigning() *cobra.Command {
	c := &cobra.Command{Use: "rotate-signing-key", Short: "Make a new key of id_tokens; the old one stays published while its tokens live",
		Example: "  fieldseal client rotate-signing-key --data DIR", Args: cobra.NoArgs}
	off := newOffline(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return clientCall(c, off, adminapi.ClientRequest{Do: adminapi.RotateSigningKey}, func(out io.Writer, r adminapi.ClientReply) error {
			_, err := fmt.Fprintf(out, "%s signs from %s\n", r.KeyID, r.From.UTC().Format(time.RFC3339))
			return err
		})
	}
	return c
}

func about(call adminapi.ClientCall, args []string) adminapi.ClientRequest {
	return adminapi.ClientRequest{Do: call, Client: client.Client{ID: args[0]}}
}
