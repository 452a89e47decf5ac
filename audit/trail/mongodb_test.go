package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

const faultDatabase = "trailfault"

// acknowledged are the events that a trail acknowledged.
type acknowledged struct {
	mu   sync.Mutex
	seqs map[uint64]string
}

func (a *acknowledged) add(seq uint64, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seqs == nil {
		a.seqs = map[uint64]string{}
	}
	a.seqs[seq] = id
}

func (a *acknowledged) len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seqs)
}

// check reads every one back.
func (a *acknowledged) check(t *testing.T, tr *Trail) {
	t.Helper()
	for seq, id := range a.seqs {
		if e, err := tr.Get(t.Context(), "n1", seq); err != nil || e.RequestID != id {
			t.Fatalf("acknowledged event %d: %q, want %q: %v", seq, e.RequestID, id, err)
		}
	}
}

// write records from some goroutines until ctx ends; an outage is waited for.
func (a *acknowledged) write(ctx context.Context, t *testing.T, tr *Trail, wg *sync.WaitGroup) {
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				e := readEvent(byte(w))
				e.RequestID = fmt.Sprintf("%d-%d", w, i)
				r, err := tr.Record(ctx, e)
				switch {
				case err == nil:
					a.add(r.Seq(), e.RequestID)
				case errors.Is(err, audit.ErrUnavailable):
					time.Sleep(10 * time.Millisecond)
				case ctx.Err() == nil:
					t.Error(err)
					return
				}
			}
		})
	}
}

// TestKilledDatabaseLosesNoAcknowledgedEvent kills the server with -9 in the
// middle of batches. The trail goes on by itself when it is back.
func TestKilledDatabaseLosesNoAcknowledgedEvent(t *testing.T) {
	t.Parallel()
	srv := mongotest.New(t, "--sync-on-commit")
	opt := mongoOptions(t, mongostore.Options{URI: srv.URI(), Database: faultDatabase})
	opt.Lease = time.Minute // the server is away for longer than a short one
	tr := mustOpen(t, opt)
	var acked acknowledged
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	acked.write(ctx, t, tr, &wg)
	for kill := range 2 {
		before := acked.len()
		within(t, "no event is acknowledged", func() bool { return acked.len() > before+20*(kill+1) })
		srv.Kill()
		within(t, "the outage is not noticed", func() bool { return !tr.Status().Available })
		if err := srv.Start(); err != nil {
			t.Fatal(err)
		}
		within(t, "the trail does not recover", func() bool { return tr.Status().Available })
	}
	stop()
	wg.Wait()
	acked.check(t, tr)
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	if rep := verifyForm(t, opt); !rep.OK() {
		t.Errorf("%+v", rep.Problems)
	}
	t.Logf("%d events acknowledged", acked.len())
}

// within is eventually with the patience that a database needs.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	mongotest.Eventually(t, 2*time.Minute, func(context.Context) error {
		if ok() {
			return nil
		}
		return errors.New(what)
	})
}

// TestLostRepliesOfInserts: the server inserted a batch and its answer is lost.
func TestLostRepliesOfInserts(t *testing.T) {
	t.Parallel()
	srv := mongotest.New(t)
	p := mongotest.NewProxy(t, srv.Address)
	opt := mongoOptions(t, mongostore.Options{URI: p.URI(), Database: faultDatabase})
	opt.Lease = time.Minute
	tr := mustOpen(t, opt)
	var acked acknowledged
	for n := range 10 {
		p.LoseReply("\x02insert\x00\x06\x00\x00\x00trail\x00")
		e := readEvent(1)
		e.RequestID = fmt.Sprint("lost-", n)
		within(t, "the event is not taken", func() bool {
			r, err := tr.Record(t.Context(), e)
			if err == nil {
				acked.add(r.Seq(), e.RequestID)
			}
			return err == nil
		})
	}
	if p.Cuts() != 10 {
		t.Errorf("%d replies were lost", p.Cuts())
	}
	acked.check(t, tr)
	tr.Close()
	if rep := verifyForm(t, opt); !rep.OK() || rep.Events < 11 {
		t.Errorf("%+v", rep)
	}
}

