package importer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/internal/importer"
)

func TestMain(m *testing.M) {
	if base := os.Getenv("IMPORTER_CHILD_BASE"); base != "" {
		os.Exit(child(base))
	}
	os.Exit(m.Run())
}

// child imports until it is done or killed.
func child(base string) int {
	_, err := importer.Run(context.Background(), importer.Options{Paths: []string{os.Getenv("IMPORTER_CHILD_INPUT")},
		State: os.Getenv("IMPORTER_CHILD_STATE"), BatchSize: 5, Do: importer.HTTP(http.DefaultClient, base, "")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// idless writes resources without ids, which only a derived id keeps from
// being stored twice.
func idless(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"resourceType":"Observation","n":%d}`+"\n", i)
	}
	return b.String()
}

func TestKillNineNeitherLosesNorDuplicates(t *testing.T) {
	t.Parallel()
	s, dir, state := newServer(), t.TempDir(), filepath.Join(t.TempDir(), "state")
	front := s.serve()
	defer front.Close()
	write(t, dir, "a.ndjson", patients(400))
	write(t, dir, "b.ndjson", idless(400))
	for i := range 20 {
		write(t, dir, fmt.Sprintf("t%d.json", i), `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Encounter"},"request":{"method":"POST","url":"Encounter"}}]}`)
	}
	kills := 0
	// Every round lives a little longer, so that also a slow machine ends.
	for life := 20 * time.Millisecond; ; life = life * 5 / 4 {
		if life > time.Minute {
			t.Fatal("the import never came to its end")
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "IMPORTER_CHILD_BASE="+front.URL, "IMPORTER_CHILD_INPUT="+dir, "IMPORTER_CHILD_STATE="+state)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		if timer.Stop(); err == nil {
			break
		}
		if cmd.ProcessState.ExitCode() == 1 {
			t.Fatalf("the child failed: %s", errs.String())
		}
		kills++
	}
	front.Close() // and what killed imports had under way has ended
	counts := map[string]int{}
	for key := range s.versions {
		typ, _, _ := strings.Cut(key, "/")
		counts[typ]++
	}
	if counts["Patient"] != 400 || counts["Observation"] != 400 || counts["Encounter"] != 20 || s.posted != 0 {
		t.Errorf("after %d kills: %v, %d posted", kills, counts, s.posted)
	}
	if kills < 2 {
		t.Errorf("only %d kills hit the import", kills)
	}
	sum := mustRun(t, s, importer.Options{Paths: []string{dir}, State: state})
	if sum.Skipped != 22 || sum.Created+sum.Updated != 0 {
		t.Errorf("a complete import is sent again: %+v", sum)
	}
}

func TestNextRunSendsOnlyWhatWasRefused(t *testing.T) {
	t.Parallel()
	s, dir, state := newServer(), t.TempDir(), filepath.Join(t.TempDir(), "state")
	write(t, dir, "a.ndjson", patients(12)+`{"resourceType":"Patient","id":"x","bad":true}`+"\n"+`{"resourceType":"Patient","id":"y"}`+"\n")
	write(t, dir, "b.json", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"c1"}},{"resource":{"resourceType":"Patient","id":"c2","bad":true}}]}`)
	o := importer.Options{Paths: []string{dir}, State: state, BatchSize: 10}
	if _, err := run(t, s, o); !errors.Is(err, importer.ErrRefused) {
		t.Fatal(err)
	}
	before := s.requests
	sum, err := run(t, s, o)
	if !errors.Is(err, importer.ErrRefused) || sum.Refused != 2 || sum.Created+sum.Updated != 0 || s.requests != before+2 {
		t.Errorf("%v, %+v, %d requests", err, sum, s.requests-before)
	}
	for key, n := range s.versions {
		if n != 1 {
			t.Errorf("%s has %d versions", key, n)
		}
	}
}

func TestChangedFileIsImportedAgain(t *testing.T) {
	t.Parallel()
	s, dir, state := newServer(), t.TempDir(), filepath.Join(t.TempDir(), "state")
	path := write(t, dir, "a.json", `{"resourceType":"Patient","id":"p1"}`)
	o := importer.Options{Paths: []string{dir}, State: state}
	mustRun(t, s, o)
	if err := os.Chtimes(path, time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if sum := mustRun(t, s, o); sum.Updated != 1 {
		t.Errorf("%+v", sum)
	}
}

func TestStateFileTornOrForeign(t *testing.T) {
	t.Parallel()
	s, dir, state := newServer(), t.TempDir(), filepath.Join(t.TempDir(), "state")
	write(t, dir, "Jane_Doe.ndjson", patients(3))
	o := importer.Options{Paths: []string{dir}, State: state}
	mustRun(t, s, o)
	b, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("Jane_Doe")) {
		t.Error("the state file names an input")
	}
	if info, _ := os.Stat(state); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	for cut := len(b); cut >= 0; cut -= 7 {
		write(t, filepath.Dir(state), "state", string(b[:cut]))
		if sum := mustRun(t, s, o); sum.Created+sum.Refused != 0 {
			t.Fatalf("cut at %d: %+v", cut, sum)
		}
	}
	for _, foreign := range []string{"hello\n", "hello", string(b) + "{}\n", `{"fieldsealImport":2,"secret":""}` + "\n"} {
		write(t, filepath.Dir(state), "state", foreign)
		if _, err := run(t, s, o); err == nil || errors.Is(err, importer.ErrRefused) {
			t.Errorf("%.20q: error %v", foreign, err)
		}
		if got, _ := os.ReadFile(state); string(got) != foreign {
			t.Errorf("%.20q was changed", foreign)
		}
	}
}
