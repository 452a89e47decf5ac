package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/fieldseal/fieldseal/authz/office"
	"github.com/fieldseal/fieldseal/authz/policy"
)

func printHistory(w io.Writer, h office.History) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range h.Versions {
		mark := ""
		if v.Active {
			mark = "in force"
		}
		fmt.Fprintf(t, "version %d\t%s\t%s\tauthor %s\tapprover %s\t%s\n", v.Version, mark, v.Time.Format(time.RFC3339), v.Author, v.Approver, v.Reason)
	}
	for _, p := range h.Proposals {
		fmt.Fprintf(t, "proposal %s\twaits\t%s\tauthor %s\t\t%s\n", p.Proposal, p.Time.Format(time.RFC3339), p.Author, p.Reason)
	}
	_ = t.Flush() // standard output that is gone ends the command anyway
	if h.Trouble != "" {
		fmt.Fprintln(w, "trouble:", h.Trouble)
	}
}

func printDiff(w io.Writer, d office.DiffReply) {
	fmt.Fprintf(w, "from %s to %s:\n", d.From, d.To)
	printChanges(w, d.Changes)
}

func printChanges(w io.Writer, changes []string) {
	if len(changes) == 0 {
		fmt.Fprintln(w, "  no difference")
	}
	for _, c := range changes {
		fmt.Fprintln(w, "  "+c)
	}
}

func printApplied(w io.Writer, a office.Applied) {
	for _, s := range a.Warnings {
		fmt.Fprintln(w, "warning:", s)
	}
	if len(a.Changes) > 0 {
		printChanges(w, a.Changes)
	}
	if a.Version == 0 {
		fmt.Fprintf(w, "proposal %s (revision %s) waits for another person: fieldseal policy approve %s\n", a.Proposal, a.Revision, a.Proposal)
		return
	}
	fmt.Fprintf(w, "version %d (revision %s) is in force\n", a.Version, a.Revision)
}

func printDryRun(w io.Writer, r office.DryRunReply) {
	fmt.Fprintf(w, "%d decisions since %s judged by %s: %d the same", r.Decisions, r.Since.Format(time.RFC3339), r.Policy, r.Same)
	if r.Untold > 0 {
		fmt.Fprintf(w, ", %d more cannot be told", r.Untold)
	}
	fmt.Fprintln(w)
	for _, c := range r.Changes {
		var what []string
		if c.Becomes != "" {
			what = append(what, "become "+c.Becomes)
		}
		if len(c.Gains) > 0 {
			what = append(what, "gain "+strings.Join(c.Gains, ", "))
		}
		if len(c.Loses) > 0 {
			what = append(what, "lose "+strings.Join(c.Loses, ", "))
		}
		fmt.Fprintf(w, "  %d of %s: %s %s for %s: %s\n", c.Decisions, c.Roles, c.Action, c.Type, c.Purpose, strings.Join(what, "; "))
	}
	if r.Cut {
		fmt.Fprintln(w, "  there were more: replay fewer days")
	}
}

func printPolicyExplanation(w io.Writer, x policy.Explanation) {
	fmt.Fprintf(w, "%s: %s for %s with %s (revision %s)\n", strings.ToUpper(string(x.Verdict)), x.Request, x.Purpose, strings.Join(x.Roles, ", "), x.Revision)
	fmt.Fprintf(w, "  scopes   %s\n  visible  %s\n  hidden   %s\n", x.Scopes, orNone(x.Visible), orNone(x.Hidden))
	for _, r := range x.Rows {
		fmt.Fprintf(w, "  line %d, %s: %s\n", r.Line, said(r.Applies, "applies", "does not apply", "depends on the resource"), r.Text)
	}
	for _, b := range x.Predicates {
		fmt.Fprintf(w, "  %s %s: %s\n", b.Predicate, said(b.Holds, "holds", "fails", "open"), b.Reason)
	}
	for _, r := range x.Reasons {
		fmt.Fprintf(w, "  %s, %s: %s\n", r.Source, r.Effect, r.Text)
	}
}

// said is the word for what is so, is not, or cannot be said yet.
func said(is *bool, yes, no, open string) string {
	switch {
	case is == nil:
		return open
	case *is:
		return yes
	}
	return no
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
