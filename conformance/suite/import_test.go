package suite

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir/fhirtest"
)

// importSummary is what `import --json` prints.
type importSummary struct {
	Inputs, Skipped, Created, Updated, Unchanged, Refused int
	Refusals                                              []struct {
		Input       string
		Entry       *int
		Line        int
		Status      int
		Diagnostics []string
	}
}

func runImport(t *testing.T, dir string, wantCode int, paths ...string) (sum importSummary) {
	t.Helper()
	code, stdout, stderr := command(t, append([]string{"import", "--data", dir, "--json"}, paths...)...)
	if code != wantCode {
		t.Fatalf("import: exit code %d, want %d: %s%s", code, wantCode, stdout, stderr)
	}
	decode(t, []byte(stdout), &sum)
	return sum
}

// ndjson is a file of n patients whose identifiers share a system.
func ndjson(t *testing.T, system string, n int) string {
	t.Helper()
	var b strings.Builder
	for range n {
		p := person("")
		p["identifier"] = []any{object{"system": system, "value": unique("v")}}
		line, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return file(t, "patients.ndjson", b.String())
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestImportSaysWhatWasRefusedAndDoesNothingTwice(t *testing.T) {
	t.Parallel()
	s := start(t)
	system, marker := "urn:"+unique("import-"), unique("secret-")
	good := ndjson(t, system, 120)
	bad := file(t, "bad.ndjson", `{"resourceType":"Patient"}`+"\n"+`{"resourceType":"Patient","gender":"`+marker+`"}`+"\n"+`{broken`+"\n")
	b, err := json.Marshal(transaction(post(person(""), ""), post(object{"resourceType": "Patient", "birthDate": marker}, "")))
	if err != nil {
		t.Fatal(err)
	}
	tx := file(t, "transaction.json", string(b))
	sum := runImport(t, s.dir, 1, good, bad, tx)
	if sum.Created != 121 || sum.Refused < 3 || len(sum.Refusals) < 3 {
		t.Errorf("%+v", sum)
	}
	places := map[string]bool{}
	for _, r := range sum.Refusals {
		switch {
		case r.Entry != nil:
			places["entry"] = *r.Entry == 1
		case r.Line > 0:
			places[map[int]string{2: "invalid line", 3: "broken line"}[r.Line]] = true
		}
		if text := strings.Join(r.Diagnostics, " "); text == "" || strings.Contains(text, marker) {
			t.Errorf("diagnostics %q", text)
		}
	}
	if !places["entry"] || !places["invalid line"] || !places["broken line"] {
		t.Errorf("places %v in %+v", places, sum.Refusals)
	}
	again := runImport(t, s.dir, 0, good)
	if again.Created != 0 || again.Skipped != 1 || s.total(t, "/Patient?identifier="+system+"|") != 120 {
		t.Errorf("a second run: %+v", again)
	}
}

func TestImportWithoutAServerAndFromFolders(t *testing.T) {
	t.Parallel()
	dir, folder := demoData(t), t.TempDir()
	for _, from := range []func(func(string, []byte) bool){fhirtest.SyntheaInformation(t), fhirtest.Synthea(t)} {
		for name, b := range from {
			if err := os.WriteFile(filepath.Join(folder, name+".json"), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if sum := runImport(t, dir, 0, folder); sum.Inputs != 5 || sum.Created < 300 || sum.Refused != 0 {
		t.Errorf("%+v", sum)
	}
	verify(t, dir)
	startOn(t, dir)
}

func TestImportFromStandardInput(t *testing.T) {
	t.Parallel()
	s := start(t)
	system := "urn:" + unique("import-")
	f, err := os.Open(ndjson(t, system, 30))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	code, stdout, stderr := commandInput(t, f, "import", "--data", s.dir, "--json", "-")
	var sum importSummary
	decode(t, []byte(stdout), &sum)
	if code != 0 || sum.Created != 30 || sum.Refused != 0 || s.total(t, "/Patient?identifier="+system+"|") != 30 {
		t.Errorf("exit code %d, %+v %s", code, sum, stderr)
	}
}

func TestInterruptedImportIsResumedWithoutDuplicates(t *testing.T) {
	t.Parallel()
	s := start(t)
	system := "urn:" + unique("import-")
	path := ndjson(t, system, 900)
	for _, after := range []time.Duration{150, 250, 350} {
		c := exec.Command(binary, "import", "--data", s.dir, "--parallel", "1", path)
		c.Env = environment(c.Args)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after * time.Millisecond)
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	sum := runImport(t, s.dir, 0, path)
	if n := s.total(t, "/Patient?identifier="+system+"|"); n != 900 {
		t.Errorf("%d patients after interruptions: %+v", n, sum)
	}
}
