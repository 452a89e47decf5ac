package glass

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/kmstest"
	"github.com/fieldseal/fieldseal/repository"
)

// desk is a book with a clock that the test moves.
type desk struct {
	*Book
	table repository.Table
	at    time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	ring := keyringtest.InitRing(t, keyring.Options{Table: keyringtest.NewTable(), Wrapper: kmstest.New()})
	d := &desk{table: keyringtest.NewTable(), at: time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)}
	d.Book = NewBook(d.table, ring, func() time.Time { return d.at })
	return d
}

func (d *desk) record() Record {
	return Record{ID: NewID(), Subject: "user:dr", Client: "ehr", Patient: "p1", Reason: "ETREAT", Text: "unconscious in the emergency room",
		Started: d.at, Ends: d.at.Add(MaxLife)}
}

func (d *desk) opened(t *testing.T) Record {
	t.Helper()
	r := d.record()
	if err := d.Open(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAccessIsNotInForceForAnyoneElseOrLater(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	r := d.opened(t)
	if got, err := d.InForce(t.Context(), r.ID, "user:dr", "ehr"); err != nil || got.Patient != "p1" {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, c := range [][3]string{{r.ID, "user:other", "ehr"}, {r.ID, "user:dr", "other"}, {NewID(), "user:dr", "ehr"}, {"", "user:dr", "ehr"}, {r.ID + "00", "user:dr", "ehr"}, {"glass/../x", "user:dr", "ehr"}} {
		if _, err := d.InForce(t.Context(), c[0], c[1], c[2]); !errors.Is(err, ErrNotInForce) {
			t.Errorf("%v: %v", c, err)
		}
		if _, err := d.Stop(t.Context(), c[0], c[1], c[2]); !errors.Is(err, ErrNotInForce) {
			t.Errorf("%v is stopped: %v", c, err)
		}
	}
	d.at = d.at.Add(MaxLife)
	if _, err := d.InForce(t.Context(), r.ID, "user:dr", "ehr"); !errors.Is(err, ErrNotInForce) {
		t.Errorf("after its end: %v", err)
	}
	d.at = d.at.Add(-MaxLife - time.Second)
	if _, err := d.InForce(t.Context(), r.ID, "user:dr", "ehr"); !errors.Is(err, ErrNotInForce) {
		t.Errorf("when the clock goes back: %v", err)
	}
}

func TestStoppedAccessIsOver(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	r := d.opened(t)
	if _, err := d.Stop(t.Context(), r.ID, "user:dr", "ehr"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.InForce(t.Context(), r.ID, "user:dr", "ehr"); !errors.Is(err, ErrNotInForce) {
		t.Error(err)
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, spoil := range map[string]func(*Record){
		"without a reason":   func(r *Record) { r.Reason = "" },
		"unknown reason":     func(r *Record) { r.Reason = "CURIOUS" },
		"no text":            func(r *Record) { r.Text = "  \n          " },
		"endless text":       func(r *Record) { r.Text = strings.Repeat("x", 1001) },
		"too long":           func(r *Record) { r.Ends = r.Started.Add(MaxLife + time.Second) },
		"ends before":        func(r *Record) { r.Ends = r.Started },
		"no patient":         func(r *Record) { r.Patient = "" },
		"a list of patients": func(r *Record) { r.Patient = "p1,p2" },
		"nobody":             func(r *Record) { r.Subject = "" },
	} {
		r := d.record()
		spoil(&r)
		if err := d.Open(t.Context(), r); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReviewIsByAnotherPersonAndFinal(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	r := d.opened(t)
	for _, by := range []string{"user:dr", "dr", " user:dr "} {
		if _, err := d.Close(t.Context(), r.ID, Review{By: by, Decision: Justified}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q reviews the own access: %v", by, err)
		}
	}
	if _, err := d.Close(t.Context(), r.ID, Review{By: "user:officer", Decision: "fine"}); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	d.at = d.at.Add(ReviewWithin + time.Second)
	if n, err := d.Overdue(t.Context()); n != 1 || err != nil {
		t.Errorf("%d overdue, %v", n, err)
	}
	if _, err := d.Close(t.Context(), r.ID, Review{By: "user:officer", Decision: Unjustified, Comment: "no emergency"}); err != nil {
		t.Fatal(err)
	}
	if n, _ := d.Overdue(t.Context()); n != 0 {
		t.Errorf("%d overdue after the review", n)
	}
	if _, err := d.Close(t.Context(), r.ID, Review{By: "user:officer", Decision: Justified}); !errors.Is(err, ErrReviewed) {
		t.Errorf("a second decision: %v", err)
	}
	if _, err := d.Close(t.Context(), NewID(), Review{By: "user:officer", Decision: Justified}); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

// Neither what was written nor who it is about can be read from the table, and
// a row does not open in another's place.
func TestRowsAreSealedAndBound(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	a, b := d.opened(t), d.opened(t)
	var moved repository.Row
	for row, err := range d.table.Scan(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		var v struct {
			Sealed []byte `json:"sealed"`
		}
		if err := json.Unmarshal(row.Value, &v); err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"unconscious", `"p1"`, "user:dr"} { // too long to occur by chance
			if bytes.Contains(v.Sealed, []byte(word)) || bytes.Contains(row.Value, []byte(word)) {
				t.Errorf("the row shows %s", word)
			}
		}
		if string(row.Key) == string(rowKey(a.ID)) {
			moved = row
		}
	}
	target, err := d.table.Get(t.Context(), rowKey(b.ID))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.table.PutIf(t.Context(), rowKey(b.ID), moved.Value, target.Revision); err != nil {
		t.Fatal(err)
	}
	if _, err := d.InForce(t.Context(), b.ID, "user:dr", "ehr"); !errors.Is(err, repository.ErrCorrupt) {
		t.Errorf("a moved row opens: %v", err)
	}
}

func TestErasedPatientIsForgotten(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	r := d.opened(t)
	if err := d.Forget(t.Context(), "p1"); err != nil {
		t.Fatal(err)
	}
	all, err := d.All(t.Context())
	if err != nil || len(all) != 1 || all[0].Patient != "" || all[0].Text != "" || all[0].Reason != "ETREAT" {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := d.InForce(t.Context(), r.ID, "user:dr", "ehr"); !errors.Is(err, ErrNotInForce) {
		t.Error(err)
	}
}

// docs/format/break-glass.md: what format 1 writes is still read, and written.
func TestFormat1(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/format/v1/record.json")
	if err != nil {
		t.Fatal(err)
	}
	var r Record
	if err := json.Unmarshal(want, &r); err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(r)
	if err != nil || string(got)+"\n" != string(want) {
		t.Errorf("%s\n%s", got, want)
	}
}
