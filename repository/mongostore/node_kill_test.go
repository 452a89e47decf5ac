package mongostore_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
	"github.com/fieldseal/fieldseal/repository/repositorytest"
)

// nodeURI and nodeDatabase, when set, make the test binary a node that gets
// killed.
const (
	nodeURI      = "FIELDSEAL_TEST_NODE_URI"
	nodeDatabase = "FIELDSEAL_TEST_NODE_DATABASE"
)

// nodeOptions wait longer than a server keeps a transaction whose client is
// gone (MongoDB: transactionLifetimeLimitSeconds, 60 s).
func nodeOptions(uri, database string) mongostore.Options {
	return mongostore.Options{URI: uri, Database: database, Timeout: 3 * time.Minute}
}

// runNode runs in the process that is killed; what it prints to stderr fails
// the test.
func runNode() int {
	ctx := context.Background()
	s, err := mongostore.Open(ctx, nodeOptions(os.Getenv(nodeURI), os.Getenv(nodeDatabase)))
	if err == nil {
		err = repositorytest.CrashChild(ctx, repositorytest.Opened{Store: s, Purger: s, Table: s.Table}, os.Stdout)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// TestKilledNodeLeavesNoHalfTransaction kills node processes with SIGKILL in
// the middle of their groups, while another node writes: what was acknowledged
// is there, what was not is there whole or not at all, the feed has no gap, and
// the survivor goes on.
//
// What a killed node had open holds the others up until the server ends it. The
// test does not wait for that where it has a server of its own: it ends all
// sessions, as an operator may, those of the survivor too.
func TestKilledNodeLeavesNoHalfTransaction(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	own := os.Getenv(mongotest.ServerVariable) != ""
	if own {
		o.URI = mongotest.New(t).URI()
	}
	o = nodeOptions(o.URI, o.Database)
	cycles := 4
	if os.Getenv("FIELDSEAL_LONG") != "" {
		cycles = 100
	}
	survivor := open(t, o)
	stop := make(chan struct{})
	var acked acknowledged
	var writing sync.WaitGroup
	writing.Go(func() { acked.write(t, survivor, 1, stop) })
	repositorytest.TestCrash(t, repositorytest.Crash{
		Cycles: cycles,
		Child: func(*testing.T) *exec.Cmd {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), nodeURI+"="+o.URI, nodeDatabase+"="+o.Database)
			return cmd
		},
		Open: func(t *testing.T) (repositorytest.Opened, io.Closer) {
			s := open(t, o)
			if own {
				mongostore.EndSessions(t, s)
			}
			return repositorytest.Opened{Store: s, Purger: s, Table: s.Table}, s
		},
	})
	acked.waitForMore(t)
	close(stop)
	writing.Wait()
	for _, n := range acked.pairs() {
		wantPair(t, survivor, n)
	}
	t.Logf("%d batches of the survivor", len(acked.pairs()))
}
