package trail

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldseal/fieldseal/audit"
)

var freeze = flag.Bool("freeze", false, "write testdata/format/v1 anew; only before the format's first release")

func frozenEvent(i int) audit.Event {
	e := readEvent(byte(i % 3))
	e.RequestID = fmt.Sprint("req-", i)
	if i%5 == 0 {
		e.Subtype, e.Action, e.Query = "search-type", audit.Execute, "code=1"
		e.Entities = append(e.Entities, audit.Entity{Type: "Encounter", ID: "e1", Version: 2, Classes: 2, Expect: 1, Key: [16]byte{1}, ContentHash: [32]byte{2},
			Patients: []audit.Owner{patient(7)}, PatientIDs: []string{"p7"}})
	}
	return e
}

// What version 1 wrote, every later version opens, verifies and searches.
func TestFrozenFormatV1(t *testing.T) {
	t.Parallel()
	const events = 20
	frozen := filepath.Join("testdata", "format", "v1")
	if *freeze {
		writeFrozen(t, frozen, events)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(frozen)); err != nil {
		t.Fatal(err)
	}
	opt := testOptions(t, newFakeKeys())
	opt.Dir, opt.Witness = filepath.Join(dir, "trail"), filepath.Join(dir, "witness")
	rep := verify(t, VerifyOptions{Dir: opt.Dir, Witness: opt.Witness})
	if !rep.OK() || rep.Events != events || rep.Witnessed != events {
		t.Fatalf("%+v", rep)
	}
	for n := range byte(9) {
		opt.Keys.PatientKeys(t.Context(), patient(n))
	}
	tr := mustOpen(t, opt)
	for i := range events {
		e, err := tr.Get(t.Context(), "n1", uint64(i)+1)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(frozenEvent(i), e.Event); d != "" {
			t.Errorf("event %d (-want +got):\n%s", i+1, d)
		}
	}
	p := patient(7)
	if got, err := tr.Search(t.Context(), Query{Patient: &p, Agent: "user:dr-demo"}); err != nil || len(got) != 4 {
		t.Errorf("%d events, %v", len(got), err)
	}
}

func writeFrozen(t *testing.T, dir string, events int) {
	t.Helper()
	os.RemoveAll(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	opt := testOptions(t, newFakeKeys())
	opt.Dir, opt.Witness = filepath.Join(dir, "trail"), filepath.Join(dir, "witness")
	opt.Now = func() time.Time { return time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC) }
	tr := mustOpen(t, opt)
	for i := range events {
		mustRecord(t, tr, frozenEvent(i))
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
}
