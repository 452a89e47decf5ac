// Command fieldseal is the Fieldseal server and its tools: one binary, one
// subcommand per file. Run "fieldseal --help".
//
// Exit codes: 0 done, 1 failed, 2 wrong usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// errUsage marks errors that exit with 2.
var errUsage = errors.New("wrong usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "fieldseal: %v\nRun the command with --help for its usage.\n", err)
		return 2
	}
	fmt.Fprintf(os.Stderr, "fieldseal: %v\n", err)
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "fieldseal",
		Short:         "A FHIR R4 data service that seals every sensitive element",
		Example:       "  fieldseal serve --demo\n  fieldseal audit verify --data DIR",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.AddCommand(newServe(), newImport(), newToken(), newClient(), newKeys(), newErase(), newBreakGlass(), newAudit(), newPolicy(), newUser(), newGroup(), newSearch(), newTestscript(), newReindex(), newMigrate(), newBackup(), newFHIRPath(), newConfig(), newHealthcheck(), newVersion())
	root.SetFlagErrorFunc(usage)
	wrapArgs(root)
	return root
}

// usage marks a flag error as wrong usage.
func usage(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) }

// wrapArgs makes wrong arguments of every command wrong usage.
func wrapArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usage(c, err)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}
