package house

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// tourStart is ample for loading the demo on a busy machine.
const tourStart = 2 * time.Minute

// block is one fenced sh block of the tour, with what its output must and must
// not hold (HTML comments behind the block).
type block struct {
	text           string
	expect, absent []string
}

var (
	fence   = regexp.MustCompile("(?ms)^```sh\n(.*?)^```\n((?:<!-- (?:expect|absent): [^\n]* -->\n)*)")
	comment = regexp.MustCompile(`<!-- (expect|absent): (.*) -->`)
)

// tour extracts the blocks of a page's tour in order.
func tour(t *testing.T, page, heading string) []block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), page))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("%s has no %q", page, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []block
	for _, m := range fence.FindAllStringSubmatch(section, -1) {
		b := block{text: m[1]}
		for _, c := range comment.FindAllStringSubmatch(m[2], -1) {
			if c[1] == "expect" {
				b.expect = append(b.expect, c[2])
			} else {
				b.absent = append(b.absent, c[2])
			}
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// TestReadmeTourWorks runs the tour's blocks as one script against a server
// that was started for it, so that the README cannot rot; and behind it, in the
// same shell, the tour of docs/policy.md.
func TestReadmeTourWorks(t *testing.T) {
	blocks, policy := tour(t, "README.md", "A five-minute tour"), tour(t, "docs/policy.md", "A tour: a research project")
	if len(blocks) < 9 || len(policy) < 8 {
		t.Fatalf("the tours have %d and %d blocks; fences or headings changed", len(blocks), len(policy))
	}
	walkTour(t, append(blocks, policy...), "bash", "curl", "sed")
}

// TestSMARTTourWorks runs what docs/smart.md shows to developers of services
// and apps.
func TestSMARTTourWorks(t *testing.T) {
	blocks := tour(t, "docs/smart.md", "A backend service in five steps")
	app := tour(t, "docs/smart.md", "An app in ten minutes")
	if len(blocks) < 6 || len(app) < 6 {
		t.Fatalf("the tours have %d and %d blocks; fences or headings changed", len(blocks), len(app))
	}
	walkTour(t, append(blocks, app...), "bash", "curl", "sed", "openssl")
}

// walkTour runs blocks against a demo server of their own.
func walkTour(t *testing.T, blocks []block, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the tour needs %s", tool)
		}
	}
	dir := t.TempDir()
	binary, data := filepath.Join(dir, "fieldseal"), filepath.Join(dir, "data")
	build := exec.Command("go", "build", "-o", binary, "./cmd/fieldseal")
	build.Dir = root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	serveDemo(t, binary, data)
	outputs := runTour(t, dir, blocks, "FIELDSEAL="+binary, "DATA="+data)
	for i, b := range blocks {
		checkBlock(t, b, outputs[i])
	}
}

func checkBlock(t *testing.T, b block, output string) {
	t.Helper()
	for _, want := range b.expect {
		if !strings.Contains(output, want) {
			t.Errorf("%q is not in the output of\n%s\n%s", want, b.text, output)
		}
	}
	for _, not := range b.absent {
		if strings.Contains(output, not) {
			t.Errorf("%q is in the output of\n%s\n%s", not, b.text, output)
		}
	}
}

// runTour runs the blocks in one shell and returns the output of each.
func runTour(t *testing.T, dir string, blocks []block, env ...string) []string {
	t.Helper()
	const mark = "@@ block "
	var script strings.Builder
	for i, b := range blocks {
		fmt.Fprintf(&script, "echo '%s%d'\n%s", mark, i, b.text)
	}
	c := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script.String())
	c.Dir, c.Env = dir, append(withoutSettings(), env...)
	out, err := c.CombinedOutput()
	outputs := strings.Split(string(out), mark)[1:]
	if err != nil {
		t.Fatalf("the tour stopped in block %d: %v\n%s", len(outputs)-1, err, out)
	}
	if len(outputs) != len(blocks) {
		t.Fatalf("%d of %d blocks ran", len(outputs), len(blocks))
	}
	return outputs
}

// withoutSettings keeps settings of whoever runs the tests, proxies included,
// away from the server and from curl.
func withoutSettings() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FIELDSEAL") {
			env = append(env, v)
		}
	}
	return append(env, "NO_PROXY=*", "no_proxy=*", "LC_ALL=C") // the last of a name counts
}

// output is what a process printed; it may be read while the process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// serveDemo starts a demo server on a fresh data folder and waits until it
// takes requests. It is stopped as an operator would: SIGTERM, exit code 0.
func serveDemo(t *testing.T, binary, data string) {
	t.Helper()
	var out output
	c := exec.Command(binary, "serve", "--demo", "--data", data, "--listen", "127.0.0.1:0", "--metrics", "")
	c.Stdout, c.Stderr, c.Env = &out, &out, withoutSettings()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() { stopServer(t, c, ended, &out) })
	for deadline := time.Now().Add(tourStart); !strings.Contains(out.String(), "FHIR base"); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the server ended: %v\n%s", err, &out)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server was not ready in %v\n%s", tourStart, &out)
		}
	}
}

func stopServer(t *testing.T, c *exec.Cmd, ended chan error, out *output) {
	_ = c.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the server ended with %v\n%s", err, out)
		}
	case <-time.After(time.Minute):
		_ = c.Process.Kill()
		t.Error("the server did not drain within a minute")
	}
}
