package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// every visits a command and all below it.
func every(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		every(sub, visit)
	}
}

// TestEveryCommandHasHelpWithAnExample: what a user needs first. An example
// must be a call that the command takes.
func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	t.Parallel()
	seen := 0
	every(newRoot(), func(c *cobra.Command) {
		seen++
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s: no short text or no example", c.CommandPath())
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: its example calls another command: %s", c.CommandPath(), c.Example)
		}
		for line := range strings.Lines(c.Example) {
			checkExample(t, c, strings.TrimSpace(line))
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s: no text", c.CommandPath(), f.Name)
			}
		})
	})
	if seen < 20 {
		t.Errorf("only %d commands", seen)
	}
}

// checkExample parses the flags of the fieldseal call in a line and counts its
// arguments.
func checkExample(t *testing.T, c *cobra.Command, line string) {
	t.Helper()
	if i := strings.Index(line, "fieldseal "); i > 0 { // behind a pipe
		line = line[i:]
	}
	words := shellWords(line)
	if len(words) == 0 || words[0] != "fieldseal" {
		return
	}
	root := newRoot()
	found, rest, err := root.Find(words[1:])
	if err != nil {
		t.Errorf("%s: %q: %v", c.CommandPath(), line, err)
		return
	}
	if err := found.ParseFlags(rest); err != nil {
		t.Errorf("%s: %q: %v", c.CommandPath(), line, err)
		return
	}
	if found.Args == nil {
		return
	}
	if err := found.Args(found, found.Flags().Args()); err != nil {
		t.Errorf("%s: %q: %v", c.CommandPath(), line, err)
	}
}

// shellWords splits at spaces outside of quotes, up to a redirection or pipe.
func shellWords(line string) (words []string) {
	word, quote, open := "", rune(0), false
	for _, r := range line + " " {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, open = r, true
		case quote == 0 && r == ' ':
			if open {
				words = append(words, word)
			}
			word, open = "", false
		default:
			word, open = word+string(r), true
		}
	}
	if i := slices.IndexFunc(words, func(w string) bool { return strings.ContainsAny(w[:min(1, len(w))], "<>|") }); i >= 0 {
		words = words[:i]
	}
	return words
}

// TestHelpOfEveryCommandExitsWithZero runs each --help.
func TestHelpOfEveryCommandExitsWithZero(t *testing.T) {
	silence(t)
	every(newRoot(), func(c *cobra.Command) {
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		if code := run(t.Context(), args); code != 0 {
			t.Errorf("%v: exit code %d", args, code)
		}
	})
}

// TestWrongUsageOfEveryCommandExitsWithTwo: an unknown flag, and too many
// arguments.
func TestWrongUsageOfEveryCommandExitsWithTwo(t *testing.T) {
	silence(t)
	every(newRoot(), func(c *cobra.Command) {
		path := strings.Fields(c.CommandPath())[1:]
		if code := run(t.Context(), append(slices.Clone(path), "--no-such-flag")); code != 2 {
			t.Errorf("%v with an unknown flag: exit code %d", path, code)
		}
		if c.Args == nil {
			t.Errorf("%v takes any arguments", path)
			return
		}
		if c.Args(c, []string{"a", "b", "c", "d"}) == nil {
			return // takes as many as come, such as import's files
		}
		if code := run(t.Context(), append(slices.Clone(path), "a", "b", "c", "d")); code != 2 {
			t.Errorf("%v with four arguments: exit code %d", path, code)
		}
	})
}

func TestWrongUsage(t *testing.T) {
	silence(t)
	dir := t.TempDir()
	for _, row := range []struct {
		args []string
		want int
	}{
		{[]string{"no-such-command"}, 2},
		{[]string{"audit", "verify"}, 2},                       // no --data
		{[]string{"keys", "status"}, 2},                        // no --data
		{[]string{"erase", "--data", dir, "p1"}, 2},            // no --yes
		{[]string{"erase", "--data", dir, "--yes", "p1"}, 2},   // no --reason
		{[]string{"erase", "hold", "--data", dir, "p1"}, 2},    // no --reason
		{[]string{"serve", "--listen", "nowhere"}, 2},          // no address
		{[]string{"config", "check", "--profile", "other"}, 1}, // a check that fails is no wrong usage
		{[]string{"keys", "status", "--data", dir + "/none"}, 1},
		{[]string{"version"}, 0},
	} {
		if code := run(t.Context(), row.args); code != row.want {
			t.Errorf("fieldseal %v: exit code %d, want %d", row.args, code, row.want)
		}
	}
}

// silence sends what commands print nowhere.
func silence(t *testing.T) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, errs := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = null, null
	t.Cleanup(func() { os.Stdout, os.Stderr = out, errs; _ = null.Close() })
}
