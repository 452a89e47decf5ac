package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/internal/adminapi"
)

// errReason asks for what the audit trail needs.
var errReason = errors.New("--reason is needed: it stands in the audit trail")

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
	c.AddCommand(newHold(), newRelease(), newReadmit())
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

func newHold() *cobra.Command {
	return newPatientCommand("hold", "Put a patient under legal hold: no erasure until it is released", func(c *cobra.Command, b adminapi.Backend, patient, reason string) error {
		return b.Hold(c.Context(), adminapi.HoldRequest{Patient: patient, Reason: reason})
	})
}

func newRelease() *cobra.Command {
	return newPatientCommand("release", "End a patient's legal hold", func(c *cobra.Command, b adminapi.Backend, patient, reason string) error {
		return b.Hold(c.Context(), adminapi.HoldRequest{Patient: patient, Reason: reason, Release: true})
	})
}

func newReadmit() *cobra.Command {
	return newPatientCommand("readmit", "Let an erased patient's id be used again, with new keys", func(c *cobra.Command, b adminapi.Backend, patient, reason string) error {
		return b.Readmit(c.Context(), adminapi.EraseRequest{Patient: patient, Reason: reason})
	})
}

// newPatientCommand is a subcommand of erase that acts on one patient.
func newPatientCommand(name, short string, run func(*cobra.Command, adminapi.Backend, string, string) error) *cobra.Command {
	var reason string
	c := &cobra.Command{Use: name + " PATIENT-ID", Short: short,
		Example: "  fieldseal erase " + name + " --data DIR --reason case-17 5cbc121b-cd71-4428-b8b7-31e53eba8184", Args: cobra.ExactArgs(1)}
	off := newOffline(c)
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit trail (no patient data)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if reason == "" {
			return usage(c, errReason)
		}
		return off.backend(c.Context(), func(b adminapi.Backend) error { return run(c, b, args[0], reason) })
	}
	return c
}
