package trail

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
)

func TestCancelledIntentIsConcluded(t *testing.T) {
	t.Parallel()
	opt := testOptions(t, newFakeKeys())
	hold := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	var held atomic.Bool
	opt.disk.sync = func(f *os.File) error {
		if held.Load() {
			cancel() // the intent is in the file
			<-hold
		}
		return datasync(f)
	}
	tr := mustOpen(t, opt)
	held.Store(true)
	if _, err := tr.Record(ctx, intentEvent()); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	held.Store(false)
	close(hold)
	eventually(t, "no outcome", func() bool { return tr.Status().Events == 2 })
	if e, err := tr.Get(t.Context(), "n1", 2); err != nil || e.IntentSeq != 1 || e.Outcome != audit.SeriousFailure {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestGarbageBeforeAuthenticationCannotFillTheTrail(t *testing.T) {
	t.Parallel()
	opt := testOptions(t, newFakeKeys())
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	opt.Now = func() time.Time { return time.Unix(0, now.Load()) }
	tr := mustOpen(t, opt)
	for range 100_000 {
		tr.RecordPreAuth("192.0.2.1", "bad-token")
	}
	tr.RecordPreAuth("192.0.2.2", "no-token")
	now.Add(int64(preAuthPeriod))
	eventually(t, "no aggregate", func() bool { return tr.Status().Events == 2 })
	got, err := tr.Search(t.Context(), Query{Kinds: []audit.Kind{audit.Login}})
	if err != nil || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got[0].Reason != "bad-token x100000" && got[1].Reason != "bad-token x100000" {
		t.Errorf("%q, %q", got[0].Reason, got[1].Reason)
	}
	for i := range preAuthPeers * 3 {
		tr.RecordPreAuth(string(rune(i)), "x")
	}
	tr.pre.mu.Lock()
	defer tr.pre.mu.Unlock()
	if len(tr.pre.counts) > preAuthPeers+1 {
		t.Errorf("table grew to %d", len(tr.pre.counts))
	}
	clear(tr.pre.counts)
}
