package trail

import (
	"fmt"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/audit"
)

// Limits of the table of failures before authentication.
const (
	preAuthPeers  = 4096        // distinct peers per period; more share one entry
	preAuthPeriod = time.Minute // one event per peer, reason and minute
	preAuthOthers = "others"
)

type preAuthKey struct{ peer, reason string }

// preauth counts failures before authentication, so that garbage costs one
// event per peer and minute and cannot fill the trail.
type preauth struct {
	mu     sync.Mutex
	since  time.Time
	counts map[preAuthKey]uint64
}

func (p *preauth) init() { p.counts = make(map[preAuthKey]uint64) }

// RecordPreAuth counts one failure of a peer that nobody has authenticated.
// reason is a short code, never anything that the peer sent. The count is
// recorded within a minute as a login failure event.
func (t *Trail) RecordPreAuth(peer, reason string) {
	p := &t.pre
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.counts) == 0 {
		p.since = t.opt.Now()
	}
	k := preAuthKey{peer, reason}
	if _, known := p.counts[k]; !known && len(p.counts) >= preAuthPeers {
		k = preAuthKey{preAuthOthers, preAuthOthers}
	}
	p.counts[k]++
}

// flushPreAuth queues the counts of a period that is over, or all.
func (t *Trail) flushPreAuth(all bool) {
	p := &t.pre
	p.mu.Lock()
	if len(p.counts) == 0 || (!all && t.opt.Now().Sub(p.since) < preAuthPeriod) {
		p.mu.Unlock()
		return
	}
	counts := p.counts
	p.init()
	p.mu.Unlock()
	for k, n := range counts {
		t.Queue(audit.Event{
			Kind: audit.Login, Subtype: "failure", Action: audit.Execute, Outcome: audit.MinorFailure,
			Reason: fmt.Sprintf("%s x%d", k.reason, n), Agent: audit.Agent{Address: k.peer},
		})
	}
}
