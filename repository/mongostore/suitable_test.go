package mongostore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
)

func TestStandaloneServerIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--standalone")
	_, err := mongostore.Open(t.Context(), mongostore.Options{URI: s.uri()})
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
	t.Cleanup(func() { mongostore.DropDatabase(t, o) })
	s := open(t, o)
	mongostore.SetFormat(t, s, 2)
	_, err := mongostore.Open(t.Context(), o)
	if !errors.Is(err, mongostore.ErrFormat) {
		t.Fatalf("got error %v", err)
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
