package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/internal/adminapi"
)

func newSearch() *cobra.Command {
	search := &cobra.Command{Use: "search", Short: "Look into how searches are answered",
		Example: "  fieldseal search explain --data DIR 'Observation?patient=p1&code=8867-4'",
		Args:    cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	search.AddCommand(newSearchExplain())
	return search
}

func newSearchExplain() *cobra.Command {
	r := adminapi.TokenRequest{Lifetime: time.Minute}
	var asJSON, ownToken bool
	c := &cobra.Command{
		Use:   "explain QUERY",
		Short: "Print the plan of a search and what it cost, without any value",
		Long: "Plan and run a search as a caller would, and print which index clauses were used, how many index entries were read, " +
			"how many resources were opened to be rechecked and how many matched. The search is decided and audited like any other: " +
			"it runs as a development role, or as the holder of a token on standard input.",
		Example: "  fieldseal search explain --data DIR 'Observation?patient=p1&code=8867-4'\n" +
			"  fieldseal search explain --data DIR --role researcher 'Condition?onset-date=ge2020&_sort=-onset-date'\n" +
			"  echo \"$TOKEN\" | fieldseal search explain --data DIR --token 'Patient/p1/Observation?code=8867-4'",
		Args: cobra.ExactArgs(1),
	}
	off := newOffline(c)
	c.Flags().StringVar(&r.Role, "role", "clinician", "search as this development role")
	c.Flags().StringVar(&r.Patient, "patient", "", "logical `id` of the patient, for role patient")
	c.Flags().BoolVar(&ownToken, "token", false, "search as the holder of the token on standard input")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		return off.backend(c.Context(), func(b adminapi.Backend) error {
			ask := adminapi.ExplainRequest{Query: args[0]}
			if ownToken {
				if _, err := fmt.Fscan(c.InOrStdin(), &ask.Token); err != nil {
					return usage(c, errors.New("--token reads a token from standard input"))
				}
			} else {
				reply, err := b.Token(c.Context(), r)
				if err != nil {
					return err
				}
				ask.Token = reply.Token
				defer func() { _ = b.RevokeToken(c.Context(), reply.Token) }() // it ends within a minute anyway
			}
			x, err := b.Explain(c.Context(), ask)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), x)
			}
			return printExplanation(c.OutOrStdout(), x)
		})
	}
	return c
}

func printExplanation(w io.Writer, x interaction.Explanation) error {
	for i, p := range x.Parts {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, p.Conditions)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, c := range p.Clauses {
			used := "used"
			if !c.Used {
				used = "left to the recheck"
			}
			if c.Why != "" {
				used += ": " + c.Why
			}
			fmt.Fprintf(t, "  %s\t%s\t%d tokens\tabout %d resources\t%s\n", c.Parameter, c.Scope, c.Tokens, c.Estimate, used)
		}
		if err := t.Flush(); err != nil {
			return err
		}
		switch {
		case p.Scan:
			fmt.Fprintln(w, "  no clause selects: every resource of the type is rechecked, up to the bound")
		case p.Exact:
			fmt.Fprintln(w, "  exact: the index alone can count")
		}
		fmt.Fprintf(w, "  index entries read %d, resources rechecked %d, matched %d\n", p.IndexEntries, p.Candidates, p.Matches)
	}
	return nil
}
