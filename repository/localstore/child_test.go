package localstore_test

import (
	"context"
	"fmt"
	"os"

	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/repositorytest"
)

// crashChild runs in the killed process; what it prints to stderr fails the
// test.
func crashChild(dir string) int {
	s, err := localstore.Open(context.Background(), crashOptions(dir))
	if err == nil {
		o := repositorytest.Opened{Store: s, Purger: s, Table: s.Table}
		err = repositorytest.CrashChild(context.Background(), o, os.Stdout)
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
