package trail

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/fieldseal/fieldseal/audit"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		runChild()
		return
	}
	goleak.VerifyTestMain(m)
}

func TestEventsAreReadBackAsRecorded(t *testing.T) {
	t.Parallel()
	opt := testOptions(t, newFakeKeys())
	tr := mustOpen(t, opt)
	var want []audit.Event
	for n := range byte(40) {
		e := readEvent(n % 3)
		switch n % 4 {
		case 1: // a page about two patients
			e.Subtype, e.Query = "search-type", "code=1"
			e.Entities = append(e.Entities, audit.Entity{Type: "Encounter", ID: "e1", Version: 1, Classes: 2,
				Patients: []audit.Owner{patient(8), patient(9)}, PatientIDs: []string{"p8", "p9"}})
		case 2: // no patient, full identity of a write
			e.Outcome, e.Entities = audit.Success, []audit.Entity{{Type: "Organization", ID: "o1", Version: 2, Expect: 1, Key: [16]byte{5}, ContentHash: [32]byte{6}}}
		case 3: // a patient reads about itself
			e.Agent.Who, e.Query = "Patient/pat-MARKER", "patient=pat-MARKER"
		}
		want = append(want, e)
		if seq := mustRecord(t, tr, e); seq != uint64(n)+1 {
			t.Fatalf("sequence %d after %d events", seq, n)
		}
	}
	check := func(tr *Trail) {
		t.Helper()
		for i := range want {
			got, err := tr.Get(t.Context(), uint64(i)+1)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want[i], got.Event); d != "" {
				t.Fatalf("event %d (-recorded +read):\n%s", i+1, d)
			}
		}
	}
	check(tr)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	tr = mustOpen(t, opt)
	check(tr)
	if _, err := tr.Get(t.Context(), 41); !errors.Is(err, ErrNotFound) {
		t.Errorf("event that does not exist: %v", err)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	opt := testOptions(t, newFakeKeys())
	var minute atomic.Int64
	opt.Now = func() time.Time { return time.Date(2026, 1, 1, 0, int(minute.Add(1)), 0, 0, time.UTC) }
	tr := mustOpen(t, opt)
	for n := range 60 {
		e := readEvent(byte(n % 5))
		if n%2 == 1 {
			e.Subtype, e.Agent.Subject = "vread", "user:other"
		}
		mustRecord(t, tr, e)
	}
	all, err := tr.Search(t.Context(), Query{})
	if err != nil || len(all) != 60 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	p := patient(3)
	mid := all[30].Time
	for name, q := range map[string]Query{
		"patient":         {Patient: &p},
		"agent":           {Agent: "user:other"},
		"patient, agent":  {Patient: &p, Agent: "user:other"},
		"unknown agent":   {Agent: "user:nobody"},
		"kind":            {Kinds: []audit.Kind{audit.REST}},
		"other kind":      {Kinds: []audit.Kind{audit.Login}},
		"subtype":         {Subtypes: []Subtype{{audit.REST, "vread"}}},
		"from":            {From: mid},
		"to":              {To: mid},
		"patient in time": {Patient: &p, From: all[40].Time, To: all[9].Time},
		"before":          {Before: 33},
		"limit":           {Limit: 7},
		"page":            {Patient: &p, Before: 40, Limit: 3},
	} {
		var want []uint64
		for i := range all {
			e := &all[i]
			in := (q.From.IsZero() || !e.Time.Before(q.From)) && (q.To.IsZero() || !e.Time.After(q.To)) && (q.Before == 0 || e.Seq < q.Before)
			if in && q.matches(e) && (q.Limit == 0 || len(want) < q.Limit) {
				want = append(want, e.Seq)
			}
		}
		got, err := tr.Search(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var seqs []uint64
		for _, e := range got {
			seqs = append(seqs, e.Seq)
		}
		if d := cmp.Diff(want, seqs); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestErasedPatientIsGoneAndProofsStayValid(t *testing.T) {
	t.Parallel()
	keys := newFakeKeys()
	opt := testOptions(t, keys)
	tr := mustOpen(t, opt)
	e := readEvent(1)
	e.Entities = append(e.Entities, readEvent(2).Entities...)
	e.Entities[1].ID = "kept"
	mustRecord(t, tr, e)
	one := readEvent(1)
	one.Query = "patient=pat-MARKER"
	mustRecord(t, tr, one)
	keys.erased[patient(1)] = true
	got, err := tr.Get(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if n := got.Entities[0]; !n.Erased || n.ID != "" || n.PatientIDs[0] != "" || n.Patients[0] != (audit.Owner{}) || n.Classes != 0x44 {
		t.Errorf("erased entity still says %+v", n)
	}
	if n := got.Entities[1]; n.Erased || n.ID != "kept" || n.Patients[0] != patient(2) {
		t.Errorf("the other patient's entity says %+v", n)
	}
	if got, err = tr.Get(t.Context(), 2); err != nil || got.Query != "" {
		t.Errorf("query about the erased patient: %q, %v", got.Query, err)
	}
	p := patient(1)
	if _, err := tr.Search(t.Context(), Query{Patient: &p}); !errors.Is(err, ErrErased) {
		t.Errorf("search by an erased patient: %v", err)
	}
	mustRecord(t, tr, one) // an event about an erased patient is still an event
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNothingReadableReachesTheDisk(t *testing.T) {
	t.Parallel()
	opt := testOptions(t, newFakeKeys())
	tr := mustOpen(t, opt)
	e := readEvent(1)
	e.Query = "name=MARKER"
	for range 20 {
		mustRecord(t, tr, e)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	o := patient(1)
	err := filepath.WalkDir(filepath.Dir(opt.Dir), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range []string{"MARKER", "dr-demo", "Practitioner", "Observation", "clinician", string(o[:])} {
			if bytes.Contains(b, []byte(m)) {
				t.Errorf("%s holds %q", filepath.Base(path), m)
			}
		}
		if info, _ := d.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", filepath.Base(path), info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSecondWriterIsRefused(t *testing.T) {
	t.Parallel()
	opt := testOptions(t, newFakeKeys())
	mustOpen(t, opt)
	if _, err := Open(context.Background(), opt); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v", err)
	}
}

func TestClosedTrailRefuses(t *testing.T) {
	t.Parallel()
	tr := mustOpen(t, testOptions(t, newFakeKeys()))
	tr.Close()
	if _, err := tr.Record(t.Context(), readEvent(1)); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
