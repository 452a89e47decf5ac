package trail

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

// sharedServer is the MongoDB server of the tests, when there is one.
var sharedServer string

// shortLease is for tests that wait for its end: long for a busy machine.
const shortLease = 8 * time.Second

// shared are options over a log that nodes share.
func sharedOptions(t testing.TB, keys Keys, log Log, leases repository.Table) Options {
	return Options{Log: log, Leases: leases, Lease: DefaultLease, Origin: "n1", Keys: keys, Witness: filepath.Join(t.TempDir(), "witness"),
		SegmentRecords: 16, CheckpointEvents: 5}
}

// attacked is a database in the hands of an attacker.
type attacked interface {
	put(e repository.LogEntry)
	delete(id string)
}

// eachForm runs a test on every form of the trail.
func eachForm(t *testing.T, test func(t *testing.T, opt Options)) {
	t.Helper()
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		test(t, testOptions(t, newFakeKeys()))
	})
	eachLog(t, func(t *testing.T, opt Options, _ attacked) { test(t, opt) })
}

// eachLog runs a test on every form in a database.
func eachLog(t *testing.T, test func(t *testing.T, opt Options, db attacked)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		log := &memoryLog{}
		test(t, sharedOptions(t, newFakeKeys(), log, keyringtest.NewTable()), log)
	})
	t.Run("mongodb", func(t *testing.T) {
		t.Parallel()
		if sharedServer == "" {
			t.Skip("neither " + mongotest.URIVariable + " nor " + mongotest.ServerVariable + " is set; .ci/run mongodb does it")
		}
		name := fmt.Sprintf("test_trail_%d_%d", os.Getpid(), databases.Add(1))
		opt := mongoOptions(t, mongostore.Options{URI: sharedServer, Database: name})
		test(t, opt, mongoAttack{mongotest.Open(t, sharedServer, name, "trail")})
	})
}

var databases atomic.Int64

func mongoOptions(t testing.TB, o mongostore.Options) Options {
	t.Helper()
	var s *mongostore.Store
	mongotest.Eventually(t, 2*time.Minute, func(ctx context.Context) (err error) { s, err = mongostore.Open(ctx, o); return err })
	t.Cleanup(func() { s.Close() })
	log, err := s.Log(t.Context(), "trail")
	if err != nil {
		t.Fatal(err)
	}
	return sharedOptions(t, newFakeKeys(), log, s.Table("nodes"))
}

type mongoAttack struct{ *mongotest.Collection }

func (a mongoAttack) put(e repository.LogEntry) {
	fields := map[string]any{"b": e.Body}
	if e.Time != 0 {
		terms := []int64{}
		for _, t := range e.Terms {
			terms = append(terms, int64(t))
		}
		fields["t"], fields["k"] = e.Time, terms
	}
	a.Put(e.ID, fields)
}

func (a mongoAttack) delete(id string) { a.Delete(id) }

// verifyForm verifies the chain of opt's node.
func verifyForm(t *testing.T, opt Options) Report {
	t.Helper()
	if opt.Log == nil {
		return verify(t, VerifyOptions{Dir: opt.Dir, Witness: opt.Witness})
	}
	reps, err := VerifyLog(t.Context(), opt.Log, VerifyOptions{Witness: opt.Witness})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reps {
		if r.Origin == opt.Origin {
			return r
		}
	}
	t.Fatalf("no report about %s: %+v", opt.Origin, reps)
	return Report{}
}
