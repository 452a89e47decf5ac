package main

import (
	"context"
	"errors"
	"slices"
	"time"
)

// result is one load over all rounds.
type result struct {
	load
	rate       float64 // median, in the load's unit
	calls      float64 // median requests per second
	p50, p99   time.Duration
	cpuPerCall time.Duration // of the server, median
	rss        int64         // highest seen
	errors     map[int]int
	syncBefore time.Duration
	syncAfter  time.Duration
	shares     *shares // with -profile
}

// runLoad measures one load: the disk, the rounds, the disk again.
func runLoad(ctx context.Context, s settings, srv *server, l load) (result, error) {
	r := result{load: l, errors: map[int]int{}}
	if len(l.Requests) == 0 {
		return r, errors.New("no request to send")
	}
	requests := l.Requests
	if n := len(requests) / s.conns * s.conns; n > 0 {
		requests = requests[:n] // so that a request belongs to one connection
	}
	var err error
	if r.syncBefore, err = syncMedian(srv.data); err != nil {
		return r, err
	}
	rounds := s.rounds
	if s.profile {
		rounds = 1
	}
	var rates, p50s, p99s, cpus []float64
	for range rounds {
		m, cpu, err := r.round(ctx, s, srv, job{Addr: srv.addr, Conns: s.conns, Duration: s.duration, Requests: requests, Want: []int{l.Want}})
		if err != nil {
			return r, err
		}
		rates = append(rates, float64(m.Done)/m.Elapsed.Seconds())
		p50s, p99s = append(p50s, float64(m.P50)), append(p99s, float64(m.P99))
		cpus = append(cpus, cpu)
		for status, n := range m.Statuses {
			r.errors[status] += n
		}
	}
	r.calls = median(rates)
	r.rate, r.p50, r.p99 = r.calls*l.PerCall, time.Duration(median(p50s)), time.Duration(median(p99s))
	r.cpuPerCall = time.Duration(median(cpus))
	r.syncAfter, err = syncMedian(srv.data)
	return r, err
}

// round drives the load once and watches the server meanwhile. It returns the
// server's processor time per request in nanoseconds.
func (r *result) round(ctx context.Context, s settings, srv *server, j job) (measured, float64, error) {
	watched := make(chan struct{})
	var cpu time.Duration
	var profileErr error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(watched)
		if !sleep(ctx, warmup) {
			return
		}
		before := srv.cpu()
		end := time.Now().Add(j.Duration)
		if s.profile {
			r.shares, profileErr = fetchShares(ctx, srv.debug, j.Duration-500*time.Millisecond, s.keepAs(r.Name))
		}
		for time.Now().Before(end) && sleep(ctx, 100*time.Millisecond) {
			r.rss = max(r.rss, srv.rss())
		}
		cpu = srv.cpu() - before
	}()
	m, err := generate(ctx, j)
	if err == nil {
		<-watched
		err = profileErr
	}
	cancel()
	<-watched
	return m, float64(cpu) / float64(max(m.Done, 1)), err
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
