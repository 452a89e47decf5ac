package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/fieldseal/fieldseal/internal/config"
)

// load parses args and reads a file with the given text, when there is one.
func load(t *testing.T, args []string, environ []string, yaml string) (config.Options, error) {
	t.Helper()
	s := config.New()
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	fs.AddFlagSet(s.Flags())
	if yaml != "" {
		path := filepath.Join(t.TempDir(), "fieldseal.yaml")
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return s.Load(environ)
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	const yaml = "listen: 127.0.0.1:1\nlog-level: warn\nmax-body: 1MiB\ntrusted-proxies: [10.0.0.1, 10.0.0.2]\ndemo: true\nrequest-timeout: 7s\n"
	env := []string{"FIELDSEAL_LISTEN=127.0.0.1:2", "FIELDSEAL_LOG_LEVEL=error", "FIELDSEAL_TRUSTED_PROXIES=10.0.0.3", "OTHER=x"}
	o, err := load(t, []string{"--listen", "127.0.0.1:3"}, env, yaml)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		Listen, Level string
		Body          int64
		Proxies       []string
		Demo          bool
		Timeout, Idle time.Duration
	}
	got := result{o.Listen, o.LogLevel, o.MaxBody, o.TrustedProxies, o.Demo, o.RequestTimeout, o.IdleTimeout}
	want := result{"127.0.0.1:3", "error", 1 << 20, []string{"10.0.0.3"}, true, 7 * time.Second, config.DefaultIdleTimeout}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// Every setting has one name in all three places.
func TestEverySettingInEveryPlace(t *testing.T) {
	t.Parallel()
	values := map[string]string{"bool": "true", "duration": "3s", "size": "3KiB", "int": "3", "stringSlice": "10.0.0.9", "string": "three"}
	uri := filepath.Join(t.TempDir(), "uri")
	if err := os.WriteFile(uri, []byte("mongodb://h"), 0o600); err != nil {
		t.Fatal(err)
	}
	config.New().Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "config" {
			return
		}
		value := values[f.Value.Type()]
		if strings.HasSuffix(f.Name, "-uri-file") {
			value = uri
		}
		byFlag, err1 := load(t, []string{"--" + f.Name + "=" + value}, nil, "")
		byEnv, err2 := load(t, nil, []string{"FIELDSEAL_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")) + "=" + value}, "")
		byFile, err3 := load(t, nil, nil, f.Name+": "+value+"\n")
		byFile.Config = ""
		if err1 != nil || err2 != nil || err3 != nil {
			t.Fatalf("%s: %v %v %v", f.Name, err1, err2, err3)
		}
		if diff := cmp.Diff(byFlag, byEnv) + cmp.Diff(byFlag, byFile); diff != "" {
			t.Errorf("%s: %s", f.Name, diff)
		}
		if defaults, _ := load(t, nil, nil, ""); cmp.Equal(defaults, byFlag) {
			t.Errorf("%s changes nothing", f.Name)
		}
	})
}

func TestConfigFileByEnvironment(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("log-level: debug\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := load(t, nil, []string{"FIELDSEAL_CONFIG=" + path}, "")
	if err != nil || o.LogLevel != "debug" {
		t.Fatalf("%v %v", o.LogLevel, err)
	}
}

func TestLoadReportsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := load(t, nil,
		[]string{"FIELDSEAL_LISTN=x", "FIELDSEAL_DEMO=maybe"},
		"tls-cret: a\nmax-body: much\nrequest-timeout: 5\nlisten:\n  port: 1\ndata:\nconfig: other\n")
	problems, ok := err.(config.Problems)
	if !ok {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		"FIELDSEAL_LISTN: unknown setting", "FIELDSEAL_DEMO: want true or false", "file: tls-cret: unknown setting",
		"file: max-body: want a size", "file: request-timeout: want a duration", "file: listen.port: unknown setting",
		"file: data: want a text", "file: config:",
	} {
		if !strings.Contains(problems.Error(), want) {
			t.Errorf("no problem %q in %v", want, problems)
		}
	}
	if len(problems) != 8 {
		t.Errorf("%d problems: %v", len(problems), problems)
	}
}

func TestUnreadableFileIsAProblem(t *testing.T) {
	t.Parallel()
	if _, err := load(t, []string{"--config", filepath.Join(t.TempDir(), "none")}, nil, ""); err == nil {
		t.Error("missing file accepted")
	}
	for _, yaml := range []string{"- a\n", "a: b: c\n", "log-level: info\nlog-level: debug\n", "\x00"} {
		if _, err := load(t, nil, nil, yaml); err == nil {
			t.Errorf("%q accepted", yaml)
		}
	}
}

func TestProblemsWithholdValues(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	s := config.New()
	o, err := s.LoadAndValidate([]string{"FIELDSEAL_STORE=mongodb://u:" + secret + "@h/db", "FIELDSEAL_MAX_BODY=" + secret,
		"FIELDSEAL_BASE_URL=https://u:" + secret + "@h/fhir", "FIELDSEAL_PROFILE=" + secret, "FIELDSEAL_OTLP_ENDPOINT=" + secret})
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Fatalf("got %v", err)
	}
	if o.Profile != secret {
		t.Fatal("options hold what could be read")
	}
	if n := len(err.(config.Problems)); n != 7 {
		t.Fatalf("%d problems: %v", n, err)
	}
}

func TestSizeRoundTrip(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want int64
	}{{"0", 0}, {"1", 1}, {"4096", 4096}, {"3KiB", 3072}, {"2GiB", 2 << 30}, {"8589934591GiB", 8589934591 << 30}} {
		o, err := load(t, []string{"--max-body", tt.text}, nil, "")
		if err != nil || o.MaxBody != tt.want {
			t.Errorf("%s: %d %v", tt.text, o.MaxBody, err)
		}
	}
	for _, text := range []string{"", "-1", "1MB", "1.5MiB", "MiB", "8589934592GiB", "99999999999999999999"} {
		if err := config.New().Flags().Parse([]string{"--max-body", text}); err == nil {
			t.Errorf("%q accepted", text)
		}
	}
	if got := config.New().Flags().Lookup("max-body").DefValue; got != "32MiB" {
		t.Errorf("default shows as %s", got)
	}
}

func FuzzLoadFile(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nmax-body: 1MiB\n")
	path := filepath.Join(f.TempDir(), "c.yaml")
	f.Fuzz(func(t *testing.T, yaml string) {
		if os.WriteFile(path, []byte(yaml), 0o600) != nil {
			t.Skip()
		}
		s := config.New()
		if s.Flags().Parse([]string{"--config", path}) != nil {
			t.Skip()
		}
		_, _ = s.LoadAndValidate(nil)
	})
}
