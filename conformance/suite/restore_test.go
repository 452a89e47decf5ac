package suite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

// restoreScene is what a drill looks at: an erased patient, and others from
// before and after the backup.
type restoreScene struct {
	eraseScene
	later string // created after the backup
}

// afterBackup writes, and erases the patient, while the server runs.
func (r *restoreScene) afterBackup(t *testing.T, s *server, erased func(id string)) {
	t.Helper()
	r.later = s.create(t, person(""))
	s.do(t, integration, "PUT", "/Patient/"+r.other, person(r.other)).want(200)
	erased(r.patient)
	r.check(t, s)
}

// restored wants the records of the backup, readable; nothing of the erased
// patient; and a store that goes on.
func (r *restoreScene) restored(t *testing.T, s *server) {
	t.Helper()
	r.check(t, s)
	s.do(t, clinician, "GET", "/Patient/"+r.later, nil).outcome(404)
	if got := s.do(t, clinician, "GET", "/Patient/"+r.other, nil).want(200).header.Get("ETag"); got != `W/"1"` {
		t.Errorf("the other patient has version %s", got)
	}
	if found := s.ids(t, "/Observation?patient="+r.patient); len(found) != 0 {
		t.Errorf("the erased patient's observations are found: %v", found)
	}
	s.do(t, integration, "PUT", "/Patient/"+r.patient, person(r.patient)).outcome(410)
	s.create(t, person(""))
}

// startRefused wants a server that ends at once, for this reason.
func startRefused(t *testing.T, dir, reason string, args ...string) {
	t.Helper()
	s := spawn(dir, append([]string{"--listen", "127.0.0.1:0"}, args...)...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.cmd.Wait(); close(s.done) }()
	select {
	case <-s.done:
	case <-time.After(patience):
		s.kill()
		t.Fatal("a server started that should not have")
	}
	if s.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(s.stderr.String(), reason) {
		t.Errorf("exit code %d, %s lacks %q", s.cmd.ProcessState.ExitCode(), s.stderr, reason)
	}
}

// replaceTree puts a copy in the place of a folder, and returns where the
// folder is now.
func replaceTree(t *testing.T, folder, copied string) (old string) {
	t.Helper()
	old = filepath.Join(t.TempDir(), "old")
	if err := copyTree(folder, old); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(copied, folder); err != nil {
		t.Fatal(err)
	}
	return old
}

