package suite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wantRefusal wants a command to fail with an exit code of at least 1 and a
// text that says how to go on.
func wantRefusal(t *testing.T, code int, stderr string, words ...string) {
	t.Helper()
	if code == 0 {
		t.Errorf("exit code 0: %s", stderr)
	}
	for _, w := range words {
		if !strings.Contains(stderr, w) {
			t.Errorf("the error does not mention %q: %s", w, stderr)
		}
	}
	if strings.Contains(stderr, "goroutine ") || strings.Contains(stderr, "panic") {
		t.Errorf("a panic: %s", stderr)
	}
}

func TestListenerThatOthersReachNeedsTLS(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:8080", "example.org:80"} {
		code, _, stderr := command(t, "serve", "--data", folder(t), "--listen", listen, "--metrics=")
		wantRefusal(t, code, stderr, "--tls-cert", "--tls-terminated-by-proxy", "loopback")
	}
	code, _, stderr := command(t, "serve", "--demo", "--data", folder(t), "--profile", "production")
	wantRefusal(t, code, stderr, "demo", "kek-file", "witness")
	code, _, stderr = command(t, "config", "check", "--profile", "production", "--data", "x", "--listen", "0.0.0.0:1", "--max-body", "0")
	wantRefusal(t, code, stderr, "kek-file", "witness", "listen", "max-body")
}

func TestWrongUsageExitsWithTwo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"serve", "--nonsense"}, {"nonsense"}, {"keys", "status"}, {"erase", "--data", "x"}, {"serve", "extra"}, {"audit", "verify"}} {
		if code, _, stderr := command(t, args...); code != 2 || stderr == "" {
			t.Errorf("%v: exit code %d, %s", args, code, stderr)
		}
	}
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}, {"keys", "rotate", "--help"}, {"erase", "--help"}, {"audit", "verify", "--help"}, {"version"}} {
		code, stdout, _ := command(t, args...)
		if code != 0 || args[0] != "version" && !strings.Contains(stdout, "fieldseal ") {
			t.Errorf("%v: exit code %d, %s", args, code, stdout)
		}
	}
}

func TestNoFileOfTheDataFolderIsReadableByOthers(t *testing.T) {
	t.Parallel()
	s := shared(t)
	s.create(t, person(""))
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // the engine removed it meanwhile
			}
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // removed meanwhile
		}
		if info.Mode().Perm()&0o077 != 0 || d.IsDir() && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDamagedInstallationsRefuseToStartAndSayWhy(t *testing.T) {
	t.Parallel()
	other := folder(t)
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := command(t, "keys", "status", "--data", other); code != 0 {
		t.Fatalf("making another installation: %s", stderr)
	}
	for _, c := range []struct {
		name   string
		damage func(dir string) error
		words  []string
	}{
		{"KEK readable by others", func(dir string) error { return os.Chmod(filepath.Join(dir, "kek"), 0o644) }, []string{"kek"}},
		{"KEK missing", func(dir string) error { return os.Remove(filepath.Join(dir, "kek")) }, []string{"kek"}},
		{"KEK cut", func(dir string) error { return os.Truncate(filepath.Join(dir, "kek"), 10) }, []string{"kek"}},
		{"wrong KEK", func(dir string) error { return replace(filepath.Join(other, "kek"), filepath.Join(dir, "kek")) }, []string{"key"}},
		{"keystore removed", func(dir string) error { return os.RemoveAll(filepath.Join(dir, "keystore")) }, []string{"keystore", "restore"}},
		{"keystore empty", func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "keystore")), os.Mkdir(filepath.Join(dir, "keystore"), 0o700))
		}, []string{"keystore", "restore"}},
		{"keystore of another installation", func(dir string) error {
			return errors.Join(replace(filepath.Join(other, "kek"), filepath.Join(dir, "kek")),
				os.RemoveAll(filepath.Join(dir, "keystore")), copyTree(filepath.Join(other, "keystore"), filepath.Join(dir, "keystore")))
		}, []string{"keystore"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := demoData(t)
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := command(t, "serve", "--demo", "--data", dir, "--listen", "127.0.0.1:0", "--metrics=")
			wantRefusal(t, code, strings.ToLower(stderr), c.words...)
			if stdout != "" {
				t.Errorf("it served: %s", stdout)
			}
		})
	}
}

func replace(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}

func TestTwoServersCannotShareADataFolder(t *testing.T) {
	t.Parallel()
	s := shared(t)
	code, _, stderr := command(t, "serve", "--demo", "--data", s.dir, "--listen", "127.0.0.1:0", "--metrics=")
	wantRefusal(t, code, stderr)
	s.do(t, clinician, "GET", "/Patient/"+s.Patient, nil).want(200)
	if code, _, stderr := command(t, "keys", "status", "--data", s.dir); code != 0 {
		t.Errorf("the admin socket is gone: %s", stderr)
	}
}

// SIGTERM lets a request that is under way end, takes no new ones and exits
// with 0.
func TestSIGTERMDrains(t *testing.T) {
	t.Parallel()
	s := start(t)
	c, err := net.Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	body := `{"resourceType":"Patient"}`
	_, _ = io.WriteString(c, "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\nExpect: 100-continue\r\n"+s.bearer(integration)+
		fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)))
	going := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n")) // the handler reads the body
	if _, err := io.ReadFull(c, going); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := s.try(t, clinician, "GET", "/Patient/"+s.Patient, nil); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("new requests are taken while draining")
		}
	}
	_, _ = io.WriteString(c, body)
	got, _ := io.ReadAll(c)
	if codes := statuses(t, string(got)); len(codes) != 1 || codes[0] != 201 {
		t.Errorf("the request under way got %v", codes)
	}
	if err := s.terminate(); err != nil {
		t.Error(err)
	}
}

func TestDemoKeepsItsDataAndCredentials(t *testing.T) {
	t.Parallel()
	s := start(t)
	id, tokens := s.create(t, person("")), s.Tokens
	s.stop(t)
	again := startOn(t, s.dir)
	for role, token := range tokens {
		if again.Tokens[role] != token {
			t.Errorf("another token for %s", role)
		}
	}
	again.do(t, clinician, "GET", "/Patient/"+id, nil).want(200)
}

func TestHealthAndReadinessAreOpenAndSayNothing(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, path := range []string{"/healthz", "/readyz"} {
		s.until(t, path, func() bool { // a probe has three seconds, which a busy machine may take
			res, err := s.client.Get(s.origin() + path)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if len(b) > 0 {
				t.Fatalf("%s: %d %s", path, res.StatusCode, b)
			}
			return res.StatusCode == 200
		})
	}
}
