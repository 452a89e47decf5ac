package suite

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// migrate runs the command to its end and returns the checksums of keystore and
// data.
func migrate(t *testing.T, from, to string, more ...string) [2]string {
	t.Helper()
	code, stdout, stderr := command(t, append([]string{"migrate", "--from", from, "--to", to, "--json"}, more...)...)
	if code != 0 {
		t.Fatalf("migrate: exit code %d: %s%s", code, stdout, stderr)
	}
	var report object
	decode(t, []byte(stdout), &report)
	return [2]string{fmt.Sprint(at(report, "keystore", "checksum")), fmt.Sprint(at(report, "data", "checksum"))}
}

func refused(t *testing.T, text string, args ...string) {
	t.Helper()
	code, _, stderr := command(t, args...)
	if code != 1 || !strings.Contains(stderr, text) {
		t.Errorf("%v: exit code %d, %q lacks %q", args[0], code, stderr, text)
	}
}

// answers are what clients see of a server: versions, times, ETags, bytes.
func answers(t *testing.T, s *server, patientPath string) (list []string) {
	t.Helper()
	for _, path := range []string{patientPath + "/_history", "/Patient/" + s.Patient, "/Patient/" + s.Patient + "/_history/1",
		"/Patient?gender=female&_summary=count", "/Observation?patient=" + s.Patient + "&_summary=count"} {
		a := s.do(t, clinician, "GET", path, nil).want(200)
		body := strings.ReplaceAll(string(a.body), s.Base, "BASE")
		list = append(list, fmt.Sprintf("%s %s %s %s", path, a.header.Get("ETag"), a.header.Get("Last-Modified"), body))
	}
	list = append(list, s.do(t, clinician, "GET", patientPath, nil).header.Get("ETag"))
	found := s.ids(t, "/Encounter?patient="+s.Patient+"&_count=50")
	slices.Sort(found) // each engine walks its own order
	return append(append(list, found...), s.pages(t, integration, "/Patient/_history?_count=7")...)
}

// ids are the ids of all pages of a search.
func (s *server) ids(t testing.TB, path string) (list []string) {
	t.Helper()
	for path != "" {
		a := s.do(t, clinician, "GET", path, nil).want(200)
		for _, e := range each(a.json(), "entry") {
			list = append(list, fmt.Sprint(at(e, "resource", "id")))
		}
		path = a.follow("next")
	}
	return list
}

// A deployment moves to MongoDB and back: killed at random moments it goes on,
// checksums are equal, and servers on either side answer the same. A link into
// the feed goes on where it was; a link into a search is refused, not wrong.
func TestMoveToMongoDBAndBack(t *testing.T) {
	t.Parallel()
	d := startDatabase(t)
	s := start(t)
	deleted, _ := s.threeVersions(t)
	want := answers(t, s, deleted)
	event := s.accessEvent(t)
	feed := s.do(t, integration, "GET", "/Patient/_history?_count=5&_sort=_lastUpdated", nil).want(200)
	rest := s.pages(t, integration, feed.follow("next"))
	search := s.do(t, clinician, "GET", "/Observation?patient="+s.Patient+"&_count=2", nil).want(200)
	uri := databaseURI(d, "moved")
	refused(t, "in use", "migrate", "--from", s.dir, "--to", uri)
	s.stop(t)

	killedMoves(t, s.dir, uri)
	there := migrate(t, s.dir, uri)
	back := folder(t)
	if again := migrate(t, uri, back); again != there {
		t.Fatalf("checksums there %v, back %v", there, again)
	}
	if again := migrate(t, s.dir, back, "--verify-only"); again != there {
		t.Fatalf("checksums there %v, of the folder that came back %v", there, again)
	}
	for _, name := range []string{"kek", "demo-credentials.json"} { // what the command does not move
		if err := copyTree(filepath.Join(s.dir, name), filepath.Join(back, name)); err != nil {
			t.Fatal(err)
		}
	}

	moved := startOn(t, s.dir, onDatabase(s.dir, uri)...)
	if got := answers(t, moved, deleted); !slices.Equal(got, want) {
		t.Errorf("the moved server answers otherwise:\n%s", firstDifference(got, want))
	}
	if got := moved.pages(t, integration, feed.follow("next")); len(got) == 0 || !slices.Equal(got, rest) {
		t.Errorf("the feed's link goes on with %d versions, want %d", len(got), len(rest))
	}
	moved.do(t, privacyOfficer, "GET", event, nil).want(200)
	moved.do(t, clinician, "GET", search.follow("next"), nil).outcome(400)
	refused(t, "a server runs", "migrate", "--from", uri, "--to", folder(t))
	moved.do(t, clinician, "PUT", "/Patient/"+s.Patient, moved.do(t, clinician, "GET", "/Patient/"+s.Patient, nil).body).want(200)
	moved.stop(t)

	verify(t, back)
	returned := startOn(t, back)
	if got := answers(t, returned, deleted); !slices.Equal(got, want) {
		t.Errorf("the server that came back answers otherwise:\n%s", firstDifference(got, want))
	}
	returned.do(t, privacyOfficer, "GET", event, nil).want(200)
	returned.stop(t)
	verify(t, back)
	later := folder(t) // with what was written on MongoDB, and the chain of its node
	migrate(t, uri, later)
	verify(t, later)
	if _, err := os.Stat(filepath.Join(later, "trail", "history", "m1", "origin.json")); err != nil {
		t.Error(err)
	}
	refused(t, "holds other data", "migrate", "--from", uri, "--to", back)
}

