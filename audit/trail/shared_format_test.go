package trail

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

// What version 1 wrote into a database, every later version opens, verifies and
// searches. The file holds one entry a line.
func TestFrozenLogFormatV1(t *testing.T) {
	t.Parallel()
	const events = 20
	frozen := filepath.Join("testdata", "format", "v1-log")
	if *freeze {
		writeFrozenLog(t, frozen, events)
	}
	log := &memoryLog{}
	readFrozenLog(t, filepath.Join(frozen, "entries.ndjson"), log)
	witness := filepath.Join(t.TempDir(), "witness")
	if err := os.CopyFS(filepath.Dir(witness), os.DirFS(frozen)); err != nil {
		t.Fatal(err)
	}
	reps, err := VerifyLog(t.Context(), log, VerifyOptions{Witness: witness})
	if err != nil || len(reps) != 1 || !reps[0].OK() || reps[0].Events != events+1 || reps[0].Witnessed != events+1 {
		t.Fatalf("%+v, %v", reps, err)
	}
	opt := sharedOptions(t, newFakeKeys(), log, keyringtest.NewTable())
	opt.Witness = witness
	for n := range byte(9) {
		opt.Keys.PatientKeys(t.Context(), patient(n))
	}
	tr := mustOpen(t, opt)
	for i := range events {
		e, err := tr.Get(t.Context(), "n1", uint64(i)+2)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(frozenEvent(i), e.Event); d != "" {
			t.Errorf("event %d (-want +got):\n%s", i+2, d)
		}
	}
	p := patient(7)
	if got, err := tr.Search(t.Context(), Query{Patient: &p, Agent: "user:dr-demo"}); err != nil || len(got) != 4 {
		t.Errorf("%d events, %v", len(got), err)
	}
	if got, err := tr.OpenIntents(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("%d open intents, %v", len(got), err)
	}
}

func readFrozenLog(t *testing.T, path string, log *memoryLog) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e repository.LogEntry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		log.put(e)
	}
}

func writeFrozenLog(t *testing.T, dir string, events int) {
	t.Helper()
	os.RemoveAll(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	opt, log, _ := memoryOptions(t)
	opt.Witness = filepath.Join(dir, "witness")
	opt.Now = func() time.Time { return time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC) }
	tr := mustOpen(t, opt)
	for i := range events {
		mustRecord(t, tr, frozenEvent(i))
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "entries.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, e := range log.entries {
		if err := json.NewEncoder(f).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRecordsAreTheSameBytesInBothForms: a frame knows nothing of where it lies.
func TestRecordsAreTheSameBytesInBothForms(t *testing.T) {
	t.Parallel()
	log := &memoryLog{}
	readFrozenLog(t, filepath.Join("testdata", "format", "v1-log", "entries.ndjson"), log)
	dir := filepath.Join(t.TempDir(), "trail")
	if _, err := CopyToFolder(t.Context(), log, "n1", dir); err != nil {
		t.Fatal(err)
	}
	c, _, err := openReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for f, err := range c.read(t.Context(), "n1", 1) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := one(t.Context(), log, entryID(kindFrame, "n1", f.seq))
		if err != nil || string(e.Body) != string(f.raw) {
			t.Errorf("event %d differs: %v", f.seq, err)
		}
		n++
	}
	if n != 21 {
		t.Errorf("%d events", n)
	}
}
