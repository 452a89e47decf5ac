// Package limit says how often somebody may ask: token buckets by name, of
// clients or of networks.
//
// Start with New and Limiter.Admit. Seconds turns a wait into the header
// Retry-After, Network an address into the name of its network.
//
// Security: the memory is bounded whatever names come in; names beyond share
// one bucket, so that inventing names wins nothing.
package limit

import (
	"math"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limit is how often a client may ask: Rate requests per second on average,
// Burst at once. The zero Limit does not limit.
type Limit struct {
	Rate  float64
	Burst int
}

// Limits are the limits of clients.
type Limits struct {
	Default Limit
	Clients map[string]Limit // by OAuth client id
}

// maxBuckets bounds the memory of a limiter. Clients beyond share one bucket.
const maxBuckets = 4096

// sweepEvery keeps whoever invents names from having all buckets looked at for
// each of them.
const sweepEvery = time.Second

// Limiter keeps one token bucket per name. It is safe for concurrent use.
type Limiter struct {
	limits  Limits
	mu      sync.Mutex
	buckets map[string]*rate.Limiter
	swept   time.Time // when full buckets were looked for
}

// New returns a limiter whose buckets are full.
func New(l Limits) *Limiter { return &Limiter{limits: l, buckets: map[string]*rate.Limiter{}} }

// Admit takes one token of the client's bucket, or says after how long there
// will be one.
func (l *Limiter) Admit(client string, now time.Time) (wait time.Duration, ok bool) {
	limit, own := l.limits.Clients[client]
	if !own {
		limit = l.limits.Default
	}
	if limit.Rate <= 0 {
		return 0, true
	}
	r := l.bucket(client, limit, now).ReserveN(now, 1)
	if !r.OK() {
		return time.Second, false
	}
	if wait = r.DelayFrom(now); wait == 0 {
		return 0, true
	}
	r.CancelAt(now)
	return wait, false
}

func (l *Limiter) bucket(client string, limit Limit, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.buckets[client]; b != nil {
		return b
	}
	if age := now.Sub(l.swept); len(l.buckets) >= maxBuckets && (age >= sweepEvery || age < 0) {
		l.swept = now
		for name, b := range l.buckets {
			if b.TokensAt(now) >= float64(b.Burst()) { // a full bucket is a new one
				delete(l.buckets, name)
			}
		}
	}
	if len(l.buckets) >= maxBuckets {
		client, limit = "", l.limits.Default
		if b := l.buckets[client]; b != nil {
			return b
		}
	}
	b := rate.NewLimiter(rate.Limit(limit.Rate), max(limit.Burst, 1))
	l.buckets[client] = b
	return b
}

// Seconds is the value of Retry-After for a wait: whole seconds, at least one.
func Seconds(wait time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
}

// Prefixes within which addresses are one network: whoever has one of them can
// usually send from all.
const (
	networkBits4 = 24
	networkBits6 = 56
)

// Network is the network of an address; what is no address is its own.
func Network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	bits := networkBits6
	if a = a.Unmap(); a.Is4() {
		bits = networkBits4
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return address
	}
	return p.String()
}
