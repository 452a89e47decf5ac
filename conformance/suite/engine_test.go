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

// embeddedOnly are tests of what only the embedded engine has, and why.
var embeddedOnly = map[string]string{
	"TestErasedPatientStaysUnreadableAfterAnOlderBackup": "copies the folder of the store",
	"TestErasureWorksOfflineAndLeavesNoTraceInFiles":     "scans the folders of store and keystore",
	"TestDamagedDataFileIsReportedAndNotServed":          "damages files of the store",
	"TestDamagedLogLosesNoWriteSilently":                 "damages files of the store",
	"TestFullDiskRefusesWritesAndLosesNothing":           "fills the disk of the store",
	"TestDamagedInstallationsRefuseToStartAndSayWhy":     "takes folders of store and keystore away",
	"TestRestoreDrill":                                   "MongoDB has a drill of its own",
	"TestRestoreDrillOnMongoDB":                          "it has databases of its own",
	"TestMoveToMongoDBAndBack":                           "it begins with a folder",
	"TestMigrateUsage":                                   "it names folders",
	"TestBackupUsage":                                    "the command copies the embedded engine",
	"TestListenerThatOthersReachNeedsTLS":                "asks for a missing root key, which every server on MongoDB is given",
	"TestProductionStartsFromANewKey":                    "profile production wants TLS to the database, which the stand-in does not speak",
	"TestProductionStartsOnAVault":                       "profile production wants TLS to the database, which the stand-in does not speak",
}

// heavy are tests whose load keeps the stand-in for MongoDB busy for minutes, so
// that those beside them meet a database that does not answer. FIELDSEAL_LONG=1
// runs them.
var heavy = map[string]string{
	"TestBatchOfTenThousandEntries":                   "ten thousand entries",
	"TestOverlappingTransactionsEndAndAreWhole":       "64 transactions at once over the same records",
	"TestConcurrentConditionalCreatesMakeOneResource": "64 requests at once; TestConditionalCreatesOverFourNodesMakeOneResource has 32",
	"TestConcurrentConditionalUpdatesMakeOneResource": "many writers of one record",
	"TestConcurrentUpdatesUnderIfMatchLoseNothing":    "many writers of one record",
	"TestConcurrentConditionalCreates":                "many writers of one record",
}

// ownServer skips a test that needs a server, and so a database with demo data,
// of its own.
func ownServer(t testing.TB) {
	t.Helper()
	if onMongoDB() && !long() {
		t.Skip("on MongoDB each server of its own loads the demo into the slow stand-in: FIELDSEAL_LONG=1")
	}
}

// runOn runs the tests on the engine that was asked for.
func runOn(m *testing.M) int {
	if !onMongoDB() {
		return m.Run()
	}
	flag.Parse()
	skipped := maps.Clone(embeddedOnly)
	if !long() {
		maps.Copy(skipped, heavy)
	}
	names := slices.Sorted(maps.Keys(skipped))
	for _, name := range names {
		fmt.Fprintf(os.Stderr, "not run on MongoDB: %s: %s\n", name, skipped[name])
	}
	if err := flag.Set("test.skip", "^("+strings.Join(names, "|")+")$"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
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