// The drill of docs/operations/backup.md on the embedded engine.
func TestRestoreDrill(t *testing.T) {
	t.Parallel()
	s := start(t)
	scene := restoreScene{eraseScene: newEraseScene(t, s)}
	vault := t.TempDir()
	data, keys, trail := filepath.Join(vault, "data", "1"), filepath.Join(vault, "keystore", "1"), filepath.Join(vault, "trail")
	code, _, stderr := command(t, "backup", "--data", s.dir, "--to", data, "--keystore-to", keys)
	if code != 0 {
		t.Fatalf("backup: exit code %d: %s", code, stderr)
	}
	scene.afterBackup(t, s, func(id string) { erase(t, s.dir, id) })
	copyTrail(t, s.dir, trail)
	s.stop(t)

	if err := os.RemoveAll(filepath.Join(s.dir, "store")); err != nil { // the data is lost
		t.Fatal(err)
	}
	if err := copyTree(data, filepath.Join(s.dir, "store")); err != nil {
		t.Fatal(err)
	}
	again := startOn(t, s.dir)
	scene.restored(t, again)
	verify(t, s.dir)
	again.stop(t)

	current := replaceTree(t, filepath.Join(s.dir, "keystore"), keys)
	startRefused(t, s.dir, "the keystore is older than the data")
	replaceTree(t, filepath.Join(s.dir, "keystore"), current)
	scene.check(t, startOn(t, s.dir))

	// The trail that was copied from the running server stands by itself.
	spare := folder(t)
	if err := os.MkdirAll(spare, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(trail, filepath.Join(spare, "trail")); err != nil {
		t.Fatal(err)
	}
	verify(t, spare)
}

// copyTrail is what the page says: marks first, so that the copied segments
// never hold less than they say.
func copyTrail(t *testing.T, dir, to string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(dir, "trail")
	files, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, segments := range []bool{false, true} {
		for _, f := range files {
			if strings.HasSuffix(f.Name(), ".seg") != segments {
				continue
			}
			if err := copyTree(filepath.Join(from, f.Name()), filepath.Join(to, f.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestBackupUsage(t *testing.T) {
	t.Parallel()
	s := shared(t)
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"nothing named":         {},
		"keys beside the data":  {"--to", filepath.Join(dir, "a"), "--keystore-to", filepath.Join(dir, "b")},
		"keys below the data":   {"--to", filepath.Join(dir, "a"), "--keystore-to", filepath.Join(dir, "a", "b")},
		"both in the same":      {"--to", filepath.Join(dir, "a"), "--keystore-to", filepath.Join(dir, "a")},
		"data below the keys'":  {"--to", filepath.Join(dir, "k", "a"), "--keystore-to", filepath.Join(dir, "k")},
		"an argument too many":  {"--to", filepath.Join(dir, "a"), "b"},
		"no data folder at all": {"--data=", "--to", filepath.Join(dir, "a")},
	} {
		if code, _, _ := command(t, append([]string{"backup", "--data", s.dir}, args...)...); code != 2 {
			t.Errorf("%s: exit code %d", name, code)
		}
	}
	if code, _, stderr := command(t, "backup", "--data", s.dir, "--to", dir); code != 1 || !strings.Contains(stderr, "exists") {
		t.Errorf("an existing folder: exit code %d: %s", code, stderr)
	}
}

// launchBare runs a server without demo data, with development tokens of its
// own, and a patient.
func launchBare(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	s := spawn(dir, append([]string{"--listen", "127.0.0.1:0"}, args...)...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.cmd.Wait(); close(s.done) }()
	t.Cleanup(s.kill)
	for deadline := time.Now().Add(patience); s.Base == ""; time.Sleep(20 * time.Millisecond) {
		s.Base = printedBase.FindString(s.stdout.String() + s.stderr.String())
		select {
		case <-s.done:
			t.Fatalf("the server ended before it was ready: %s", s.stderr)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("the server was not ready in time")
		}
	}
	s.Tokens = map[string]string{}
	for _, role := range []string{clinician, integration, researcher} {
		code, stdout, stderr := command(t, "token", "--data", dir, "--role", role, "--lifetime", longest(role))
		if code != 0 {
			t.Fatalf("token: exit code %d: %s", code, stderr)
		}
		s.Tokens[role] = strings.TrimSpace(stdout)
	}
	s.Patient = s.create(t, person(""))
	return s
}

// The drill on MongoDB, by users who have the roles of deploy/mongodb and no
// more, and without demo data: an erasure asks for every type, and the stand-in
// is slow. Dump and Restore are what mongodump and mongorestore do with one
// database.
func TestRestoreDrillOnMongoDB(t *testing.T) {
	t.Parallel()
	d, dir := startDatabase(t), folder(t)
	mongotest.Grant(t, d.URI(), mongotest.Roles(t, "../../deploy/mongodb/roles.js"), map[string]string{"data": "ward", "keystore": "ward_keystore"})
	d.Kill()
	if err := d.StartWith("--auth"); err != nil {
		t.Fatal(err)
	}
	root := d.URIAs(mongotest.Root)
	kek := filepath.Join(t.TempDir(), "kek")
	if code, _, stderr := command(t, "keys", "create", kek); code != 0 {
		t.Fatalf("keys create: %s", stderr)
	}
	args := []string{"--store", d.DatabaseAs("fieldsealData", "ward"), "--keystore", d.DatabaseAs("fieldsealKeystore", "ward_keystore"),
		"--kek-file", kek, "--node", "m1"}
	s := launchBare(t, dir, args...)
	scene := restoreScene{eraseScene: newEraseScene(t, s)}
	s.stop(t)
	data, keys := mongotest.Dump(t, root, "ward"), mongotest.Dump(t, root, "ward_keystore")

	s = launchBare(t, dir, args...)
	scene.afterBackup(t, s, func(id string) { erase(t, dir, id) })
	s.stop(t)

	mongotest.Restore(t, root, "ward", data, "trail", "table.leases") // never rolled back
	s = launchBare(t, dir, args...)
	scene.restored(t, s)
	back := folder(t)
	ward, its := d.DatabaseAs("fieldsealMoveData", "ward"), d.DatabaseAs("fieldsealMoveKeystore", "ward_keystore")
	refused(t, "(node m1)", "migrate", "--from", ward, "--keystore-from", its, "--to", back) // another user's connection is not shown
	s.stop(t)
	migrate(t, ward, back, "--keystore-from", its) // reads the trail of both sides
	if rep := filepath.Join(back, "trail", "history", "m1", "origin.json"); !exists(rep) {
		t.Errorf("%s is missing", rep)
	}

	current := mongotest.Dump(t, root, "ward_keystore")
	mongotest.Restore(t, root, "ward_keystore", keys)
	startRefused(t, dir, "the keystore is older than the data", args...)
	mongotest.Restore(t, root, "ward_keystore", current)
	scene.check(t, launchBare(t, dir, args...))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
