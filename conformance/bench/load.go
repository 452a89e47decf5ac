package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"
)

// childArgument makes this program the load generator.
const childArgument = "load-generator"

// warmup is driven but not measured.
const warmup = time.Second

// job is what the load generator is told on standard input.
type job struct {
	Addr     string
	Conns    int
	Duration time.Duration
	Requests []prepared
	Want     []int // statuses that count as success
}

// prepared is one request, and where fresh uuids go into it.
type prepared struct {
	Bytes []byte
	UUIDs []int // offsets
	Which []int // which of the fresh uuids goes to the offset
	Fresh int   // how many
}

// measured is what the load generator answers.
type measured struct {
	Done     int           // good answers inside the measured time
	Errors   int           // other statuses, and connections lost
	Statuses map[int]int   // of the errors; 0 is a lost connection
	Elapsed  time.Duration // measured time
	P50, P99 time.Duration
}

// generate runs the load generator in its own process.
func generate(ctx context.Context, j job) (m measured, err error) {
	self, err := os.Executable()
	if err != nil {
		return m, err
	}
	ctx, cancel := context.WithTimeout(ctx, j.Duration+warmup+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, childArgument)
	in, err := cmd.StdinPipe()
	if err != nil {
		return m, err
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return m, err
	}
	if err := cmd.Start(); err != nil {
		return m, err
	}
	sendErr := json.NewEncoder(in).Encode(j)
	_ = in.Close()
	readErr := json.NewDecoder(out).Decode(&m)
	if err := cmd.Wait(); err != nil {
		return m, fmt.Errorf("load generator: %w", err)
	}
	if sendErr != nil {
		return m, sendErr
	}
	return m, readErr
}

func loadChild(in io.Reader, out io.Writer) error {
	var j job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return err
	}
	begin := time.Now().Add(warmup)
	end := begin.Add(j.Duration)
	conns := make([]*connection, j.Conns)
	var wg sync.WaitGroup
	for i := range conns {
		conns[i] = newConnection(&j, i, begin, end)
		wg.Go(conns[i].drive)
	}
	wg.Wait()
	return json.NewEncoder(out).Encode(merge(conns, j.Duration))
}

// connection drives one connection and keeps its own figures.
type connection struct {
	job        *job
	number     int
	begin, end time.Time
	latencies  []time.Duration
	statuses   map[int]int
	errors     int
	random     *rand.ChaCha8
}

// newConnection seeds from the clock, so that no round repeats another's uuids.
func newConnection(j *job, number int, begin, end time.Time) *connection {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(time.Now().UnixNano()))
	binary.LittleEndian.PutUint64(seed[8:], uint64(number))
	return &connection{job: j, number: number, begin: begin, end: end, statuses: map[int]int{}, random: rand.NewChaCha8(seed)}
}

// maxErrors ends a connection that cannot succeed.
const maxErrors = 100

// drive sends this connection's share of the requests in turn. Requests are
// dealt out, so that no two connections update one resource.
func (c *connection) drive() {
	var cl *client
	var buf []byte
	defer func() {
		if cl != nil {
			cl.close()
		}
	}()
	for k := c.number; c.errors < maxErrors; k += c.job.Conns {
		if cl == nil {
			var err error
			if cl, err = dial(c.job.Addr); err != nil {
				c.fail(0)
				continue
			}
		}
		p := &c.job.Requests[k%len(c.job.Requests)]
		buf = c.fill(buf[:0], p)
		sent := time.Now()
		if sent.After(c.end) {
			return
		}
		status, _, err := cl.roundTrip(buf)
		switch now := time.Now(); {
		case err != nil:
			c.fail(0)
			cl.close()
			cl = nil
		case !slices.Contains(c.job.Want, status):
			c.fail(status)
		case now.After(c.begin) && now.Before(c.end):
			c.latencies = append(c.latencies, now.Sub(sent))
		}
	}
}

func (c *connection) fail(status int) {
	c.errors++
	c.statuses[status]++
}

// fill copies the request and puts fresh uuids in.
func (c *connection) fill(buf []byte, p *prepared) []byte {
	buf = append(buf, p.Bytes...)
	if p.Fresh == 0 {
		return buf
	}
	fresh := make([]byte, 36*p.Fresh)
	for i := range p.Fresh {
		c.uuid(fresh[36*i : 36*i+36])
	}
	for i, offset := range p.UUIDs {
		copy(buf[offset:], fresh[36*p.Which[i]:36*p.Which[i]+36])
	}
	return buf
}

func (c *connection) uuid(dst []byte) {
	var b [16]byte
	_, _ = c.random.Read(b[:])
	at := 0
	for i := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst[at] = '-'
			at++
		}
		hex.Encode(dst[at:], b[i:i+1])
		at += 2
	}
}

func merge(conns []*connection, d time.Duration) measured {
	m := measured{Elapsed: d, Statuses: map[int]int{}}
	var all []time.Duration
	for _, c := range conns {
		all = append(all, c.latencies...)
		m.Errors += c.errors
		for status, n := range c.statuses {
			m.Statuses[status] += n
		}
	}
	slices.Sort(all)
	if m.Done = len(all); m.Done > 0 {
		m.P50, m.P99 = all[len(all)/2], all[len(all)*99/100]
	}
	return m
}
