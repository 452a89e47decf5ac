package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/conformance/testscript"
)

// testTokenVariable holds the bearer token for test runs.
const testTokenVariable = "FIELDSEAL_TEST_TOKEN"

func newTestscript() *cobra.Command {
	var base, token, junit string
	var variables []string
	c := &cobra.Command{Use: "testscript PATH...", Short: "Run FHIR TestScripts against a server",
		Long: `Run FHIR R4 TestScript resources (JSON files, or folders with them) against
any FHIR server and print what each setup, test and teardown came to. The tests
write to that server and delete: use one that holds no real data. Scripts name
their fixtures relative to their own folder. The bearer token comes from
` + testTokenVariable + ` or --token. Exits with 1 when a test fails.`,
		Example: "  fieldseal testscript --base http://127.0.0.1:8080/fhir --var family=Chalmers scripts/",
		Args:    cobra.MinimumNArgs(1)}
	c.Flags().StringVar(&base, "base", "", "FHIR base `URL` of the server")
	c.Flags().StringVar(&token, "token", "", "bearer token; other users of the machine can see it in the list of processes")
	c.Flags().StringVar(&junit, "junit", "", "also write JUnit XML to this `file`")
	c.Flags().StringArrayVar(&variables, "var", nil, "value of a variable, `NAME=VALUE`; may be repeated")
	c.RunE = func(c *cobra.Command, paths []string) error {
		if base == "" {
			return usage(c, errors.New("--base is needed"))
		}
		if token == "" {
			token = os.Getenv(testTokenVariable)
		}
		values := map[string]string{}
		for _, v := range variables {
			name, value, ok := strings.Cut(v, "=")
			if !ok || name == "" {
				return usage(c, errors.New("--var: want NAME=VALUE"))
			}
			values[name] = value
		}
		scripts, err := testscript.Load(paths...)
		if err != nil {
			return fmt.Errorf("reading scripts: %w", err)
		}
		r := &testscript.Runner{Base: base, Token: token, Variables: values, Scripts: scripts}
		return runScripts(c, r, junit)
	}
	return c
}

func runScripts(c *cobra.Command, r *testscript.Runner, junit string) error {
	var results []testscript.Result
	failed := 0
	for _, s := range r.Scripts {
		result := r.Run(c.Context(), s)
		if result.Verdict == testscript.Fail || result.Verdict == testscript.Error {
			failed++
		}
		results = append(results, result)
	}
	if junit != "" {
		f, err := os.Create(junit)
		if err != nil {
			return err
		}
		if err := errors.Join(testscript.JUnit(f, results), f.Close()); err != nil {
			return fmt.Errorf("writing JUnit XML: %w", err)
		}
	}
	if err := testscript.Table(c.OutOrStdout(), results); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d scripts failed", failed, len(results))
	}
	return nil
}
