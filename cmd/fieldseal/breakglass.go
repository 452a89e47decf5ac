package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/internal/adminapi"
)

func newBreakGlass() *cobra.Command {
	c := &cobra.Command{Use: "break-glass", Short: "List and review emergency accesses", Example: "  fieldseal break-glass list --data DIR",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newBreakGlassList(), newBreakGlassReview())
	return c
}

func newBreakGlassList() *cobra.Command {
	var open, asJSON bool
	c := &cobra.Command{Use: "list", Short: "List emergency accesses, those that wait for a review with its due time",
		Example: "  fieldseal break-glass list --data DIR --open", Args: cobra.NoArgs}
	off := newOffline(c)
	c.Flags().BoolVar(&open, "open", false, "only those that were not reviewed yet")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return off.backend(c.Context(), func(b adminapi.Backend) error {
			all, err := b.BreakGlassList(c.Context())
			if err != nil {
				return err
			}
			list := make([]adminapi.Emergency, 0, len(all))
			for _, e := range all {
				if !open || e.Review == nil {
					list = append(list, e)
				}
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), list)
			}
			return printEmergencies(c.OutOrStdout(), list)
		})
	}
	return c
}

func printEmergencies(w io.Writer, list []adminapi.Emergency) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tACCOUNT\tPATIENT\tREASON\tFROM\tTO\tREVIEW")
	for _, e := range list {
		review := "due " + e.Due.Format(time.RFC3339)
		switch {
		case e.Review != nil:
			review = string(e.Review.Decision) + " by " + e.Review.By
		case e.Overdue:
			review = "OVERDUE since " + e.Due.Format(time.RFC3339)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.Subject, e.Patient, e.Reason, e.Started.Format(time.RFC3339), e.Over().Format(time.RFC3339), review)
	}
	return t.Flush()
}

func newBreakGlassReview() *cobra.Command {
	var r adminapi.ReviewRequest
	var decision string
	c := &cobra.Command{Use: "review ID", Short: "Close the review of an emergency access with a decision, which is final",
		Example: "  fieldseal break-glass review --data DIR --by user:officer --decision justified 00112233445566778899aabbccddeeff", Args: cobra.ExactArgs(1)}
	off := newOffline(c)
	c.Flags().StringVar(&r.By, "by", "", "`account` of who decides; never who broke the glass")
	c.Flags().StringVar(&decision, "decision", "", "justified or unjustified")
	c.Flags().StringVar(&r.Comment, "comment", "", "what was found")
	c.RunE = func(c *cobra.Command, args []string) error {
		if r.ID, r.Decision = args[0], glass.Decision(decision); r.By == "" || r.Decision != glass.Justified && r.Decision != glass.Unjustified {
			return usage(c, fmt.Errorf("give --by and --decision justified or unjustified"))
		}
		return off.backend(c.Context(), func(b adminapi.Backend) error {
			done, err := b.BreakGlassReview(c.Context(), r)
			if err == nil {
				fmt.Fprintf(c.OutOrStdout(), "%s: %s by %s\n", done.ID, done.Review.Decision, done.Review.By)
			}
			return err
		})
	}
	return c
}
