package suite

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
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
	"TestDamagedDataFileIsReportedAndNotServed":            "damages files of the store",
	"TestDamagedLogLosesNoWriteSilently":                   "damages files of the store",
	"TestFullDiskRefusesWritesAndLosesNothing":             "fills the disk of the store",
	"TestDamagedInstallationsRefuseToStartAndSayWhy":       "takes folders of store and keystore away",
	"TestFullTrailServesNothing":                           "fills the disk of the trail",
	"TestTrailThatFillsUpStopsPatientDataUntilThereIsRoom": "fills the disk of the trail",
	"TestTamperedTrailsAreFound":                           "damages files of the trail; audit/trail has each attack on the collection",
	"TestRestoreDrill":                                     "MongoDB has a drill of its own",
	"TestRestoreDrillOnMongoDB":                            "it has databases of its own",
	"TestMoveToMongoDBAndBack":                             "it begins with a folder",
	"TestMigrateUsage":                                     "it names folders",
	"TestBackupUsage":                                      "the command copies the embedded engine",
	"TestListenerThatOthersReachNeedsTLS":                  "asks for a missing root key, which every server on MongoDB is given",
	"TestProductionStartsFromANewKey":                      "profile production wants TLS to the database: TestProductionOnMongoDBOverTLS",
	"TestProductionStartsOnAVault":                         "profile production wants TLS to the database: TestProductionOnMongoDBOverTLS",
}

// heavy are tests that keep the stand-in for MongoDB busy for half a minute or
// more, or fill its collections, so that those beside them and after them would
// take as long. FIELDSEAL_LONG=1 runs them.
var heavy = map[string]string{
	"TestBatchOfTenThousandEntries":                        "ten thousand entries",
	"TestFeedNeitherMissesNorRepeatsUnderThirtyTwoWriters": "32 writers",
	"TestEveryClaimedSearchParameterIsAnswered":            "more than a thousand searches",
	"TestResearcherFindsThePatientNowhereInTheWholeRecord": "hundreds of searches and pages",
	"TestImportWithoutAServerAndFromFolders":               "thousands of resources",
	"TestInterruptedImportIsResumedWithoutDuplicates":      "thousands of resources",
	"TestOfficialExamplesSurviveARoundTrip":                "thousands of resources",
	"TestSyntheaBundlesLoadWhole":                          "thousands of resources",
	"TestHistoryOfLargeVersionsCostsBoundedMemory":         "versions of megabytes",
	"TestBatchThatReadsOneLargeResourceManyTimes":          "hundreds of reads of 2 MiB",
	"TestClientsThatDoNotReadAreCutOff":                    "answers of megabytes",
	"TestHTTP2RapidResetDoesNotStarveOthers":               "thousands of requests",
	"TestVaultOutageMidStreamCutsTheAnswer":                "loads the demo anew",
	"TestVaultOutageClosesThePages":                        "loads the demo anew",
	"TestOverlappingTransactionsEndAndAreWhole":            "64 transactions at once over the same records",
	"TestConcurrentConditionalCreatesMakeOneResource":      "64 requests at once; TestConditionalCreatesOverFourNodesMakeOneResource has 32",
	"TestConcurrentConditionalUpdatesMakeOneResource":      "many writers of one record",
	"TestConcurrentUpdatesUnderIfMatchLoseNothing":         "many writers of one record",
	"TestConcurrentConditionalCreates":                     "many writers of one record",
	"TestNoReferenceIsLeftDanglingByARace":                 "many writers of one record",
	"TestKillNineLosesNothingThatWasAcknowledged":          killed,
	"TestKilledTransactionsAreWholeOrAbsent":               killed,
	"TestIndexIsRemadeThroughKillNine":                     killed,
}

const killed = "transactions of killed servers stay open for up to a minute each; nodes_kill_test.go has one"

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
	skip := "^(" + strings.Join(names, "|") + ")$"
	if asked := flag.Lookup("test.skip").Value.String(); asked != "" {
		skip += "|" + asked
	}
	if err := flag.Set("test.skip", skip); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return mongotest.Run(func() int {
		if database == "" {
			fmt.Fprintln(os.Stderr, engineVariable+" is set, but neither "+mongotest.ServerVariable+" nor "+mongotest.URIVariable)
			return 1
		}
		defer func() {
			stopShared()
			_ = mongotest.Drop(database, append(databaseNames(sharedFolder()), databaseNames(templateFolder())...)...)
		}()
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

// keyFile is the file with the root key of a server.
func (s *server) keyFile(t testing.TB) string {
	t.Helper()
	if !onMongoDB() {
		return filepath.Join(s.dir, "kek")
	}
	path, err := rootKey()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// databaseName is the name of a data folder's own database.
func databaseName(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "test_" + hex.EncodeToString(sum[:8])
}

// databaseNames are those of data and keystore; none with the embedded engine.
func databaseNames(dir string) []string {
	if database == "" {
		return nil
	}
	name := databaseName(dir)
	return []string{name, name + "_keystore"}
}

// databaseOf is the URI of a data folder's own database at a server.
func databaseOf(server, dir string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err)
	}
	u.Path = "/" + databaseName(dir)
	return u.String()
}

// databases are what a data folder has in MongoDB, by name; none with the
// embedded engine.
func databases(t testing.TB, dir string) map[string]mongotest.Contents {
	t.Helper()
	all := map[string]mongotest.Contents{}
	for _, name := range databaseNames(dir) {
		all[name] = mongotest.Dump(t, database, name)
	}
	return all
}

// backUpStore copies the store of a stopped server, but neither its keystore nor
// its trail; what it returns puts the copy back.
func backUpStore(t testing.TB, dir string) (restore func()) {
	t.Helper()
	if onMongoDB() {
		name := databaseName(dir)
		backup := mongotest.Dump(t, database, name)
		return func() { mongotest.Restore(t, database, name, backup, "trail", "table.leases") }
	}
	store, backup := filepath.Join(dir, "store"), filepath.Join(t.TempDir(), "store")
	if err := copyTree(store, backup); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(os.RemoveAll(store), copyTree(backup, store)); err != nil {
			t.Fatal(err)
		}
	}
}

// demo are the databases of the template.
var demo struct {
	sync.Once
	databases map[string]mongotest.Contents
}

// copyDatabases gives a data folder copies of the template's databases.
func copyDatabases(t testing.TB, template, dir string) {
	t.Helper()
	demo.Do(func() { demo.databases = databases(t, template) })
	to := databaseNames(dir)
	for i, from := range databaseNames(template) {
		mongotest.Restore(t, database, to[i], demo.databases[from])
	}
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
