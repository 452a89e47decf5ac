package suite

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

// binary is the built cmd/fieldseal; scratch the folder of everything that
// outlives one test.
var binary, scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "fieldseal-suite-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(scratch, "fieldseal")
	args := []string{"build", "-o", binary}
	if os.Getenv("FIELDSEAL_RACE") == "1" { // a race makes the server exit with 66
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "../../cmd/fieldseal")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building cmd/fieldseal: %v\n%s", err, out)
		os.RemoveAll(scratch)
		os.Exit(1)
	}
	code := runOn(m)
	stopShared()
	os.RemoveAll(scratch)
	os.Exit(code)
}

// long reports whether the long forms of tests were asked for.
func long() bool { return os.Getenv("FIELDSEAL_LONG") == "1" }

func sharedFolder() string   { return filepath.Join(scratch, "shared") }
func templateFolder() string { return filepath.Join(scratch, "template") }

// template is a demo data folder: loaded once, stopped cleanly, then copied
// for every server that needs its own.
var template = sync.OnceValues(func() (string, error) {
	dir := templateFolder()
	s, err := launch(dir, nil)
	if err != nil {
		return "", fmt.Errorf("loading the demo data: %w", err)
	}
	return dir, s.terminate()
})

// demoData returns a fresh copy of the demo data folder.
func demoData(t testing.TB) string {
	t.Helper()
	dir := folder(t)
	copyDemo(t, dir)
	return dir
}

// folder names a data folder that does not exist yet. Its path is short: a
// unix socket's may not be longer than 107 bytes.
func folder(t testing.TB) string {
	t.Helper()
	parent, err := os.MkdirTemp(scratch, "")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "data")
	t.Cleanup(func() {
		_ = os.RemoveAll(parent)
		// A killed server's transaction may hold on to one; it harms nobody.
		_ = mongotest.Drop(database, databaseNames(dir)...)
	})
	return dir
}

func copyDemo(t testing.TB, dir string) {
	t.Helper()
	from, err := template()
	if err == nil {
		err = copyTree(from, dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	copyDatabases(t, from, dir)
}

// copyTree copies files with their modes, as a backup would.
func copyTree(from, to string) error {
	out, err := exec.Command("cp", "-a", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copying %s: %w: %s", from, err, out)
	}
	return nil
}

var sharedServer struct {
	sync.Mutex
	s *server
}

// shared is one server for all tests that neither stop it nor depend on what
// others wrote.
func shared(t testing.TB) *server {
	t.Helper()
	sharedServer.Lock()
	defer sharedServer.Unlock()
	if sharedServer.s == nil {
		dir := sharedFolder()
		copyDemo(t, dir)
		var err error
		if sharedServer.s, err = launch(dir, nil); err != nil {
			t.Fatalf("the shared server: %v", err)
		}
	}
	return sharedServer.s
}

func stopShared() {
	if sharedServer.s != nil {
		sharedServer.s.kill()
	}
}

// command runs the binary to its end and returns its exit code and output.
func command(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return commandInput(t, nil, args...)
}

func commandInput(t testing.TB, in *os.File, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, binary, args...)
	var out, errs capture
	c.Stdin, c.Stdout, c.Stderr = in, &out, &errs
	c.Env = environment(args)
	err := c.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatalf("fieldseal %v: %v", args, err)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}
