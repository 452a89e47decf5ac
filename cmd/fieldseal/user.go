package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/office"
)

func newUser() *cobra.Command {
	c := &cobra.Command{Use: "user", Short: "Look after accounts and delegations",
		Long: "Accounts are user:NAME and client:NAME. What an account may do is said by its roles, by its groups, and by the assignments of the policy. " +
			"A changed account loses its tokens: it logs in anew with what is in force then.",
		Example: "  fieldseal user create --data DIR --role role:nurse --link Practitioner/p1 --reason 'new on ward 3' user:ann\n  fieldseal user list --data DIR",
		Args:    cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newUserCreate(), newUserChange(), newUserShow(), newUserList(), newUserDelegate(), newUserUndelegate(),
		newUserBootstrap(), newUserInvite(), newUserReset(), newUserLogout(), newUserUnlock(), newUserFactors(),
		newUserLink(), newUserUnlink())
	return c
}

// lists are the flags of what an account has several of.
func lists(c *cobra.Command, l *office.Lists, prefix, what string) {
	c.Flags().StringSliceVar(&l.Roles, prefix+"role", nil, what+" `role:NAME`")
	c.Flags().StringSliceVar(&l.Groups, prefix+"group", nil, what+" `group:NAME`")
	c.Flags().StringSliceVar(&l.Links, prefix+"link", nil, what+" the `reference` of Practitioner, PractitionerRole, Patient, RelatedPerson or Device")
	c.Flags().StringSliceVar(&l.Orgs, prefix+"org", nil, what+" the logical `id` of an Organization")
}

func newUserCreate() *cobra.Command {
	var l office.Lists
	var reason, until string
	c := &cobra.Command{Use: "create ACCOUNT", Short: "Create an account",
		Example: "  fieldseal user create --data DIR --role role:nurse --group group:ward-3 --link Practitioner/p1 --reason 'new on ward 3' user:ann", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	lists(c, &l, "", "give")
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	c.Flags().StringVar(&until, "until", "", "`time` at which it ends, as 2027-01-31T00:00:00Z")
	c.RunE = func(c *cobra.Command, args []string) error {
		end, err := parseUntil(until)
		if err != nil || reason == "" {
			return usage(c, errors.Join(err, errReason))
		}
		return ask(c, d, "user/create", office.AccountRequest{Reason: reason, Account: account.Account{Subject: args[0],
			Roles: l.Roles, Groups: l.Groups, Links: l.Links, Orgs: l.Orgs, Until: end}}, printAccount)
	}
	return c
}

func parseUntil(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, errors.New("--until is a time such as 2027-01-31T00:00:00Z")
	}
	return t, nil
}

func newUserChange() *cobra.Command {
	in := office.ChangeRequest{}
	var disable, enable bool
	var until string
	c := &cobra.Command{Use: "change ACCOUNT", Short: "Give or take roles, groups, links and organizations; disable or enable",
		Example: "  fieldseal user change --data DIR --add-group group:ward-4 --remove-group group:ward-3 --reason 'moved' user:ann\n" +
			"  fieldseal user change --data DIR --disable --reason 'left' user:ann", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	lists(c, &in.Add, "add-", "give")
	lists(c, &in.Remove, "remove-", "take")
	c.Flags().StringVar(&in.Reason, "reason", "", "why, for the audit trail")
	c.Flags().BoolVar(&disable, "disable", false, "disable the account")
	c.Flags().BoolVar(&enable, "enable", false, "enable it again")
	c.Flags().StringVar(&until, "until", "", "`time` at which it ends, as 2027-01-31T00:00:00Z")
	c.MarkFlagsMutuallyExclusive("disable", "enable")
	c.RunE = func(c *cobra.Command, args []string) error {
		end, err := parseUntil(until)
		if err != nil || in.Reason == "" {
			return usage(c, errors.Join(err, errReason))
		}
		if in.Subject = args[0]; until != "" {
			in.Until = &end
		}
		if disable || enable {
			in.Disable = &disable
		}
		return ask(c, d, "user/change", in, printAccount)
	}
	return c
}

func newUserShow() *cobra.Command {
	c := &cobra.Command{Use: "show ACCOUNT", Short: "Show an account with its links and delegations",
		Example: "  fieldseal user show --data DIR user:ann", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return ask(c, d, "user/show", office.SubjectRequest{Subject: args[0]}, printAccount)
	}
	return c
}

func newUserList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List accounts with roles and groups", Example: "  fieldseal user list --data DIR", Args: cobra.NoArgs}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return ask(c, d, "user/list", struct{}{}, func(w io.Writer, all []office.Listed) {
			t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			for _, a := range all {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", a.Subject, strings.Join(a.Roles, " "), strings.Join(a.Groups, " "), ending(a.Disabled, a.Until))
			}
			_ = t.Flush() // standard output that is gone ends the command anyway
		})
	}
	return c
}

