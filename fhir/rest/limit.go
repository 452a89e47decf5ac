package rest

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"github.com/fieldseal/fieldseal/authz"
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

// limiter keeps one token bucket per client.
type limiter struct {
	limits  Limits
	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

func newLimiter(l Limits) *limiter { return &limiter{limits: l, buckets: map[string]*rate.Limiter{}} }

// admit takes one token of the client's bucket, or says after how long there
// will be one.
func (l *limiter) admit(client string, now time.Time) (wait time.Duration, ok bool) {
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

func (l *limiter) bucket(client string, limit Limit, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.buckets[client]; b != nil {
		return b
	}
	if len(l.buckets) >= maxBuckets {
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

// admitted answers 429 when the subject's client asks more often than it may
// (RFC 6585 §4). It is asked before anything of the request is looked at, so
// that the answer tells nothing about data.
func (h *Handler) admitted(c *gin.Context, s authz.Subject, peer string) bool {
	client := s.Client()
	if client == "" {
		client = s.ID()
	}
	wait, ok := h.limiter.admit(client, time.Now())
	if ok {
		return true
	}
	h.Gatekeeper.RecordPreAuth(peer, "throttled")
	c.Header("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
	h.outcome(c, http.StatusTooManyRequests, "throttled", "this client asks more often than it may; ask again after the seconds of Retry-After")
	return false
}
