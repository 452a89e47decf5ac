package house

import (
	"bufio"
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/fieldseal/fieldseal/internal/config"
)

// instruction is one line of a Dockerfile, continuation lines joined.
type instruction struct{ word, args string }

func parseDockerfile(b []byte) []instruction {
	var all []instruction
	joined := ""
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if before, more := strings.CutSuffix(line, `\`); more {
			joined += before
			continue
		}
		word, args, _ := strings.Cut(joined+line, " ")
		all, joined = append(all, instruction{strings.ToUpper(word), strings.TrimSpace(args)}), ""
	}
	return all
}

var (
	pinned  = regexp.MustCompile(`^(--platform=\S+ )?[a-z0-9./:_-]+@sha256:[0-9a-f]{64}( AS [a-z]+)?$`)
	numeric = regexp.MustCompile(`^[1-9][0-9]*(:[1-9][0-9]*)?$`)
)

// checkDockerfile lists what is wrong with an image's recipe.
func checkDockerfile(all []instruction) (faults []string) {
	user := ""
	last := map[string]string{}
	for _, in := range all {
		last[in.word] = in.args
		switch {
		case in.word == "FROM":
			user = ""
			if in.args != "scratch" && !pinned.MatchString(in.args) {
				faults = append(faults, "FROM is neither scratch nor pinned by digest: "+in.args)
			}
		case in.word == "ADD":
			faults = append(faults, "ADD fetches and unpacks: use COPY")
		case in.word == "USER":
			user = in.args
		case in.word == "COPY" && strings.Contains(in.args, "://"), in.word == "RUN" && strings.Contains(in.args, "curl"):
			faults = append(faults, "fetches from the network: "+in.args)
		case in.word == "ENV" || in.word == "ARG":
			if regexp.MustCompile(`(?i)(password|secret|token)`).MatchString(in.args) {
				faults = append(faults, in.word+" holds a secret")
			}
		case in.word == "RUN" || in.word == "ONBUILD":
			faults = append(faults, in.word+": the final image only copies")
		}
	}
	if !numeric.MatchString(user) {
		faults = append(faults, "final USER is not a number above 0: "+user)
	}
	if base := last["FROM"]; base != "scratch" && !strings.Contains(base, "distroless") {
		faults = append(faults, "final stage is neither scratch nor distroless")
	}
	for _, word := range []string{"ENTRYPOINT", "CMD", "HEALTHCHECK"} {
		if args := last[word]; !strings.Contains(args, "[") {
			faults = append(faults, word+" is missing or needs a shell")
		}
	}
	return faults
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(root(t), "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range checkDockerfile(parseDockerfile(b)) {
		t.Error(fault)
	}
}

func TestDockerfileCheckFindsFaults(t *testing.T) {
	t.Parallel()
	const sound = "FROM scratch\nUSER 1:1\nHEALTHCHECK CMD [\"/x\"]\nENTRYPOINT [\"/x\"]\nCMD [\"y\"]\n"
	if faults := checkDockerfile(parseDockerfile([]byte(sound))); len(faults) != 0 {
		t.Fatalf("sound recipe: %v", faults)
	}
	for name, recipe := range map[string]string{
		"tag instead of digest": "FROM debian:13\n" + sound,
		"short digest":          "FROM golang@sha256:abc AS build\n" + sound,
		"final stage with tag":  sound + "FROM debian:13\nUSER 1\n",
		"root":                  sound + "USER 0\n",
		"named user":            sound + "USER nonroot\n",
		"user of another stage": sound + "FROM scratch\n",
		"ADD":                   sound + "ADD https://example.org/x /x\n",
		"shell form":            sound + "CMD y\n",
		"secret":                sound + "ENV DB_PASSWORD=x\n",
		"continued":             sound + "ENV A=1 \\\n  API_TOKEN=x\n",
		"run":                   sound + "RUN true\n",
	} {
		if faults := checkDockerfile(parseDockerfile([]byte(recipe))); len(faults) == 0 {
			t.Errorf("%s: no fault found", name)
		}
	}
}

// imageSettings are the FIELDSEAL_ variables that the image sets.
func imageSettings(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(t), "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for _, in := range parseDockerfile(b) {
		if in.word == "ENV" {
			env = append(env, strings.Fields(in.args)...)
		}
	}
	return env
}

func accepted(t *testing.T, name string, env []string) {
	t.Helper()
	if o, err := config.New().LoadAndValidate(env); err != nil {
		t.Errorf("%s: %v", name, err)
	} else if o.Profile != config.Production {
		t.Errorf("%s: profile %s", name, o.Profile)
	}
}

func readYAML(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(t), "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestComposeIsHardened(t *testing.T) {
	t.Parallel()
	uri := filepath.Join(t.TempDir(), "uri")
	if err := os.WriteFile(uri, []byte("mongodb://fieldseal:p@mongo1,mongo2/fieldseal?replicaSet=rs0&authSource=admin&tls=true"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, nodes := range map[string][]string{"compose.yaml": {"fieldseal"}, "compose-mongodb.yaml": {"fieldseal1", "fieldseal2"}} {
		var c struct {
			Services map[string]struct {
				Environment map[string]string
				User        string
				ReadOnly    bool     `yaml:"read_only"`
				CapDrop     []string `yaml:"cap_drop"`
				SecurityOpt []string `yaml:"security_opt"`
				MemLimit    string   `yaml:"mem_limit"`
				PidsLimit   int      `yaml:"pids_limit"`
				CPUs        float64  `yaml:"cpus"`
				Privileged  bool
			}
		}
		readYAML(t, file, &c)
		for _, name := range nodes {
			s, ok := c.Services[name]
			if !ok || !s.ReadOnly || s.Privileged || len(s.CapDrop) != 1 || s.CapDrop[0] != "ALL" || s.User != "65532:65532" ||
				len(s.SecurityOpt) != 1 || s.SecurityOpt[0] != "no-new-privileges:true" || s.MemLimit == "" || s.PidsLimit == 0 || s.CPUs == 0 {
				t.Errorf("%s: not hardened: %+v", file, s)
			}
			env := imageSettings(t)
			for k, v := range s.Environment {
				if k == "FIELDSEAL_STORE_URI_FILE" {
					v = uri
				}
				env = append(env, k+"="+v)
			}
			accepted(t, file, env)
		}
	}
}

func TestKubernetesIsHardened(t *testing.T) {
	t.Parallel()
	var set struct {
		Spec struct {
			Template struct {
				Spec struct {
					AutomountServiceAccountToken *bool `yaml:"automountServiceAccountToken"`
					EnableServiceLinks           *bool `yaml:"enableServiceLinks"`
					SecurityContext              struct {
						RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
						RunAsUser      int                   `yaml:"runAsUser"`
						FSGroup        *int                  `yaml:"fsGroup"`
						SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
					} `yaml:"securityContext"`
					Containers []struct {
						Env             []struct{ Name, Value string }
						SecurityContext struct {
							AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
							ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
							Capabilities             struct{ Drop, Add []string }
						} `yaml:"securityContext"`
						Resources struct{ Limits map[string]string }
					}
				}
			}
		}
	}
	readYAML(t, "kubernetes.yaml", &set) // the first document
	pod := set.Spec.Template.Spec
	no := func(b *bool) bool { return b != nil && !*b }
	if !no(pod.AutomountServiceAccountToken) || !no(pod.EnableServiceLinks) || !pod.SecurityContext.RunAsNonRoot ||
		pod.SecurityContext.RunAsUser == 0 || pod.SecurityContext.FSGroup != nil || pod.SecurityContext.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("pod is not hardened: %+v", pod.SecurityContext)
	}
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers", len(pod.Containers))
	}
	c := pod.Containers[0]
	if sc := c.SecurityContext; !no(sc.AllowPrivilegeEscalation) || !sc.ReadOnlyRootFilesystem ||
		len(sc.Capabilities.Add) != 0 || len(sc.Capabilities.Drop) != 1 || sc.Capabilities.Drop[0] != "ALL" {
		t.Errorf("container is not hardened: %+v", sc)
	}
	if c.Resources.Limits["memory"] == "" || c.Resources.Limits["cpu"] == "" {
		t.Errorf("no limits: %v", c.Resources.Limits)
	}
	env := imageSettings(t)
	for _, e := range c.Env {
		env = append(env, e.Name+"="+e.Value)
	}
	accepted(t, "kubernetes.yaml", env)
}

// TestReleaseBuildIsStaticAndReproducible runs deploy/build.sh twice and
// compares; it also proves that the image's files are complete.
func TestReleaseBuildIsStaticAndReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the release binary twice; run without -short")
	}
	t.Parallel()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, []byte("# none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var builds [2][]byte
	for i := range builds {
		out := t.TempDir()
		cmd := exec.CommandContext(t.Context(), filepath.Join(root(t), "deploy", "build.sh"))
		cmd.Env = append(os.Environ(), "OUT="+out, "CA_CERTS="+ca, "VERSION=1.2.3-test")
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		for _, name := range []string{"rootfs/etc/passwd", "rootfs/etc/group", "rootfs/etc/ssl/certs/ca-certificates.crt", "state/data", "state/keystore", "state/witness"} {
			if _, err := os.Stat(filepath.Join(out, name)); err != nil {
				t.Error(err)
			}
		}
		path := filepath.Join(out, "rootfs", "fieldseal")
		static(t, path)
		var err error
		if builds[i], err = os.ReadFile(path); err != nil { // #nosec G304 -- just built
			t.Fatal(err)
		}
		if b, err := exec.CommandContext(t.Context(), path, "version").Output(); err != nil || !bytes.Contains(b, []byte("1.2.3-test")) { // #nosec G204 -- just built
			t.Errorf("version: %s %v", b, err)
		}
	}
	if !bytes.Equal(builds[0], builds[1]) {
		t.Error("two builds differ")
	}
	if mib := len(builds[0]) >> 20; mib > 80 {
		t.Errorf("binary has %d MiB, more than 80", mib)
	}
	if bytes.Contains(builds[0], []byte(root(t)+"/")) {
		t.Error("the binary names the folder it was built in")
	}
}

func static(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Error("the binary is dynamically linked")
		}
	}
}