func ending(disabled bool, until time.Time) string {
	switch {
	case disabled:
		return "disabled"
	case !until.IsZero():
		return "until " + until.Format(time.RFC3339)
	}
	return ""
}

func printAccount(w io.Writer, a account.Account) {
	fmt.Fprintf(w, "%s %s\n  roles   %s\n  groups  %s\n  links   %s\n  orgs    %s\n", a.Subject, ending(a.Disabled, a.Until),
		strings.Join(a.Roles, " "), strings.Join(a.Groups, " "), strings.Join(a.Links, " "), strings.Join(a.Orgs, " "))
	for _, i := range a.Identities {
		fmt.Fprintf(w, "  at      %s is %q\n", i.Issuer, i.Subject)
	}
	for _, d := range a.Delegations {
		state := "until " + d.Until.Format(time.RFC3339)
		if !d.Revoked.IsZero() {
			state = "revoked " + d.Revoked.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "  proxy %s of Patient/%s: %s, %s, by %s: %s\n", d.ID, d.Patient, strings.Join(d.Scopes, " "), state, d.By, d.Reason)
	}
}

func newUserDelegate() *cobra.Command {
	in := office.DelegateRequest{}
	var until string
	c := &cobra.Command{Use: "delegate ACCOUNT PATIENT-ID", Short: "Let a related person read for a patient, within scopes and until an end",
		Example: "  fieldseal user delegate --data DIR --scope patient/Observation.rs --until 2027-01-31T00:00:00Z --reason custody user:parent p1", Args: cobra.ExactArgs(2)}
	d := newDesk(c)
	c.Flags().StringSliceVar(&in.Scopes, "scope", []string{"patient/*.rs"}, "SMART `scopes` at most")
	c.Flags().StringVar(&until, "until", "", "`time` at which it ends, as 2027-01-31T00:00:00Z")
	c.Flags().StringVar(&in.Reason, "reason", "", "why, for the record and the audit trail")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		in.Subject, in.Patient = args[0], args[1]
		if in.Until, err = parseUntil(until); err != nil || until == "" || in.Reason == "" {
			return usage(c, errors.Join(err, errors.New("--until and --reason are needed")))
		}
		return ask(c, d, "user/delegate", in, printDelegation)
	}
	return c
}

func printDelegation(w io.Writer, d account.Delegation) {
	if !d.Revoked.IsZero() {
		fmt.Fprintf(w, "delegation %s ended\n", d.ID)
		return
	}
	fmt.Fprintf(w, "delegation %s: %s until %s\n", d.ID, strings.Join(d.Scopes, " "), d.Until.Format(time.RFC3339))
}

func newUserUndelegate() *cobra.Command {
	in := office.UndelegateRequest{}
	c := &cobra.Command{Use: "undelegate ACCOUNT DELEGATION", Short: "End a delegation now, with all tokens of the account",
		Example: "  fieldseal user undelegate --data DIR --reason 'custody ended' user:parent 3f21a6c0b1d4", Args: cobra.ExactArgs(2)}
	d := newDesk(c)
	c.Flags().StringVar(&in.Reason, "reason", "", "why, for the audit trail")
	c.RunE = func(c *cobra.Command, args []string) error {
		if in.Subject, in.Delegation = args[0], args[1]; in.Reason == "" {
			return usage(c, errReason)
		}
		return ask(c, d, "user/undelegate", in, printDelegation)
	}
	return c
}
