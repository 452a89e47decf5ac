package trail

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/fieldseal/fieldseal/audit"
)

// How much of the disk reserve is left.
const (
	spaceEnough   = iota
	spaceReserved // only outcomes and security events are taken
	spaceNone     // nothing is taken
)

// spaceInterval is how often free space is looked at: a full disk refuses
// within a second and is taken back within a second.
const spaceInterval = time.Second

// space keeps part of the disk for events that must not be refused.
type space struct {
	state atomic.Int32
}

// refresh looks at the free space and sets the state.
func (s *space) refresh(opt Options) error {
	free, err := opt.disk.free(opt.Dir)
	if err != nil {
		return err
	}
	switch {
	case free >= opt.MinFree:
		s.state.Store(spaceEnough)
	case free >= opt.MinFree/4:
		s.state.Store(spaceReserved)
	default:
		s.state.Store(spaceNone)
	}
	return nil
}

// exhausted is called when reserving ahead found no room.
func (s *space) exhausted() { s.state.Store(spaceNone) }

// admit refuses events for which no space is left. Outcomes of intents, and
// login, security and system events may use the reserve.
func (s *space) admit(e *audit.Event) error {
	state := s.state.Load()
	if state == spaceEnough {
		return nil
	}
	reserved := e.Kind != audit.REST || (e.IntentSeq != 0 && e.Outcome != audit.Intent)
	if state == spaceReserved && reserved {
		return nil
	}
	return fmt.Errorf("%w: the audit disk has no space left", audit.ErrUnavailable)
}

func (t *Trail) spaceLoop() {
	tick := time.NewTicker(spaceInterval)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
			if err := t.space.refresh(t.opt); err != nil {
				t.space.exhausted()
			}
		}
	}
}
