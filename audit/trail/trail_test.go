package trail

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" || os.Getenv(mongoChildEnv) != "" {
		runChild()
		return
	}
	code := mongotest.Run(m.Run, &sharedServer)
	if err := leaked(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// leaked looks for goroutines for longer than goleak does alone: on a busy machine
// those that are ending need more than half a second.
func leaked() (err error) {
	for end := time.Now().Add(time.Minute); ; {
		if err = goleak.Find(); err == nil || time.Now().After(end) {
			return err
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
	got, err := tr.Get(t.Context(), "n1", 1)
	if err != nil {
		t.Fatal(err)
	}
	if n := got.Entities[0]; !n.Erased || n.ID != "" || n.PatientIDs[0] != "" || n.Patients[0] != (audit.Owner{}) || n.Classes != 0x44 {
		t.Errorf("erased entity still says %+v", n)
	}
	if n := got.Entities[1]; n.Erased || n.ID != "kept" || n.Patients[0] != patient(2) {
		t.Errorf("the other patient's entity says %+v", n)
	}
	if got, err = tr.Get(t.Context(), "n1", 2); err != nil || got.Query != "" {
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

// unlikely gives an event a patient whose name chance does not write: a short one
// with zeros behind it stands at the end of what is reserved ahead.
func unlikely(e *audit.Event) audit.Owner {
	o := audit.Owner([]byte("an owner's bytes"))
	e.Entities[0].Patients = []audit.Owner{o}
	return o
}

func TestNothingReadableReachesTheDisk(t *testing.T) {
	t.Parallel()
	opt := testOptions(t, newFakeKeys())
	tr := mustOpen(t, opt)
	e := readEvent(1)
	e.Query = "name=MARKER"
	o := unlikely(&e)
	for range 20 {
		mustRecord(t, tr, e)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
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
