package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/authz/office"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/internal/adminapi"
)

func newPolicy() *cobra.Command {
	c := &cobra.Command{Use: "policy", Short: "Check, explain and change the access policy",
		Long: "A policy is changed in versions: write a file, check it, see what it would change (diff, dry-run), apply it, and have " +
			"somebody else approve it where profile production asks for two persons.",
		Example: "  fieldseal policy show > policy.csv\n  fieldseal policy check policy.csv\n  fieldseal policy diff --data DIR policy.csv\n" +
			"  fieldseal policy apply --data DIR --reason 'project 17' policy.csv",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(newPolicyCheck(), newPolicyShow(), newPolicyHistory(), newPolicyDiff(), newPolicyExplain(), newPolicyDryRun(),
		newPolicyApply(), newPolicyApprove(), newPolicyDiscard(), newPolicyRollback())
	return c
}

// desk is what commands of the office have in common.
type desk struct {
	*offline
	account string
	asJSON  bool
}

func newDesk(c *cobra.Command) *desk {
	d := &desk{offline: newOffline(c)}
	c.Flags().StringVar(&d.account, "account", "", "`user:NAME` of the person who does this; profile production needs it")
	c.Flags().BoolVar(&d.asJSON, "json", false, "print JSON")
	return d
}

// ask runs an operation and prints its answer.
func ask[Out any](c *cobra.Command, d *desk, operation string, in any, show func(io.Writer, Out)) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return d.backend(c.Context(), func(b adminapi.Backend) error {
		raw, err := b.Office(c.Context(), adminapi.OfficeCall{Account: d.account, Operation: operation, Body: body})
		if err != nil {
			return err
		}
		var out Out
		if err := json.Unmarshal(raw, &out); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		if d.asJSON {
			return printJSON(c.OutOrStdout(), out)
		}
		show(c.OutOrStdout(), out)
		return nil
	})
}

// policySource are the flags that name a policy.
type policySource struct {
	version   uint64
	proposal  string
	overrides map[string]string
}

func (p *policySource) flags(c *cobra.Command) {
	c.Flags().Uint64Var(&p.version, "version", 0, "a version instead of a file")
	c.Flags().StringVar(&p.proposal, "proposal", "", "a proposal instead of a file")
	p.override(c)
}

func (p *policySource) override(c *cobra.Command) {
	c.Flags().StringToStringVar(&p.overrides, "override", nil, "golden decision that the policy may break, with the reason: `NAME=REASON`")
}

func (p *policySource) list() (out []policy.Override) {
	for name, reason := range p.overrides {
		out = append(out, policy.Override{Golden: name, Reason: reason})
	}
	return out
}

// source reads the policy that a command is about.
func (p *policySource) source(args []string) (office.Source, error) {
	s := office.Source{Version: p.version, Proposal: p.proposal}
	if len(args) > 0 {
		text, err := readPolicy(args[0])
		s.Text, s.Overrides = text, p.list()
		return s, err
	}
	return s, nil
}

// readPolicy reads a file, or standard input for "-".
func readPolicy(name string) (string, error) {
	if name == "-" {
		b, err := io.ReadAll(os.Stdin)
		return string(b), err
	}
	b, err := os.ReadFile(name)
	return string(b), err
}

func newPolicyCheck() *cobra.Command {
	var src policySource
	c := &cobra.Command{Use: "check FILE", Short: "Report all that keeps a policy file from being applied, with its line",
		Long:    "Read a policy file as apply does: faults, broken promises, lock-out, golden decisions; and rules that have no effect. Needs no data folder.",
		Example: "  fieldseal policy check policy.csv", Args: cobra.ExactArgs(1)}
	src.override(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		text, err := readPolicy(args[0])
		if err != nil {
			return err
		}
		d, warnings, err := policy.Review(policyOptions([]byte(text)), src.list())
		if err != nil {
			return err
		}
		for _, w := range warnings {
			fmt.Fprintf(c.OutOrStdout(), "warning: line %d %s\n", w.Line, w.Reason)
		}
		fmt.Fprintf(c.OutOrStdout(), "revision %s: roles %s\n", d.Revision(), strings.Join(d.Roles(), ", "))
		return nil
	}
	return c
}

