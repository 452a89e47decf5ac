package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

func newPolicy() *cobra.Command {
	c := &cobra.Command{Use: "policy", Short: "Check and show access policies", Example: "  fieldseal policy check policy.csv",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	check := &cobra.Command{Use: "check FILE", Short: "Report every fault of a policy file with its line",
		Example: "  fieldseal policy check policy.csv", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			d, err := policy.New(policyOptions(text))
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "revision %s: roles %s\n", d.Revision(), strings.Join(d.Roles(), ", "))
			return nil
		}}
	show := &cobra.Command{Use: "show", Short: "Print the built-in policy, as a start for one's own",
		Example: "  fieldseal policy show > policy.csv", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(policy.Default())
			return err
		}}
	c.AddCommand(check, show)
	return c
}

func policyOptions(text []byte) policy.Options {
	reg := definition.Default()
	patient := reg.Compartment("Patient")
	return policy.Options{Policy: text, Types: reg.ResourceTypes(), PatientType: func(t string) bool { return patient.Params(t) != nil }}
}
