package repositorytest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// Crash is what an engine supplies for TestCrash.
type Crash struct {
	// Cycles of start, kill and check.
	Cycles int
	// Child is a command that opens the database and runs CrashChild on it
	// with its standard output. It is killed with SIGKILL.
	Child func(t *testing.T) *exec.Cmd
	// Open opens the same database after the child is dead.
	Open func(t *testing.T) (Opened, io.Closer)
}

const crashWorkers = 8

// CrashChild commits from several workers until it is killed, and writes a
// line for each batch that was acknowledged. It returns only on an error.
func CrashChild(ctx context.Context, o Opened, out io.Writer) error {
	var mu sync.Mutex
	failed := make(chan error, crashWorkers)
	for worker := range crashWorkers {
		go func() {
			n, err := nextBatch(ctx, o.Store, worker)
			if err == nil && n > 0 {
				err = crashRebuild(ctx, o, worker, n-1) // what a kill cut short
			}
			for ; err == nil; n++ {
				if err = crashCommit(ctx, o, worker, n); err == nil {
					mu.Lock()
					_, err = fmt.Fprintf(out, "%d %d\n", worker, n)
					mu.Unlock()
				}
			}
			failed <- err
		}()
	}
	return <-failed
}

// nextBatch continues where the last life ended: batches of a worker are
// numbered without gaps.
func nextBatch(ctx context.Context, s repository.Store, worker int) (int, error) {
	for n := 0; ; n++ {
		_, err := s.Get(ctx, crashKey(worker, n, 0))
		if errors.Is(err, repository.ErrNotFound) {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
}

// crashCommit writes batch n of a worker: a few new resources, a new version
// of the worker's own resource, and a table row. Then the new resources get
// another token, where the engine can do that.
func crashCommit(ctx context.Context, o Opened, worker, n int) error {
	b := batch(write(key(patient, worker), repository.Version(n), token("latest", worker)))
	for i := range crashSize(worker, n) {
		w := write(crashKey(worker, n, i), 0, crashToken(worker, n))
		w.Record.Body = append(w.Record.Body, strings.Repeat("x", (n*37+i)%2000)...)
		b.Writes = append(b.Writes, w)
	}
	if _, err := o.Store.Commit(ctx, b); err != nil {
		return err
	}
	_, err := o.Table("crash").PutIf(ctx, crashRow(worker, n), []byte("done"), 0)
	if err != nil && !errors.Is(err, repository.ErrConflict) {
		return err
	}
	return crashRebuild(ctx, o, worker, n)
}

func crashRebuild(ctx context.Context, o Opened, worker, n int) error {
	x, ok := o.Store.(repository.Indexer)
	if !ok {
		return nil
	}
	var rs []repository.Retoken
	for i := range crashSize(worker, n) {
		rs = append(rs, repository.Retoken{
			Key: crashKey(worker, n, i), Version: 1, Tokens: []repository.Token{crashRetoken(worker, n)},
		})
	}
	_, err := x.Retoken(ctx, rs)
	return err
}

func crashRetoken(worker, n int) repository.Token { return token("rebuilt", worker<<40|n) }

func crashSize(worker, n int) int { return 1 + (worker+n)%5 }

func crashKey(worker, n, i int) repository.Key { return key(observation, worker<<40|n<<8|i) }

func crashToken(worker, n int) repository.Token { return token("batch", worker<<40|n) }

func crashRow(worker, n int) []byte { return fmt.Appendf(nil, "%d/%09d", worker, n) }

// TestCrash kills a real process again and again. After each death every
// acknowledged batch is there, every batch is whole, and the feed shows
// exactly what can be read.
func TestCrash(t *testing.T, c Crash) {
	var acked [crashWorkers]int // batches acknowledged so far, and checked
	for cycle := range c.Cycles {
		now := runAndKill(t, c.Child(t))
		o, closer := c.Open(t)
		total := 0
		for worker := range crashWorkers {
			if now[worker] == 0 {
				now[worker] = acked[worker]
			}
			checkWorker(t, o, worker, acked[worker], now[worker])
			acked[worker] = now[worker]
			total += now[worker]
		}
		checkCrashFeed(t, o)
		if err := closer.Close(); err != nil {
			t.Fatalf("cycle %d: closing: %v", cycle, err)
		}
		t.Logf("cycle %d: %d batches acknowledged in all", cycle, total)
	}
}

// runAndKill returns for each worker one more than the last batch it saw
// acknowledged, or zero.
func runAndKill(t *testing.T, child *exec.Cmd) (acked [crashWorkers]int) {
	t.Helper()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	child.Stderr = &stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if lines.Scan() { // the child is up
		readAck(lines.Text(), &acked)
	}
	life := time.Duration(20+rand.IntN(180)) * time.Millisecond
	kill := time.AfterFunc(life, func() { child.Process.Kill() })
	defer kill.Stop()
	for lines.Scan() {
		readAck(lines.Text(), &acked)
	}
	child.Wait()
	if stderr.Len() > 0 {
		t.Fatalf("child: %s", stderr.String())
	}
	return acked
}

func readAck(line string, acked *[crashWorkers]int) {
	left, right, ok := strings.Cut(line, " ")
	worker, err1 := strconv.Atoi(left)
	n, err2 := strconv.Atoi(right)
	if !ok || err1 != nil || err2 != nil || worker >= crashWorkers {
		return // the line that the kill cut
	}
	acked[worker] = max(acked[worker], n+1)
}

// checkWorker checks the batches since the last cycle, and those beyond the
// last acknowledged one, which may be there or not.
func checkWorker(t *testing.T, o Opened, worker, from, acked int) {
	t.Helper()
	n := from
	for ; ; n++ {
		found := 0
		for i := range crashSize(worker, n) {
			r, err := o.Store.Get(t.Context(), crashKey(worker, n, i))
			if err == nil {
				found++
				want := write(crashKey(worker, n, i), 0)
				want.Record.Body = append(want.Record.Body, strings.Repeat("x", (n*37+i)%2000)...)
				wantRecord(t, r, want)
			} else if !errors.Is(err, repository.ErrNotFound) {
				t.Fatal(err)
			}
		}
		if found == 0 {
			break
		}
		wantWhole(t, o, worker, n, found, n < acked)
	}
	if n < acked {
		t.Fatalf("worker %d: %d batches acknowledged, %d present", worker, acked, n)
	}
	latest, err := o.Store.Get(t.Context(), key(patient, worker))
	if n > 0 && (err != nil || latest.Version != repository.Version(n)) {
		t.Fatalf("worker %d: %d batches, but version %d of its resource, %v", worker, n, latest.Version, err)
	}
	if acked > 0 {
		if _, err := o.Table("crash").Get(t.Context(), crashRow(worker, acked-1)); err != nil {
			t.Fatalf("worker %d: acknowledged row: %v", worker, err)
		}
	}
}

// wantWhole: all records of a batch are there, and all are found by their first
// token, or all by the second, which those of acknowledged batches are.
func wantWhole(t *testing.T, o Opened, worker, n, found int, acked bool) {
	t.Helper()
	want := crashSize(worker, n)
	count := func(tok repository.Token) int {
		return len(findAll(t, o.Store, repository.Query{Type: observation, All: [][]repository.Token{{tok}}, Limit: 9}))
	}
	first, second := count(crashToken(worker, n)), count(crashRetoken(worker, n))
	_, rebuilds := o.Store.(repository.Indexer)
	whole := first == want && second == 0 && !(acked && rebuilds) || first == 0 && second == want && rebuilds
	if found != want || !whole {
		t.Fatalf("worker %d, batch %d: %d of %d records, %d and %d indexed", worker, n, found, want, first, second)
	}
}

// checkCrashFeed: the feed holds each version of each worker's resource once,
// in order.
func checkCrashFeed(t *testing.T, o Opened) {
	t.Helper()
	last := map[repository.Key]repository.Version{}
	for _, c := range changes(t, o.Store, "") {
		if c.Version != last[c.Key]+1 {
			t.Fatalf("the feed goes from version %d to %d of %v", last[c.Key], c.Version, c.Key)
		}
		last[c.Key] = c.Version
	}
	for worker := range crashWorkers {
		r, err := o.Store.Get(t.Context(), key(patient, worker))
		if err == nil && last[r.Key] != r.Version {
			t.Fatalf("the feed ends at version %d of %d", last[r.Key], r.Version)
		}
	}
}
