package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/conformance/bench/synthea"
)

// fillConnections is how many transactions of an import are in flight.
const fillConnections = 8

// fillWindows is into how many parts the import is divided to see whether it
// slows down.
const fillWindows = 10

// filled is how an import went.
type filled struct {
	Resources int           `json:"resources"`
	Elapsed   time.Duration `json:"elapsed"`
	Rates     []float64     `json:"rates"` // resources per second, of each tenth
	RSS       int64         `json:"rss"`   // highest
	Busy      string        `json:"busy"`  // load average before
	Sync      time.Duration `json:"sync"`  // fsync p50 before
	CPU       []float64     `json:"cpu"`   // of the server for a resource, of each tenth, in nanoseconds
	Sizes     *sizes        `json:"sizes"` // afterwards, compacted
	Compact   time.Duration `json:"compact"`
}

func (f *filled) rate() float64 { return float64(f.Resources) / max(f.Elapsed.Seconds(), 1e-9) }

// fifths are the rates of the first and the last fifth. Windows hold the same
// number of resources, so that rates combine harmonically.
func (f *filled) fifths() (first, last float64) {
	n := len(f.Rates)
	if n < 4 {
		return f.rate(), f.rate()
	}
	return 2 / (1/f.Rates[0] + 1/f.Rates[1]), 2 / (1/f.Rates[n-1] + 1/f.Rates[n-2])
}

// slowdown is by which part the last fifth is slower than the first.
func (f *filled) slowdown() float64 {
	first, last := f.fifths()
	return 1 - last/first
}

// cpu is the server's processor time for a resource in the first and the last
// fifth: other programs on the machine change it less than the rate.
func (f *filled) cpu() (first, last float64) {
	n := len(f.CPU)
	if n < 4 {
		return 0, 0
	}
	return (f.CPU[0] + f.CPU[1]) / 2, (f.CPU[n-1] + f.CPU[n-2]) / 2
}

// fill stores a set of resources and notes how that went.
func fill(ctx context.Context, s settings, srv *server, n int) (*dataset, error) {
	m, err := synthea.New(synthea.Options{Folder: s.synthea, Seed: s.seed, Resources: n})
	if err != nil {
		return nil, err
	}
	d := &dataset{Resources: n, Seed: s.seed, Source: m.Archives(), Codes: codeCount{}, at: srv.data}
	d.Fill.Busy = thisMachine().busy
	if d.Fill.Sync, err = syncMedian(srv.data); err != nil {
		return nil, err
	}
	f := newFiller(ctx, srv, n)
	began := time.Now()
	err = f.feed(m, d)
	err = errors.Join(err, f.finish())
	d.Fill.Elapsed, d.Fill.Rates, d.Fill.CPU, d.Fill.RSS = time.Since(began), f.rates, f.cpus, f.rss
	if err != nil {
		return nil, err
	}
	compact := time.Now()
	if d.Fill.Sizes, err = srv.sizes(); err != nil {
		return nil, err
	}
	d.Fill.Compact = time.Since(compact)
	return d, d.save()
}

// filler posts transactions by several workers.
type filler struct {
	srv     *server
	ctx     context.Context
	cancel  context.CancelCauseFunc
	bodies  chan transaction
	workers sync.WaitGroup
	watch   sync.WaitGroup

	mu     sync.Mutex
	total  int // of resources
	done   int
	window time.Time // when it began
	used   time.Duration
	rates  []float64
	cpus   []float64
	rss    int64
}

type transaction struct {
	body      []byte
	resources int
}

func newFiller(ctx context.Context, srv *server, total int) *filler {
	f := &filler{srv: srv, bodies: make(chan transaction, fillConnections), total: total, window: time.Now(), used: srv.cpu()}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: fillConnections}}
	for range fillConnections {
		f.workers.Go(func() {
			for t := range f.bodies {
				if err := f.post(client, t); err != nil {
					f.cancel(err)
				}
			}
		})
	}
	f.watch.Go(func() {
		for sleep(f.ctx, 250*time.Millisecond) {
			f.rss = max(f.rss, srv.rss())
		}
	})
	return f
}

// feed cuts groups into transactions.
func (f *filler) feed(m *synthea.Multiplier, d *dataset) error {
	for g, err := range m.Groups() {
		if err != nil {
			return err
		}
		if err := d.observe(g); err != nil {
			return err
		}
		d.Fill.Resources += len(g.Resources)
		for list := range transactions(g.Resources) {
			select {
			case f.bodies <- transaction{transactionOf(list), len(list)}:
			case <-f.ctx.Done():
				return context.Cause(f.ctx)
			}
		}
	}
	return nil
}

func (f *filler) finish() error {
	close(f.bodies)
	f.workers.Wait()
	err := context.Cause(f.ctx)
	f.cancel(nil)
	f.watch.Wait()
	return err
}

func (f *filler) post(client *http.Client, t transaction) error {
	if f.ctx.Err() != nil {
		return nil
	}
	req, err := http.NewRequestWithContext(f.ctx, http.MethodPost, f.srv.base, bytes.NewReader(t.body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+f.srv.tokens["integration"])
	req.Header.Set("Content-Type", "application/fhir+json")
	req.Header.Set("Prefer", "return=minimal")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("storing a transaction of %d resources: status %d: %.300s", t.resources, resp.StatusCode, answer)
	}
	f.count(t.resources)
	return nil
}

func (f *filler) count(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done += n
	size := max(f.total/fillWindows, 1)
	if f.done < (len(f.rates)+1)*size {
		return
	}
	now, used, in := time.Now(), f.srv.cpu(), float64(f.done-len(f.rates)*size)
	f.rates, f.cpus = append(f.rates, in/now.Sub(f.window).Seconds()), append(f.cpus, float64(used-f.used)/in)
	f.window, f.used = now, used
	fmt.Fprintf(os.Stderr, "  %s of %s resources, %s/s\n", thousands(float64(f.done)), thousands(float64(f.total)), thousands(f.rates[len(f.rates)-1]))
}
