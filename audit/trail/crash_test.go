package trail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
)

// childEnv names the folder in which the test binary works as a child process
// that records until it is killed.
const childEnv = "FIELDSEAL_TRAIL_CHILD"

func childOptions(dir string) Options {
	return Options{Dir: filepath.Join(dir, "trail"), Origin: "n1", Keys: newFakeKeys(), Witness: filepath.Join(dir, "witness"),
		MinFree: 1 << 20, SegmentRecords: 256, CheckpointEvents: 20}
}

// runChild records from many goroutines and prints each acknowledged event as
// "sequence request".
func runChild() {
	opt := childOptions(os.Getenv(childEnv))
	var err error
	if uri := os.Getenv(mongoChildEnv); uri != "" {
		_, opt, err = mongoChild(context.Background(), uri)
	}
	var tr *Trail
	if err == nil {
		tr, err = Open(context.Background(), opt)
	}
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(3)
	}
	var mu sync.Mutex
	for w := range 16 {
		go func() {
			for i := 0; ; i++ {
				e := readEvent(byte(w))
				e.RequestID = fmt.Sprintf("%d-%d-%d", os.Getpid(), w, i)
				r, err := tr.Record(context.Background(), e)
				if opt.Log != nil && errors.Is(err, audit.ErrUnavailable) { // the database is slow
					continue
				}
				if err != nil {
					fmt.Println("record:", err)
					os.Exit(4)
				}
				mu.Lock()
				os.Stdout.WriteString(fmt.Sprintf("%d %s\n", r.Seq(), e.RequestID))
				mu.Unlock()
			}
		}()
	}
	select {}
}

func TestKilledWriterLosesNoAcknowledgedEvent(t *testing.T) {
	cycles := 6
	if os.Getenv("FIELDSEAL_LONG") != "" {
		cycles = 200
	}
	dir := t.TempDir()
	acked := map[uint64]string{}
	for cycle := range cycles {
		killOnce(t, childEnv+"="+dir, time.Duration(5+cycle*7%60)*time.Millisecond, acked)
		rep := verify(t, VerifyOptions{Dir: filepath.Join(dir, "trail"), Witness: filepath.Join(dir, "witness")})
		if !rep.OK() {
			t.Fatalf("cycle %d: %+v", cycle, rep.Problems)
		}
	}
	tr := mustOpen(t, childOptions(dir))
	keys := tr.opt.Keys.(*fakeKeys)
	for w := range 16 {
		keys.PatientKeys(t.Context(), patient(byte(w)))
	}
	for seq, want := range acked {
		e, err := tr.Get(t.Context(), "n1", seq)
		if err != nil || e.RequestID != want || e.Entities[0].ID != "obs-MARKER" {
			t.Fatalf("acknowledged event %d: %q, want %q: %v", seq, e.RequestID, want, err)
		}
	}
	t.Logf("%d cycles, %d acknowledged events", cycles, len(acked))
}

// killOnce lets a child record for a while after its first event and kills it.
func killOnce(t *testing.T, child string, after time.Duration, acked map[uint64]string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), child)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for started := false; lines.Scan(); started = true {
		seq, id, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseUint(seq, 10, 64)
		if err != nil {
			t.Fatalf("child: %s", lines.Text())
		}
		if old, ok := acked[n]; ok {
			t.Fatalf("event %d was acknowledged twice: %q and %q", n, old, id)
		}
		acked[n] = id
		if !started {
			time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
	}
	cmd.Wait() // killed, as it should be
}
