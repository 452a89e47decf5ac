package suite

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

// engineVariable makes every server of the suite keep its data in a database of
// its own when it is "mongodb". The server is the one of mongotest.
const engineVariable = "FIELDSEAL_SUITE_ENGINE"

// database is the URI of the MongoDB server that the servers of the suite use,
// empty with the embedded engine.
var database string

func onMongoDB() bool { return os.Getenv(engineVariable) == "mongodb" }

// embeddedOnly are tests of the embedded engine's files, and why.
var embeddedOnly = map[string]string{
	"TestRestoreDrill":          "MongoDB has a drill of its own",
	"TestRestoreDrillOnMongoDB": "it has databases of its own",
	"TestBackupUsage":           "MongoDB has tools of its own",
	"TestMoveToMongoDBAndBack":  "it begins with a folder",
	"TestMigrateUsage":          "it names folders",
}

// runOn runs the tests on the engine that was asked for.
func runOn(m *testing.M) int {
	if !onMongoDB() {
		return m.Run()
	}
	flag.Parse()
	if flag.Lookup("test.skip").Value.String() == "" {
		names := slices.Sorted(maps.Keys(embeddedOnly))
		for _, name := range names {
			fmt.Fprintf(os.Stderr, "not run on MongoDB: %s: %s\n", name, embeddedOnly[name])
		}
		if err := flag.Set("test.skip", "^("+strings.Join(names, "|")+")$"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return mongotest.Run(func() int {
		if database == "" {
			fmt.Fprintln(os.Stderr, engineVariable+" is set, but neither "+mongotest.ServerVariable+" nor "+mongotest.URIVariable)
			return 1
		}
		return m.Run()
	}, &database)
}

// rootKey is the root key of all servers on MongoDB: none is made at start.
var rootKey = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "kek")
	out, err := exec.Command(binary, "keys", "create", path).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("making a root key: %w: %s", err, out)
	}
	return path, nil
})

// databaseOf is the URI of a data folder's own database at a server.
func databaseOf(server, dir string) string {
	sum := sha256.Sum256([]byte(dir))
	u, err := url.Parse(server)
	if err != nil {
		panic(err)
	}
	u.Path = "/test_" + hex.EncodeToString(sum[:8])
	return u.String()
}

// environment is what a process with these arguments gets: on MongoDB the
// database of its data folder.
func environment(args []string) []string {
	env := cleanEnv()
	dir := dataFolder(args)
	if database == "" || dir == "" {
		return env
	}
	env = append(env, "FIELDSEAL_STORE="+databaseOf(database, dir))
	if !slices.Contains(args, "--kms") {
		key, err := rootKey()
		if err != nil {
			panic(err)
		}
		env = append(env, "FIELDSEAL_KEK_FILE="+key)
	}
	return env
}

// dataFolder is the value of --data among arguments.
func dataFolder(args []string) string {
	if i := slices.Index(args, "--data"); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}

// spawnCommand is the binary with arguments, not started yet.
func spawnCommand(args ...string) *exec.Cmd {
	c := exec.Command(binary, args...)
	c.Env = environment(args)
	return c
}
