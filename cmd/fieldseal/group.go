package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/office"
)

func newGroup() *cobra.Command {
	c := &cobra.Command{Use: "group", Short: "Look after groups of accounts",
		Long: "A group is there as soon as an account is its member or a rule of the policy names it. Its roles are those that the policy in force gives it; " +
			"accounts that join or leave lose their tokens and log in anew.",
		Example: "  fieldseal group add --data DIR --reason 'new on ward 3' group:ward-3 user:ann user:bob\n  fieldseal group list --data DIR",
		Args:    cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newGroupList(), newGroupShow(),
		newMembers("add", "Make accounts members of a group", "  fieldseal group add --data DIR --reason 'new on ward 3' group:ward-3 user:ann user:bob"),
		newMembers("remove", "Take accounts out of a group", "  fieldseal group remove --data DIR --reason 'moved' group:ward-3 user:ann"))
	return c
}

func newGroupList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List groups with their roles and how many members they have", Example: "  fieldseal group list --data DIR", Args: cobra.NoArgs}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return ask(c, d, "group/list", struct{}{}, func(w io.Writer, all []office.Group) {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, g := range all {
				fmt.Fprintf(t, "%s\t%s\t%d members\n", g.Name, rolesOf(g), len(g.Members)+len(g.Assigned))
			}
			_ = t.Flush() // standard output that is gone ends the command anyway
		})
	}
	return c
}

// rolesOf says so when the policy gives a group none: the name may be a mistake.
func rolesOf(g office.Group) string {
	if len(g.Roles) == 0 {
		return "no roles"
	}
	return strings.Join(g.Roles, " ")
}

func newGroupShow() *cobra.Command {
	c := &cobra.Command{Use: "show GROUP", Short: "Show a group's roles and members", Example: "  fieldseal group show --data DIR group:ward-3", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return ask(c, d, "group/show", office.GroupRequest{Group: args[0]}, func(w io.Writer, g office.Group) {
			fmt.Fprintf(w, "%s: %s\n", g.Name, rolesOf(g))
			for _, m := range g.Members {
				fmt.Fprintf(w, "  %s %s\n", m.Subject, ending(m.Disabled, m.Until))
			}
			for _, m := range g.Assigned {
				fmt.Fprintf(w, "  %s by the policy\n", m)
			}
		})
	}
	return c
}

func newMembers(verb, short, example string) *cobra.Command {
	in := office.MembersRequest{}
	c := &cobra.Command{Use: verb + " GROUP ACCOUNT…", Short: short, Example: example, Args: cobra.MinimumNArgs(2)}
	d := newDesk(c)
	c.Flags().StringVar(&in.Reason, "reason", "", "why, for the audit trail")
	c.RunE = func(c *cobra.Command, args []string) error {
		if in.Reason == "" {
			return usage(c, errReason)
		}
		in.Group, in.Accounts = args[0], args[1:]
		return ask(c, d, "group/"+verb, in, func(w io.Writer, changed []account.Account) {
			for _, a := range changed {
				fmt.Fprintf(w, "%s: groups %s\n", a.Subject, strings.Join(a.Groups, " "))
			}
		})
	}
	return c
}
