package suite

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// indexed is what searches must find while the index is remade: some patients
// of one unused family, and an observation of each.
type indexed struct {
	family       string
	patients     []string
	observations []string
}

func (s *server) indexed(t *testing.T, n int) indexed {
	t.Helper()
	x := indexed{}
	x.family, x.patients = s.family(t, n)
	for _, id := range x.patients {
		x.observations = append(x.observations, s.create(t, observation("Patient/"+id)))
	}
	return x
}

// queries are searches by every kind of index entry, with what each finds.
func (x indexed) queries() map[string][]string {
	return map[string][]string{
		"/Patient?family=" + strings.ToLower(x.family) + "&_count=100":               x.patients,
		"/Patient?family:exact=" + x.family + "&birthdate=ge1910&birthdate=lt1912":   x.patients[:2],
		"/Patient?_has:Observation:patient:_id=" + x.observations[0]:                 x.patients[:1],
		"/Observation?subject:Patient.family=" + x.family + "&_count=100":            x.observations,
		"/Observation?patient=" + x.patients[1]:                                      x.observations[1:2],
		"/Patient/" + x.patients[2] + "/Observation":                                 x.observations[2:3],
		"/Patient?family=" + x.family + "&gender=female&_sort=-birthdate&_count=100": x.patients,
	}
}

// check reports whether every search was answered, and wants each answer to be
// complete. A killed server answers nothing.
func (x indexed) check(t *testing.T, s *server) bool {
	for query, want := range x.queries() {
		a, err := s.try(t, clinician, "GET", query, nil)
		if err != nil {
			return false
		}
		if a.status != 200 {
			t.Errorf("%s: %d %.300s", query, a.status, a.body)
			return false
		}
		got := a.matches()
		slices.Sort(got)
		if !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s finds %d, want %d", query, len(got), len(want))
		}
	}
	return true
}

// TestIndexIsRemadeThroughKillNine kills server and command at many moments of
// a rebuild and of a rotation. Searches are complete before, meanwhile and
// after, and what was begun is finished by whoever comes next.
func TestIndexIsRemadeThroughKillNine(t *testing.T) {
	t.Parallel()
	rounds := 2
	if long() && !onMongoDB() {
		rounds = 100
	}
	dir := demoData(t)
	s, err := launch(dir, httpClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.kill() }()
	x := s.indexed(t, 5)
	for round := range rounds {
		args := []string{"reindex", "--data", dir}
		if round%2 == 1 {
			args = []string{"keys", "rotate", "--index", "--data", dir}
		}
		x.killed(t, s, args, time.Duration(1+round*round*7)*10*time.Millisecond)
		if s, err = launch(dir, httpClient(nil)); err != nil {
			t.Fatalf("round %d: the server does not start again: %v", round, err)
		}
		x.check(t, s)
		if code, _, stderr := command(t, args...); code != 0 {
			t.Fatalf("round %d: %v after the kill: %s", round, args, stderr)
		}
		x.check(t, s)
		if n := s.epochs(t); n != 1 {
			t.Errorf("round %d: %d index epochs are left", round, n)
		}
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
	s.stop(t)
	if code, _, stderr := command(t, "reindex", "--data", dir); code != 0 { // offline too
		t.Fatal(stderr)
	}
	x.check(t, startOn(t, dir))
	verify(t, dir)
}

// killed searches while the index is remade, kills the command and the server
// after a while, and waits for both.
func (x indexed) killed(t *testing.T, s *server, args []string, after time.Duration) {
	t.Helper()
	work := exec.Command(binary, args...)
	work.Env = environment(work.Args)
	if err := work.Start(); err != nil {
		t.Fatal(err)
	}
	var searched atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for x.check(t, s) {
			searched.Add(1)
		}
	}()
	time.Sleep(after)
	for deadline := time.Now().Add(10 * time.Second); searched.Load() == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	_ = work.Process.Kill()
	s.kill()
	_ = work.Wait()
	<-done
}

// epochs counts the index keys that are in force.
func (s *server) epochs(t *testing.T) int {
	t.Helper()
	code, stdout, stderr := command(t, "keys", "status", "--data", s.dir, "--json")
	if code != 0 {
		t.Fatal(stderr)
	}
	var status struct{ IndexEpochs []object }
	if err := json.Unmarshal([]byte(stdout), &status); err != nil {
		t.Fatal(err)
	}
	return len(status.IndexEpochs)
}
