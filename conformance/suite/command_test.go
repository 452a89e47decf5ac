package suite

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// verify wants `audit verify` to find nothing wrong.
func verify(t testing.TB, dir string, more ...string) {
	t.Helper()
	code, stdout, stderr := command(t, append([]string{"audit", "verify", "--data", dir}, more...)...)
	if code != 0 {
		t.Errorf("audit verify: exit code %d: %s%s", code, stdout, stderr)
	}
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "trail", "*.seg"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no trail segment in %s: %v", dir, err)
	}
	return list
}

func TestAuditVerifyIsCleanWhileRunningAndStopped(t *testing.T) {
	t.Parallel()
	witness := filepath.Join(t.TempDir(), "witness")
	s := start(t, "--witness", witness)
	for range 20 {
		s.create(t, person(""))
	}
	verify(t, s.dir)
	s.stop(t)
	verify(t, s.dir)
	verify(t, s.dir, "--witness", witness)
}

func TestTamperedTrailsAreFound(t *testing.T) {
	t.Parallel()
	witness := filepath.Join(t.TempDir(), "witness")
	s := start(t, "--witness", witness)
	for range 20 {
		s.create(t, person(""))
	}
	s.stop(t)
	path := segments(t, s.dir)[0]
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(strings.TrimRight(string(original), "\x00"))
	for _, c := range []struct {
		name   string
		tamper func(b []byte) []byte
	}{
		{"flipped bit at the start", func(b []byte) []byte { b[3] ^= 1; return b }},
		{"flipped bit early", func(b []byte) []byte { b[used/10] ^= 0x40; return b }},
		{"flipped bit in the middle", func(b []byte) []byte { b[used/2] ^= 1; return b }},
		{"flipped bit near the end", func(b []byte) []byte { b[used-20] ^= 1; return b }},
		{"cut in the middle", func(b []byte) []byte { return b[:used/2] }},
		{"middle removed", func(b []byte) []byte { return append(b[:used/3], b[used/2:]...) }},
		{"middle doubled", func(b []byte) []byte { return append(b[:used/2:used/2], b[used/3:]...) }},
		{"emptied", func([]byte) []byte { return nil }},
	} {
		if err := os.WriteFile(path, c.tamper([]byte(string(original))), 0o600); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := command(t, "audit", "verify", "--data", s.dir, "--witness", witness)
		if code != 1 || !strings.Contains(stdout+stderr, "seg") && !strings.Contains(stdout+stderr, "seq") && !strings.Contains(stdout+stderr, "event") {
			t.Errorf("%s: exit code %d: %s%s", c.name, code, stdout, stderr)
		}
	}
	if err := os.WriteFile(path, original, 0o600); err != nil {
		t.Fatal(err)
	}
	verify(t, s.dir, "--witness", witness)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := command(t, "audit", "verify", "--data", s.dir, "--witness", witness); code != 1 {
		t.Errorf("a removed segment: exit code %d", code)
	}
}

// keysStatus is `keys status --json`.
func keysStatus(t testing.TB, dir string) (o object) {
	t.Helper()
	code, stdout, stderr := command(t, "keys", "status", "--data", dir, "--json")
	if code != 0 {
		t.Fatalf("keys status: %d %s", code, stderr)
	}
	decode(t, []byte(stdout), &o)
	return o
}

func TestKeysRotateWhileServing(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.create(t, person(""))
	before := keysStatus(t, s.dir)
	var wg sync.WaitGroup
	var stop atomic.Bool
	for range 4 {
		wg.Go(func() {
			for !stop.Load() {
				s.do(t, clinician, "GET", "/Patient/"+id, nil).want(200)
				s.create(t, person(""))
			}
		})
	}
	for range 2 {
		if code, _, stderr := command(t, "keys", "rotate", "--data", s.dir); code != 0 {
			t.Errorf("keys rotate: %d %s", code, stderr)
		}
	}
	stop.Store(true)
	wg.Wait()
	after := keysStatus(t, s.dir)
	if kekVersions(before) == kekVersions(after) || after["rotation"] != nil {
		t.Errorf("before %v\nafter %v", before, after)
	}
	s.do(t, clinician, "GET", "/Patient/"+s.Patient, nil).want(200)
	s.stop(t)
	keysStatus(t, s.dir)
	startOn(t, s.dir).do(t, clinician, "GET", "/Patient/"+id, nil).want(200)
}

func kekVersions(status object) string {
	for _, name := range []string{"keks", "KEKs"} {
		if status[name] != nil {
			b, _ := json.Marshal(status[name])
			return string(b)
		}
	}
	return ""
}

func TestKeysStatusShowsNoKey(t *testing.T) {
	t.Parallel()
	s := shared(t)
	kek, err := os.ReadFile(s.keyFile(t))
	if err != nil {
		t.Fatal(err)
	}
	_, stdout, stderr := command(t, "keys", "status", "--data", s.dir)
	for _, f := range strings.Fields(string(kek)) {
		if len(f) > 16 && strings.Contains(stdout+stderr, f) {
			t.Error("the KEK is shown")
		}
	}
}

func TestTokenCommandIssuesAndRevokes(t *testing.T) {
	t.Parallel()
	s := start(t)
	code, stdout, stderr := command(t, "token", "--data", s.dir, "--role", "nurse", "--lifetime", "1h")
	if code != 0 {
		t.Fatalf("token: %d %s", code, stderr)
	}
	s.Tokens["issued"] = strings.TrimSpace(stdout)
	s.do(t, "issued", "GET", "/Patient/"+s.Patient, nil).want(200)
	in := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(in, []byte(stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if code, _, stderr := commandInput(t, f, "token", "--data", s.dir, "--revoke"); code != 0 {
		t.Fatalf("token --revoke: %d %s", code, stderr)
	}
	s.do(t, "issued", "GET", "/Patient/"+s.Patient, nil).outcome(401)
	for _, args := range [][]string{{"--role", "root"}, {"--role", "nurse", "--lifetime", "2h"}, {"--role", "patient"}} {
		if code, stdout, _ := command(t, append([]string{"token", "--data", s.dir}, args...)...); code == 0 {
			t.Errorf("%v: a token: %s", args, stdout)
		}
	}
}
