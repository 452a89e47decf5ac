package trail

import (
	"errors"
	"time"
)

// Status is the state of an open trail, for readiness and operators.
type Status struct {
	Origin     string    `json:"origin"`
	Events     uint64    `json:"events"` // durable
	Segments   int       `json:"segments"`
	Last       time.Time `json:"last"` // time of the newest event
	Checkpoint uint64    `json:"checkpoint"`
	Witnessed  uint64    `json:"witnessed"` // events that the witness has seen; Events when there is no witness
	Queued     int       `json:"queued"`    // records that wait for the disk
	Spooled    int       `json:"spooled"`   // queued events that wait for space or keys
	Available  bool      `json:"available"` // ordinary events are taken
	Problem    string    `json:"problem,omitempty"`
}

// Status reports the state. Not Available means: readiness red, 503 on patient
// data.
func (t *Trail) Status() Status {
	t.mu.RLock()
	s := Status{Origin: t.origin.Name, Events: t.last.seq, Segments: t.medium.segments(), Last: time.UnixMicro(t.last.time).UTC()}
	t.mu.RUnlock()
	s.Queued, s.Spooled = t.queue.depth(), t.spool.len()
	t.check.mu.Lock()
	s.Checkpoint, s.Witnessed = t.check.last.size, t.check.witnessed
	if t.check.witnessErr != nil {
		s.Problem = "the witness cannot be written"
	}
	t.check.mu.Unlock()
	if t.opt.Witness == "" {
		s.Witnessed = s.Events
	}
	s.Available = true
	if t.space.state.Load() != spaceEnough {
		s.Available, s.Problem = false, "the audit disk has no space left"
	}
	if t.outage.down() || !t.medium.held() {
		s.Available, s.Problem = false, "the database does not take events"
	}
	switch err := t.failure(); {
	case errors.Is(err, errForeign):
		s.Available, s.Problem = false, "another process writes this node's chain; give each node a name of its own and restart"
	case err != nil:
		s.Available, s.Problem = false, "writing the audit trail failed; restart after the disk is repaired"
	}
	return s
}