// TestSilentDatabaseIsToldInTime: connections stay open and nothing answers.
func TestSilentDatabaseIsToldInTime(t *testing.T) {
	t.Parallel()
	srv := mongotest.New(t)
	p := mongotest.NewProxy(t, srv.Address)
	opt := mongoOptions(t, mongostore.Options{URI: p.URI(), Database: faultDatabase})
	opt.Lease = time.Minute
	tr := mustOpen(t, opt)
	p.Silent.Store(true)
	if _, err := tr.Record(t.Context(), readEvent(1)); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := tr.Record(t.Context(), readEvent(1)); !errors.Is(err, audit.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	p.Silent.Store(false)
	p.Reset()
	within(t, "the trail does not recover", func() bool { return tr.Status().Available })
	mustRecord(t, tr, readEvent(1))
	tr.Close()
	if rep := verifyForm(t, opt); !rep.OK() {
		t.Errorf("%+v", rep.Problems)
	}
}

// mongoChildEnv is the URI with which the test binary works as a node that
// records until it is killed.
const mongoChildEnv = "FIELDSEAL_TRAIL_MONGODB_CHILD"

// mongoChild is what the node is that is killed and started again.
func mongoChild(ctx context.Context, uri string) (*mongostore.Store, Options, error) {
	s, err := mongostore.Open(ctx, mongostore.Options{URI: uri, Database: faultDatabase})
	if err != nil {
		return nil, Options{}, err
	}
	log, err := s.Log(ctx, "trail")
	return s, Options{Log: log, Leases: s.Table("leases"), Lease: 4 * time.Second, Origin: "n1", Keys: newFakeKeys(),
		SegmentRecords: 64, CheckpointEvents: 20}, err
}

// TestKilledNodeLosesNoAcknowledgedEvent kills a node, a process of its own, in
// the middle of batches and starts it again.
func TestKilledNodeLosesNoAcknowledgedEvent(t *testing.T) {
	t.Parallel()
	srv := mongotest.New(t)
	acked := acknowledged{seqs: map[uint64]string{}}
	cycles := 3
	if os.Getenv("FIELDSEAL_LONG") != "" {
		cycles = 30
	}
	for cycle := range cycles {
		killOnce(t, mongoChildEnv+"="+srv.URI(), time.Duration(20+cycle*37%200)*time.Millisecond, acked.seqs)
	}
	store, opt, err := mongoChild(t.Context(), srv.URI())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	tr := mustOpen(t, opt)
	acked.check(t, tr)
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	if rep := verifyForm(t, opt); !rep.OK() || int(rep.Events) < acked.len() {
		t.Errorf("%d events, %d acknowledged; %+v", rep.Events, acked.len(), rep.Problems)
	}
	t.Logf("%d cycles, %d acknowledged events", cycles, acked.len())
}

// TestNothingReadableReachesTheDatabasesFiles searches the server's raw files.
func TestNothingReadableReachesTheDatabasesFiles(t *testing.T) {
	t.Parallel()
	srv := mongotest.New(t, "--sync-on-commit")
	opt := mongoOptions(t, mongostore.Options{URI: srv.URI(), Database: faultDatabase})
	tr := mustOpen(t, opt)
	e := readEvent(1)
	e.Query = "name=MARKER"
	o := unlikely(&e)
	for range 40 {
		mustRecord(t, tr, e)
	}
	tr.Close()
	srv.Kill()
	searched, found := 0, false
	err := filepath.WalkDir(srv.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		searched += len(b)
		found = found || bytes.Contains(b, []byte("f/n1/")) // the search can find what is there
		for _, m := range []string{"MARKER", "dr-demo", "Practitioner", "Observation", "clinician", string(o[:])} {
			if bytes.Contains(b, []byte(m)) {
				t.Errorf("%s holds %q", filepath.Base(path), m)
			}
		}
		return err
	})
	if err != nil || searched == 0 || !found {
		t.Fatalf("%d bytes searched, ids found: %t, %v", searched, found, err)
	}
}

// BenchmarkRecordMongoDB measures durable events on the server of
// FIELDSEAL_TEST_MONGODB_URI or the stand-in.
func BenchmarkRecordMongoDB(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			if sharedServer == "" {
				b.Skip("no server")
			}
			opt := mongoOptions(b, mongostore.Options{URI: sharedServer, Database: fmt.Sprintf("test_trail_%d_%d", os.Getpid(), databases.Add(1))})
			opt.SegmentRecords, opt.CheckpointEvents, opt.Lease = DefaultSharedSegmentRecords, DefaultCheckpointEvents, time.Minute
			counted := &countingLog{Log: opt.Log}
			opt.Log = counted
			tr := mustOpen(b, opt)
			begun := counted.batches()
			b.ResetTimer()
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := w; i < b.N; i += writers {
						if _, err := tr.Record(b.Context(), readEvent(byte(i))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(b.N)/float64(counted.batches()-begun), "events/command")
			b.ReportMetric(b.Elapsed().Seconds()*1e3*float64(writers)/float64(b.N), "ms/wait")
			tr.Close()
		})
	}
}

// BenchmarkAppendMongoDB inserts batches through the log alone: what the server
// and the driver cost without the trail.
func BenchmarkAppendMongoDB(b *testing.B) {
	for _, batch := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			if sharedServer == "" {
				b.Skip("no server")
			}
			opt := mongoOptions(b, mongostore.Options{URI: sharedServer, Database: fmt.Sprintf("test_trail_%d_%d", os.Getpid(), databases.Add(1))})
			entries := make([]repository.LogEntry, batch)
			for n := range b.N {
				for i := range entries {
					seq := uint64(n*batch + i)
					entries[i] = repository.LogEntry{ID: entryID(kindFrame, "n1", seq), Time: 1 + int64(seq), Body: make([]byte, 600),
						Terms: []repository.Token{1, 2, 3, repository.Token(seq % 1000)}}
				}
				if err := opt.Log.Append(b.Context(), entries); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