func policyOptions(text []byte) policy.Options {
	reg := definition.Default()
	patient := reg.Compartment("Patient")
	return policy.Options{Policy: text, Types: reg.ResourceTypes(), PatientType: func(t string) bool { return patient.Params(t) != nil }}
}

func newPolicyShow() *cobra.Command {
	var in office.Source
	c := &cobra.Command{Use: "show", Short: "Print the policy in force, or without --data the built-in one",
		Example: "  fieldseal policy show > policy.csv\n  fieldseal policy show --data DIR --version 3", Args: cobra.NoArgs}
	d := newDesk(c)
	c.Flags().Uint64Var(&in.Version, "version", 0, "this version instead")
	c.Flags().StringVar(&in.Proposal, "proposal", "", "this proposal instead")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := d.settings.Load(os.Environ())
		if err != nil {
			return usage(c, err)
		}
		if cfg.Data == "" {
			_, err := c.OutOrStdout().Write(policy.Default())
			return err
		}
		return ask(c, d, "policy/show", in, func(w io.Writer, s office.Summary) { fmt.Fprint(w, s.Text) })
	}
	return c
}

func newPolicyHistory() *cobra.Command {
	c := &cobra.Command{Use: "history", Short: "List versions and proposals with author, approver and reason",
		Example: "  fieldseal policy history --data DIR", Args: cobra.NoArgs}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return ask(c, d, "policy/history", struct{}{}, printHistory) }
	return c
}

func newPolicyDiff() *cobra.Command {
	var src policySource
	var from uint64
	c := &cobra.Command{Use: "diff [FILE]", Short: "Say which role gains or loses what",
		Example: "  fieldseal policy diff --data DIR policy.csv\n  fieldseal policy diff --data DIR --from 2 --version 3", Args: cobra.MaximumNArgs(1)}
	d := newDesk(c)
	src.flags(c)
	c.Flags().Uint64Var(&from, "from", 0, "compare with this version (default: the one in force)")
	c.RunE = func(c *cobra.Command, args []string) error {
		to, err := src.source(args)
		if err != nil {
			return err
		}
		return ask(c, d, "policy/diff", office.DiffRequest{From: office.Source{Version: from}, To: to}, printDiff)
	}
	return c
}

func newPolicyExplain() *cobra.Command {
	var in office.ExplainRequest
	var src policySource
	c := &cobra.Command{Use: "explain TYPE ACTION [ID]", Short: "Say how a decision comes about",
		Long: "Explain what an account, or somebody with the roles of --role, may do: the verdict, the rules that have to do with it with their " +
			"lines, and what each condition says. With the id of a resource its compartments, organizations and labels count. Every use is audited.",
		Example: "  fieldseal policy explain --data DIR --role role:nurse Observation read\n" +
			"  fieldseal policy explain --data DIR --subject user:ann --purpose TREAT Patient read 5cbc121b", Args: cobra.RangeArgs(2, 3)}
	d := newDesk(c)
	c.Flags().Uint64Var(&src.version, "version", 0, "explain by this version (default: the one in force)")
	c.Flags().StringVar(&src.proposal, "proposal", "", "explain by this proposal")
	c.Flags().StringVar(&in.Account, "subject", "", "account to explain: `user:NAME or client:NAME`")
	c.Flags().StringSliceVar(&in.Roles, "role", nil, "`roles` instead of an account's")
	c.Flags().StringVar(&in.Purpose, "purpose", "", "purpose of use (default TREAT)")
	c.Flags().StringSliceVar(&in.Scopes, "scope", nil, "SMART `scopes` (default: the widest)")
	c.Flags().StringVar(&in.Patient, "patient", "", "logical `id` of the patient in context")
	c.Flags().StringVar(&in.Who, "who", "", "`reference` of the user, such as Practitioner/p1")
	c.Flags().StringVar(&in.BreakGlass, "break-glass", "", "as if the glass were broken for the patient with this logical `id`")
	c.Flags().StringVar(&in.Class, "class", "", "one element `class`")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if in.Policy, err = src.source(nil); err != nil {
			return err
		}
		if in.Type, in.Action = args[0], args[1]; len(args) > 2 {
			in.ID = args[2]
		}
		return ask(c, d, "policy/explain", in, printPolicyExplanation)
	}
	return c
}

