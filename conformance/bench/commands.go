package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// commands are how many the server has sent to the database, by their name and
// their collection's.
type commands map[string]float64

// byItself is what a node sends each second or so, whatever it is asked: its row,
// leases, the policy in force, writes that another node left in the trail.
var byItself = regexp.MustCompile(`^(.* table\.(nodes|leases|policy)|find trail)$`)

var (
	commandSeries  = regexp.MustCompile(`^db_client_operation_duration_seconds_count\{(.*)\} (\S+)$`)
	operationLabel = regexp.MustCompile(`db_operation_name="([^"]*)"`)
	collectionName = regexp.MustCompile(`db_collection_name="([^"]*)"`)
)

// parseCommands reads what /metrics answers.
func parseCommands(r io.Reader) (commands, error) {
	c := commands{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		m := commandSeries.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		operation, collection := operationLabel.FindStringSubmatch(m[1]), collectionName.FindStringSubmatch(m[1])
		n, err := strconv.ParseFloat(m[2], 64)
		if operation == nil || err != nil {
			return nil, errors.New("a measured command without a name or a number")
		}
		name := operation[1]
		if collection != nil {
			name += " " + collection[1]
		}
		if !byItself.MatchString(name) {
			c[name] += n
		}
	}
	return c, lines.Err()
}

// commands returns nothing of a server without metrics.
func (s *server) commands(ctx context.Context) (commands, error) {
	if s.metrics == "" {
		return nil, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.metrics+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return parseCommands(resp.Body)
}

// warming is how many requests fill the caches, and settles how long what follows
// an answer, such as its outcome in the trail, may take.
const (
	warming = 10
	settles = time.Second
)

// inTurn is what one client measured that sends one request after the other.
type inTurn struct {
	p50  time.Duration
	rate float64
	cpu  time.Duration // of the server, per request
	sent commands      // per request; nil of a server that does not tell
}

// oneByOne sends the requests of a load for a time, and one at least, after some
// that fill the caches.
func (s *server) oneByOne(ctx context.Context, l load, duration time.Duration) (r inTurn, err error) {
	if len(l.Requests) == 0 {
		return r, errors.New("no request to send")
	}
	c, err := dial(s.addr)
	if err != nil {
		return r, err
	}
	defer c.close()
	if _, err := c.send(l, duration, warming); err != nil {
		return r, err
	}
	if !sleep(ctx, settles) {
		return r, ctx.Err()
	}
	before, err := s.commands(ctx)
	if err != nil {
		return r, err
	}
	began, cpu := time.Now(), s.cpu()
	took, err := c.send(l, duration, math.MaxInt)
	if err != nil {
		return r, err
	}
	n := len(took)
	r.cpu, r.rate = (s.cpu()-cpu)/time.Duration(n), float64(n)/time.Since(began).Seconds()
	slices.Sort(took)
	r.p50 = took[n/2]
	if !sleep(ctx, settles) {
		return r, ctx.Err()
	}
	after, err := s.commands(ctx)
	r.sent = after.since(before, n)
	return r, err
}

// send drives a load from one connection, at most so long and so many requests.
func (c *client) send(l load, duration time.Duration, most int) (took []time.Duration, err error) {
	fill := newConnection(&job{}, 0, time.Time{}, time.Time{})
	for began := time.Now(); len(took) < most && (len(took) == 0 || time.Since(began) < duration); {
		sent := time.Now()
		status, _, err := c.roundTrip(fill.fill(nil, &l.Requests[len(took)%len(l.Requests)]))
		if err == nil && status != l.Want {
			err = fmt.Errorf("status %d", status)
		}
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(sent))
	}
	return took, nil
}

// since is what was sent for each of n requests. Shares below a twentieth are
// left out.
func (c commands) since(before commands, n int) commands {
	each := commands{}
	for name, sent := range c {
		if share := (sent - before[name]) / float64(n); share >= 0.05 {
			each[name] = share
		}
	}
	return each
}

// String is a cell: how many in all, and which, the most frequent first.
func (c commands) String() string {
	names := make([]string, 0, len(c))
	sum := 0.0
	for name, n := range c {
		names = append(names, name)
		sum += n
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(c[b], c[a]), strings.Compare(a, b))
	})
	for i, name := range names {
		if n := fmt.Sprintf("%.3g", c[name]); n != "1" {
			names[i] = n + " " + name
		}
	}
	return fmt.Sprintf("%.3g: %s", sum, strings.Join(names, ", "))
}
