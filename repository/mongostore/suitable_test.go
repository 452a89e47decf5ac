package mongostore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

func TestStandaloneServerIsRefused(t *testing.T) {
	t.Parallel()
	s := mongotest.New(t, "--standalone")
	_, err := mongostore.Open(t.Context(), mongostore.Options{URI: s.URI()})
	if !errors.Is(err, mongostore.ErrUnsuitable) || !strings.Contains(err.Error(), "replSet") {
		t.Fatalf("got error %v", err)
	}
}

func TestClocksThatAreApartAreRefused(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	o.Now = func() time.Time { return time.Now().Add(-time.Minute) }
	_, err := mongostore.Open(t.Context(), o)
	if !errors.Is(err, mongostore.ErrUnsuitable) || !strings.Contains(err.Error(), "clock") {
		t.Fatalf("got error %v", err)
	}
}

func TestAnotherFormatIsRefused(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	s := open(t, o)
	for _, version := range []int{0, 3} {
		mongostore.SetFormat(t, s, version)
		if _, err := mongostore.Open(t.Context(), o); !errors.Is(err, mongostore.ErrFormat) {
			t.Fatalf("format %d: got error %v", version, err)
		}
	}
}

// TestFormat1IsUpgraded: the feed of a database of the first release can be
// entered at a time, and what lags behind it is refused.
func TestFormat1IsUpgraded(t *testing.T) {
	t.Parallel()
	const count, second = 600, 1_000_000
	o := newOptions(t)
	old := open(t, o)
	var ws []repository.Write
	for n := range count {
		w := write(n, 0)
		w.Record.Updated = repository.Stamp(n+1) * 60 * second
		ws = append(ws, w)
	}
	if _, err := old.Commit(t.Context(), batch(ws...)); err != nil {
		t.Fatal(err)
	}
	mongostore.MakeFormat1(t, old)
	s := open(t, o)
	if version := mongostore.Format(t, s); version != 2 {
		t.Fatalf("format %d after the upgrade", version)
	}
	for _, at := range []int{1, 256, 257, 300, 513, 600} {
		seq, err := s.Since(t.Context(), repository.Stamp(at)*60*second)
		if err != nil {
			t.Fatal(err)
		}
		if want := (at - 1) / 256 * 256; (want > 0 || seq != "") && seq != repository.Uint64Seq(uint64(want)) {
			t.Errorf("since minute %d: position %x, want %d", at, seq, want)
		}
	}
	if _, err := s.Commit(t.Context(), batch(write(count, 0))); !errors.Is(err, repository.ErrConflict) {
		t.Errorf("a write that lags by hours: %v", err)
	}
}

func TestUnreachableServerIsReportedInTime(t *testing.T) {
	t.Parallel()
	const limit = 500 * time.Millisecond
	began := time.Now()
	_, err := mongostore.Open(t.Context(), mongostore.Options{URI: "mongodb://user:s3cret@127.0.0.1:1/", Timeout: limit})
	if !errors.Is(err, repository.ErrUnavailable) || strings.Contains(err.Error(), "s3cret") {
		t.Fatalf("got error %v", err)
	}
	if took := time.Since(began); took > 20*limit {
		t.Fatalf("it took %s", took)
	}
}

func TestOptionsAreCheckedTogether(t *testing.T) {
	t.Parallel()
	err := mongostore.Options{URI: "postgres://user:s3cret@h/", Timeout: -1}.Validate()
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "negative") {
		t.Fatalf("got error %v", err)
	}
}
