package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/authz/login"
	"github.com/fieldseal/fieldseal/authz/office"
)

func newUserBootstrap() *cobra.Command {
	in := office.BootstrapRequest{}
	c := &cobra.Command{Use: "bootstrap ACCOUNT", Short: "Make the first administrator, and a link on which to set the password",
		Long: "Make the account of the first administrator and print a link that leads to a page on which the password and a second factor are set. " +
			"The link works once and for 24 hours. The command works at the machine of the server only, and until an administrator has a password; again before that, it makes a new link. While no server runs, --base-url says what the link begins with.",
		Example: "  fieldseal user bootstrap --data DIR user:ann\n" +
			"  fieldseal user bootstrap --data DIR --base-url https://fhir.example.org/fhir user:ann", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	c.Flags().StringSliceVar(&in.Roles, "role", []string{"role:security-officer", "role:admin"}, "`role:NAME` of the account; one must administer the policy")
	c.RunE = func(c *cobra.Command, args []string) error {
		in.Subject = args[0]
		return ask(c, d, "user/bootstrap", in, printInvitation)
	}
	return c
}

// printInvitation prints a secret: whoever opens the link sets the password.
func printInvitation(w io.Writer, in office.Invitation) {
	fmt.Fprintf(w, "%s\nfor %s, once, until %s; hand it over on a way that nobody else reads\n", in.Link, in.Subject, in.Expires.Format(time.RFC3339))
}

// newPerson is a command about the credentials of one account.
func newPerson[Out any](operation, use, short, long, example string, show func(io.Writer, Out)) *cobra.Command {
	in := office.PersonRequest{}
	c := &cobra.Command{Use: use, Short: short, Long: long, Example: example, Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	c.Flags().StringVar(&in.Reason, "reason", "", "why, for the audit trail")
	c.RunE = func(c *cobra.Command, args []string) error {
		if in.Subject = args[0]; in.Reason == "" {
			return usage(c, errReason)
		}
		return ask(c, d, operation, in, show)
	}
	return c
}

func newUserInvite() *cobra.Command {
	return newPerson("user/invite", "invite ACCOUNT", "Make a one-time link on which a person sets a password",
		"Make a link, good once and for 24 hours; links before are void. Enrolled second factors stay and are asked for: a forgotten password needs this, a lost factor needs reset.",
		"  fieldseal user invite --data DIR --reason 'new on ward 3' user:ann", printInvitation)
}

func newUserReset() *cobra.Command {
	return newPerson("user/reset", "reset ACCOUNT", "Take password and factors of a person, end sessions, tokens and what apps were given, and make a new link",
		"For a lost or stolen second factor. Make sure first who asks: whoever has the link is the account.",
		"  fieldseal user reset --data DIR --reason 'phone lost, seen in person' user:ann", printInvitation)
}

func newUserLogout() *cobra.Command {
	return newPerson("user/logout", "logout ACCOUNT", "End all sessions and tokens of an account, and what it gave to apps", "",
		"  fieldseal user logout --data DIR --reason 'left a terminal open' user:ann", printDone)
}

func newUserUnlock() *cobra.Command {
	return newPerson("user/unlock", "unlock ACCOUNT", "Forget failed attempts to log in", "Delays end by themselves within 15 minutes.",
		"  fieldseal user unlock --data DIR --reason 'called the desk' user:ann", printDone)
}

func printDone(w io.Writer, in office.SubjectRequest) { fmt.Fprintf(w, "done for %s\n", in.Subject) }

func newUserFactors() *cobra.Command {
	c := &cobra.Command{Use: "factors ACCOUNT", Short: "Show what a person has enrolled, without any secret",
		Example: "  fieldseal user factors --data DIR user:ann", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return ask(c, d, "user/factors", office.SubjectRequest{Subject: args[0]}, printFactors)
	}
	return c
}

func printFactors(w io.Writer, f login.Factors) {
	yes := map[bool]string{true: "yes", false: "no"}
	fmt.Fprintf(w, "password        %s\nauthenticator   %s\nrecovery codes  %d\n", yes[f.Password], yes[f.TOTP], f.RecoveryLeft)
	for _, k := range f.Passkeys {
		used := "never used"
		if !k.Used.IsZero() {
			used = "last used " + k.Used.Format(time.DateOnly)
		}
		fmt.Fprintf(w, "passkey         %s, since %s, %s\n", strings.TrimSpace(k.Name), k.Created.Format(time.DateOnly), used)
	}
	if !f.Invited.IsZero() {
		fmt.Fprintf(w, "open link       until %s\n", f.Invited.Format(time.RFC3339))
	}
}