// accessEvent is the path of the latest audit event about the demo patient.
func (s *server) accessEvent(t testing.TB) string {
	t.Helper()
	list := each(s.do(t, privacyOfficer, "GET", "/AuditEvent?patient="+s.Patient+"&_count=1", nil).want(200).json(), "entry")
	if len(list) == 0 {
		t.Fatal("no audit event about the demo patient")
	}
	return "/AuditEvent/" + fmt.Sprint(at(list[0], "resource", "id"))
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("got  %.700s\nwant %.700s", got[i], want[i])
		}
	}
	return fmt.Sprintf("%d answers, want %d", len(got), len(want))
}

// killedMoves starts the move and kills it, again and again. What was moved so
// far serves nobody.
func killedMoves(t *testing.T, from, to string) {
	t.Helper()
	for range 3 {
		c := exec.Command(binary, "migrate", "--from", from, "--to", to)
		c.Env = cleanEnv()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300*time.Millisecond + rand.N(900*time.Millisecond))
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	if _, err := os.Stat(filepath.Join(from, "store")); err != nil {
		t.Fatal(err)
	}
}

func TestMigrateUsage(t *testing.T) {
	t.Parallel()
	open := filepath.Join(t.TempDir(), "uri")
	if err := os.WriteFile(open, []byte("mongodb://h/fs"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"nothing":               {},
		"no target":             {"--from", "d"},
		"unfence with a target": {"--from", "d", "--to", "e", "--unfence"},
		"a URI others can read": {"--from", "@" + open, "--to", "d"},
	} {
		if code, _, _ := command(t, append([]string{"migrate"}, args...)...); code != 2 {
			t.Errorf("%s: exit code %d", name, code)
		}
	}
	for text, args := range map[string][]string{
		"there is no folder":          {"--from", folder(t), "--to", folder(t), "--verify-only"},
		"have the same engine":        {"--from", folder(t), "--to", folder(t)},
		"both folders":                {"--from", folder(t), "--to", folder(t), "--keystore-to", "mongodb://127.0.0.1/k"},
		"the connection needs TLS":    {"--from", folder(t), "--to", "mongodb://u:hunter2@db.example/fs"},
		"it must be another database": {"--from", "mongodb://127.0.0.1/fs", "--keystore-from", "mongodb://127.0.0.1/fs", "--to", folder(t)},
	} {
		code, _, stderr := command(t, append([]string{"migrate"}, args...)...)
		if code != 1 || !strings.Contains(stderr, text) || strings.Contains(stderr, "hunter2") {
			t.Errorf("%q: exit code %d: %s", text, code, stderr)
		}
	}
}
