package trail

import (
	"fmt"
	"sync"

	"github.com/fieldseal/fieldseal/audit"
)

var errOutage = fmt.Errorf("%w: the database does not take events", audit.ErrUnavailable)

// outage is a state that ends by itself: the database does not answer, has no
// room, or this node could not renew its lease. Whoever waits for an event is
// told at once; the event itself is tried again until its fate is known.
type outage struct {
	mu sync.Mutex
	on bool
	ch chan struct{} // closed while on
}

func (o *outage) init() { o.ch = make(chan struct{}) }

func (o *outage) set(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if on == o.on {
		return
	}
	o.on = on
	if on {
		close(o.ch)
	} else {
		o.ch = make(chan struct{})
	}
}

// begins is closed while there is an outage.
func (o *outage) begins() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ch
}

func (o *outage) down() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.on
}
