package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/fhir/interaction"
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
	c.Flags().StringVar(&r.Role, "role", "clinician", "role: clinician, nurse, researcher, patient, integration, privacy-officer or admin")
	c.Flags().StringVar(&r.Patient, "patient", "", "logical `id` of the patient, for role patient")
	c.Flags().StringVar(&r.Practitioner, "practitioner", "", "logical `id` of the Practitioner, for role clinician")
	c.Flags().DurationVar(&r.Lifetime, "lifetime", 15*time.Minute, "lifetime, at most 60m")
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
	keys.AddCommand(newKeysStatus(), newKeysRotate())
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
	if st.Rotation != nil {
		b, _ := json.Marshal(st.Rotation)
		fmt.Fprintf(w, "rotation      %s (run \"fieldseal keys rotate\" to resume)\n", b)
	}
}

func newKeysRotate() *cobra.Command {
	c := &cobra.Command{Use: "rotate", Short: "Make a new KEK version and wrap every key again under it",
		Long:    "Make a new KEK version and wrap every key again under it. Requests go on meanwhile. When it is interrupted, run it again: it resumes.",
		Example: "  fieldseal keys rotate --data DIR", Args: cobra.NoArgs}
	off := newOffline(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return off.backend(c.Context(), func(b adminapi.Backend) error { return b.RotateKEK(c.Context(), bar(os.Stderr)) })
	}
	return c
}

func newErase() *cobra.Command {
	var r adminapi.EraseRequest
	var yes, asJSON bool
	c := &cobra.Command{Use: "erase PATIENT-ID", Short: "Erase a patient by destroying the patient's keys",
		Long: `Erase a patient: fence and destroy the patient's keys, remove the live records,
and replace references to them in other records. This cannot be undone. Backups
of the data stay unreadable as long as the current keystore is used; the report
says when their search tokens fall silent too. When it is interrupted, run it
again: it resumes.`,
		Example: "  fieldseal erase --data DIR --reason gdpr-art-17 --yes 5cbc121b-cd71-4428-b8b7-31e53eba8184", Args: cobra.ExactArgs(1)}
	off := newOffline(c)
	c.Flags().StringVar(&r.Reason, "reason", "", "legal ground, for the audit trail (no patient data)")
	c.Flags().BoolVar(&yes, "yes", false, "confirm; without it nothing happens")
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		if r.Patient = args[0]; !yes || r.Reason == "" {
			return usage(c, fmt.Errorf("an erasure cannot be undone: give --reason and --yes"))
		}
		return off.backend(c.Context(), func(b adminapi.Backend) error {
			rep, err := b.Erase(c.Context(), r, bar(os.Stderr))
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), rep)
			}
			printErasure(c.OutOrStdout(), rep)
			return nil
		})
	}
	return c
}

func printErasure(w io.Writer, rep interaction.EraseReport) {
	fmt.Fprintf(w, "erased %s: %d versions removed, keys destroyed, audit receipt %d\n", rep.Erased.Format(time.RFC3339), rep.Versions, rep.Receipt)
	fmt.Fprintf(w, "references replaced in %d other resources", len(rep.References))
	if rep.History > 0 {
		fmt.Fprintf(w, "; %d of their past versions still name an erased record", rep.History)
	}
	fmt.Fprintf(w, "\nsearch tokens in data backups fall silent by %s\n", rep.BackupsSilent.Format(time.DateOnly))
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