func newPolicyDryRun() *cobra.Command {
	var in office.DryRunRequest
	var src policySource
	c := &cobra.Command{Use: "dry-run [FILE]", Short: "Replay recorded decisions against a policy and list what changes",
		Long: "Take what the audit trail recorded in the last days, judge each decision by the policy in force and by the draft, and list the differences. " +
			"Compartments, organizations and labels are those of today. With --as, what was done with one role is replayed as if it had been done with another.",
		Example: "  fieldseal policy dry-run --data DIR --days 30 policy.csv\n" +
			"  fieldseal policy dry-run --data DIR --as role:researcher=role:project-17 policy.csv", Args: cobra.MaximumNArgs(1)}
	d := newDesk(c)
	src.flags(c)
	c.Flags().IntVar(&in.Days, "days", 7, "how many days back")
	c.Flags().StringToStringVar(&in.As, "as", nil, "replay one role as another: `role:OLD=role:NEW`")
	c.RunE = func(c *cobra.Command, args []string) (err error) {
		if in.Policy, err = src.source(args); err != nil {
			return err
		}
		if in.Policy.Text == "" && in.Policy.Version == 0 && in.Policy.Proposal == "" {
			return usage(c, errors.New("name a draft: FILE, --version or --proposal"))
		}
		return ask(c, d, "policy/dry-run", in, printDryRun)
	}
	return c
}

func newPolicyApply() *cobra.Command {
	var src policySource
	var reason string
	c := &cobra.Command{Use: "apply FILE", Short: "Propose a policy, and activate it where no second person is needed",
		Example: "  fieldseal policy apply --data DIR --reason 'project 17 may see labs' policy.csv", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	src.override(c)
	c.Flags().StringVar(&reason, "reason", "", "why; it stands in the version and in the audit trail (no patient data)")
	c.RunE = func(c *cobra.Command, args []string) error {
		text, err := readPolicy(args[0])
		if err != nil {
			return err
		}
		if reason == "" {
			return usage(c, errReason)
		}
		return ask(c, d, "policy/apply", office.ApplyRequest{Text: text, Reason: reason, Overrides: src.list()}, printApplied)
	}
	return c
}

func newPolicyApprove() *cobra.Command {
	c := &cobra.Command{Use: "approve PROPOSAL", Short: "Activate a proposal, as another person than its author",
		Example: "  fieldseal policy approve --data DIR --account user:bob 3f21a6c0b1d4", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return ask(c, d, "policy/approve", office.ProposalRequest{Proposal: args[0]}, printApplied)
	}
	return c
}

func newPolicyDiscard() *cobra.Command {
	in := office.ProposalRequest{}
	c := &cobra.Command{Use: "discard PROPOSAL", Short: "Remove a proposal",
		Example: "  fieldseal policy discard --data DIR --reason 'a better one follows' 3f21a6c0b1d4", Args: cobra.ExactArgs(1)}
	d := newDesk(c)
	c.Flags().StringVar(&in.Reason, "reason", "", "why, for the audit trail")
	c.RunE = func(c *cobra.Command, args []string) error {
		if in.Proposal = args[0]; in.Reason == "" {
			return usage(c, errReason)
		}
		return ask(c, d, "policy/discard", in, func(w io.Writer, s office.Summary) { fmt.Fprintf(w, "proposal %s is gone\n", s.Proposal) })
	}
	return c
}

func newPolicyRollback() *cobra.Command {
	in := office.RollbackRequest{}
	c := &cobra.Command{Use: "rollback", Short: "Propose the text of an older version again",
		Example: "  fieldseal policy rollback --data DIR --version 2 --reason 'version 3 hid allergies'", Args: cobra.NoArgs}
	d := newDesk(c)
	c.Flags().Uint64Var(&in.Version, "version", 0, "the version to go back to")
	c.Flags().StringVar(&in.Reason, "reason", "", "why; it stands in the new version and in the audit trail")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if in.Version == 0 || in.Reason == "" {
			return usage(c, errors.New("give --version and --reason"))
		}
		return ask(c, d, "policy/rollback", in, printApplied)
	}
	return c
}
