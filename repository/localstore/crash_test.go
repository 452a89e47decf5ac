package localstore_test

import (
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/repositorytest"
)

// crashDir, when set, makes the test binary the process that gets killed.
const crashDir = "FIELDSEAL_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		os.Exit(crashChild(dir))
	}
	os.Exit(m.Run())
}

func crashOptions(dir string) localstore.Options {
	return localstore.Options{Dir: dir, Ballast: -1, MemTable: 1 << 20}
}

// TestKilledProcessKeepsEveryAcknowledgedWrite runs 15 cycles, or 200 when
// FIELDSEAL_LONG is set.
func TestKilledProcessKeepsEveryAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	cycles := 15
	switch {
	case os.Getenv("FIELDSEAL_LONG") != "":
		cycles = 200
	case testing.Short():
		cycles = 5
	}
	dir := t.TempDir()
	repositorytest.TestCrash(t, repositorytest.Crash{
		Cycles: cycles,
		Child: func(t *testing.T) *exec.Cmd {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), crashDir+"="+dir)
			return cmd
		},
		Open: func(t *testing.T) (repositorytest.Opened, io.Closer) {
			s, err := localstore.Open(t.Context(), crashOptions(dir))
			if err != nil {
				t.Fatalf("Open after a kill: %v", err)
			}
			return repositorytest.Opened{Store: s, Purger: s, Table: s.Table}, s
		},
	})
}
