package suite

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// flip alters one bit in every step bytes of a file, from the offset on.
func flip(t *testing.T, path string, from, step int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < len(b); i += step {
		b[i] ^= 0x10
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// largest is the biggest file that a pattern names.
func largest(t *testing.T, pattern string) (path string) {
	t.Helper()
	list, err := filepath.Glob(pattern)
	var size int64 = -1
	for _, f := range list {
		if info, err := os.Stat(f); err == nil && info.Size() > size {
			path, size = f, info.Size()
		}
	}
	if err != nil || path == "" {
		t.Fatalf("no file %s: %v", pattern, err)
	}
	return path
}

// tables are the engine's larger files but for the oldest, which holds the demo
// patients.
func tables(t *testing.T, dir string) (paths []string) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	for _, f := range list { // sorted by number
		if info, err := os.Stat(f); err == nil && info.Size() > 200<<10 {
			paths = append(paths, f)
		}
	}
	if err != nil || len(paths) < 2 {
		t.Fatalf("no table of records: %v", err)
	}
	return paths[1:]
}

// A damaged record is reported and never served as something else; what is
// sound is served.
func TestDamagedDataFileIsReportedAndNotServed(t *testing.T) {
	t.Parallel()
	s := start(t)
	written := map[string][]byte{}
	for range 300 {
		p := person("")
		p["address"] = []object{{"text": strings.Repeat("long way ", 400)}} // so that records are most of a table
		id := s.create(t, p)
		written[id] = s.do(t, clinician, "GET", "/Patient/"+id, nil).want(200).body
	}
	s.stop(t)
	startOn(t, s.dir).stop(t) // which moves what is in the log into tables
	for _, path := range tables(t, s.dir) {
		flip(t, path, 500_000, 64<<10) // behind ordinals and postings
	}
	damaged, err := launch(s.dir, httpClient(nil))
	if err != nil { // refusing to start is a clear error too
		if !strings.Contains(err.Error(), "fieldseal: ") || strings.Contains(err.Error(), "panic") {
			t.Errorf("%v", err)
		}
		t.Log(err)
		return
	}
	defer damaged.kill()
	refused := 0
	for id, body := range written {
		switch a := damaged.do(t, clinician, "GET", "/Patient/"+id, nil); {
		case a.status == http.StatusServiceUnavailable:
			a.outcome(503)
			refused++
		case a.status != 200 || string(a.body) != string(body):
			t.Errorf("%s: %d %.300s", id, a.status, a.body)
		}
	}
	if refused == 0 {
		t.Error("the damage hit no record")
	}
}

// A damaged log of acknowledged writes must not make them vanish silently.
func TestDamagedLogLosesNoWriteSilently(t *testing.T) {
	t.Parallel()
	s := start(t)
	var ids []string
	for range 100 {
		ids = append(ids, s.create(t, person("")))
	}
	s.kill()
	log := largest(t, filepath.Join(s.dir, "store", "*.log"))
	flip(t, log, 20_000, 1<<30)
	damaged, err := launch(s.dir, httpClient(nil))
	if err != nil {
		if strings.Contains(err.Error(), "panic") || strings.Contains(err.Error(), "goroutine ") {
			t.Errorf("%v", err)
		}
		t.Log(err)
		return
	}
	defer damaged.kill()
	for _, id := range ids {
		if a := damaged.do(t, clinician, "GET", "/Patient/"+id, nil); a.status == 404 {
			t.Fatalf("an acknowledged write is unknown after damage, without a word: %s", damaged.stderr)
		}
	}
}

// On a full disk a server refuses writes, or to start at all; nothing is lost.
func TestFullDiskRefusesWritesAndLosesNothing(t *testing.T) {
	t.Parallel()
	dir := demoData(t)
	if s, err := launch(dir, httpClient(nil), "--store-min-free", "1000000GiB"); err != nil {
		wantRefusal(t, 1, err.Error(), "space")
	} else {
		for _, a := range []*answer{s.do(t, integration, "POST", "/Patient", person("")), s.do(t, integration, "DELETE", "/Patient/"+s.Patient, nil),
			s.do(t, integration, "POST", "", transaction(post(person(""), "")))} {
			if a.outcome(503).header.Get("Retry-After") == "" || !strings.Contains(string(a.body), "space") {
				t.Errorf("%s: Retry-After %q, %s", a.asked, a.header.Get("Retry-After"), a.body)
			}
		}
		s.do(t, clinician, "GET", "/Patient/"+s.Patient, nil).want(200)
		s.stop(t)
	}
	again := startOn(t, dir)
	again.do(t, clinician, "GET", "/Patient/"+again.Patient, nil).want(200)
	again.do(t, integration, "POST", "/Patient", person("")).want(201)
}

func TestFullTrailServesNothing(t *testing.T) {
	t.Parallel()
	dir := demoData(t)
	code, stdout, stderr := command(t, "serve", "--demo", "--data", dir, "--listen", "127.0.0.1:0", "--metrics=", "--audit-min-free", "1000000GiB")
	wantRefusal(t, code, stderr, "audit", "space")
	if stdout != "" {
		t.Errorf("it served: %s", stdout)
	}
}
