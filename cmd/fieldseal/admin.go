package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/internal/adminapi"
)

func newToken() *cobra.Command {
	var r adminapi.TokenRequest
	var revoke bool
	c := &cobra.Command{
		Use:     "token",
		Short:   "Issue or revoke a development token",
		Long:    "Issue a token for one of the built-in roles through the running server's admin socket (profile development only), or revoke one that is read from standard input.",
		Example: "  fieldseal token --data DIR --role clinician --lifetime 1h\n  echo \"$TOKEN\" | fieldseal token --data DIR --revoke",
		Args:    cobra.NoArgs,
	}
	off := newOffline(c)
	c.Flags().StringVar(&r.Role, "role", "clinician", "role: "+strings.Join(token.DemoRoles(), ", "))
	c.Flags().StringVar(&r.Account, "account", "", "`user:NAME or client:NAME` of an account, instead of a role")
	c.Flags().StringVar(&r.Purpose, "purpose", "", "purpose of use of an account's token (default TREAT)")
	c.Flags().StringSliceVar(&r.Scopes, "scope", nil, "SMART `scopes` of an account's token (default: all that its kind can have)")
	c.Flags().StringVar(&r.Patient, "patient", "", "logical `id` of the patient, for role patient, or whom an account acts for")
	c.Flags().StringVar(&r.Practitioner, "practitioner", "", "logical `id` of the Practitioner, for role clinician")
	c.Flags().DurationVar(&r.Lifetime, "lifetime", 15*time.Minute, "lifetime, at most 60m")
	c.Flags().BoolVar(&r.MFA, "mfa", false, "as after a login with a second factor, just now")
	c.Flags().BoolVar(&revoke, "revoke", false, "revoke the token on standard input")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return off.backend(c.Context(), func(b adminapi.Backend) error {
			if revoke {
				var t string
				if _, err := fmt.Fscan(c.InOrStdin(), &t); err != nil {
					return usage(c, fmt.Errorf("reading the token from standard input: %w", err))
				}
				return b.RevokeToken(c.Context(), t)
			}
			reply, err := b.Token(c.Context(), r)
			if err == nil {
				fmt.Fprintln(c.OutOrStdout(), reply.Token)
			}
			return err
		})
	}
	return c
}

func newKeys() *cobra.Command {
	keys := &cobra.Command{Use: "keys", Short: "Look after the key hierarchy", Example: "  fieldseal keys status --data DIR",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	keys.AddCommand(newKeysCreate(), newKeysStatus(), newKeysRotate())
	return keys
}

func newKeysStatus() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "status", Short: "Show KEK versions, owners, epochs and rotation; never a key",
		Example: "  fieldseal keys status --data DIR --json", Args: cobra.NoArgs}
	off := newOffline(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return off.backend(c.Context(), func(b adminapi.Backend) error {
			st, err := b.KeysStatus(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), st)
			}
			printStatus(c.OutOrStdout(), st)
			return nil
		})
	}
	return c
}

func printStatus(w io.Writer, st keyring.Status) {
	fmt.Fprintf(w, "tenant        %s (created %s)\nKMS           %s\nowners        %d live, %d fenced, %d erased\n",
		st.Tenant, st.Created.Format(time.RFC3339), st.KMS, st.Owners, st.Fenced, st.Erased)
	for _, k := range st.KEKs {
		b, _ := json.Marshal(k) // a struct of numbers and words
		fmt.Fprintf(w, "KEK           %s\n", b)
	}
	for _, e := range st.IndexEpochs {
		b, _ := json.Marshal(e)
		fmt.Fprintf(w, "index epoch   %s\n", b)
	}
	if len(st.IndexEpochs) > 1 {
		fmt.Fprintln(w, "              an index rotation is under way (run \"fieldseal keys rotate --index\" to finish it now)")
	}
	if st.Rotation != nil {
		b, _ := json.Marshal(st.Rotation)
		fmt.Fprintf(w, "rotation      %s (run \"fieldseal keys rotate\" to resume)\n", b)
	}
}

func newKeysRotate() *cobra.Command {
	var index bool
	c := &cobra.Command{Use: "rotate", Short: "Replace the KEK, or with --index the key of the search index",
		Long: "Make a new KEK version and wrap every key again under it. With --index, make a new index epoch instead: a new key, " +
			"new search tokens for every resource, and the old key destroyed, after which tokens in older backups confirm no guess. " +
			"Requests go on meanwhile. When it is interrupted, run it again: it resumes.",
		Example: "  fieldseal keys rotate --data DIR\n  fieldseal keys rotate --index --data DIR", Args: cobra.NoArgs}
	off := newOffline(c)
	c.Flags().BoolVar(&index, "index", false, "rotate the index epoch")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return off.backend(c.Context(), func(b adminapi.Backend) error {
			if index {
				return b.RotateIndex(c.Context(), bar(os.Stderr))
			}
			return b.RotateKEK(c.Context(), bar(os.Stderr))
		})
	}
	return c
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// bar draws progress for people.
func bar(f *os.File) func(adminapi.Progress) {
	w := terminal(f)
	var b *progressbar.ProgressBar
	var step string
	return func(p adminapi.Progress) {
		if b == nil || p.Step != step {
			step = p.Step
			b = progressbar.NewOptions(max(p.Total, 1), progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(step), progressbar.OptionClearOnFinish())
		}
		b.ChangeMax(max(p.Total, p.Done, 1))
		_ = b.Set(p.Done) // a bar that cannot be drawn stops nothing
	}
}
