package suite

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// databaseVariable names a program that serves MongoDB's protocol and takes
// the arguments --host, --port, --storage-path and --sync-on-commit.
const databaseVariable = "FIELDSEAL_TEST_MONGODB_SERVER"

// database is a database process of a test.
type database struct {
	dir     string // its files
	address string // kept over restarts
	cmd     *exec.Cmd
}

// startDatabase runs an empty one until the test ends.
func startDatabase(t testing.TB) *database {
	t.Helper()
	if os.Getenv(databaseVariable) == "" {
		t.Skip(databaseVariable + " names no program; .ci/run mongodb installs one")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &database{dir: filepath.Join(t.TempDir(), "db"), address: l.Addr().String()}
	l.Close()
	d.start(t)
	t.Cleanup(func() { d.kill() })
	return d
}

// uri leads to a database by name.
func (d *database) uri(name string) string {
	return "mongodb://" + d.address + "/" + name + "?directConnection=true"
}

func (d *database) start(t testing.TB) {
	t.Helper()
	host, port, _ := net.SplitHostPort(d.address)
	d.cmd = exec.Command(os.Getenv(databaseVariable), "--host", host, "--port", port, "--storage-path", d.dir, "--sync-on-commit")
	d.cmd.Dir = filepath.Dir(d.dir) // it looks for a configuration file in its folder
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if c, err := net.DialTimeout("tcp", d.address, time.Second); err == nil {
			c.Close()
			return
		}
	}
	t.Fatal("the database does not listen")
}

// kill is kill -9, and waits until the process is gone.
func (d *database) kill() {
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
}

// onDatabase are the arguments by which a server that was moved from a data
// folder goes on with that folder's root key and trail.
func onDatabase(dir, uri string) []string {
	return []string{"--store", uri, "--kek-file", filepath.Join(dir, "kek"), "--node", "n1"}
}
