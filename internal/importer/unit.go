package importer

import (
	"slices"
	"sync"

	"github.com/fieldseal/fieldseal/fhir"
)

// unit is what is sent and recorded as one: a document, or some lines.
type unit struct {
	source source
	key    string // in the state file; "" is not recorded
	offset int64  // where the unit starts in the source
	end    int64  // where the next one starts
	bytes  int64  // for the progress bar

	load    func() ([]byte, error) // a document
	entries []entry                // lines
	only    []int64                // positions that an earlier run left refused; nil means all
	ids     []string               // what the gate holds for this unit
	refused []result               // lines that were refused without being sent
}

// wants filters the entries of a document that is sent again.
func (u *unit) wants(pos int64) bool { return u.only == nil || slices.Contains(u.only, pos) }

// entry is one request of a batch or transaction, as the Bundle's entry.
type entry struct {
	pos  int64 // index in the Bundle, or offset of the line
	line int   // number of the line, 0 in a Bundle
	node fhir.Node
}

func (e *entry) request(name string) string { return e.node.Member("request").Member(name).Text() }

// result is what became of one entry.
type result struct {
	pos         int64
	line        int
	method      string
	status      int // 0: not sent
	diagnostics []string
}

func (r result) ok() bool { return r.status >= 200 && r.status < 300 }

// newEntry makes an entry of a batch.
func newEntry(pos int64, line int, resource *fhir.Resource, method, url string) entry {
	return entry{pos: pos, line: line, node: fhir.NewObject(
		resource.Root().Named("resource"),
		fhir.NewObject(
			fhir.NewString(method).Named("method"),
			fhir.NewString(url).Named("url"),
		).Named("request"))}
}

// gate keeps two units that write the same resource from being in flight at
// once, so that of two lines with one id the later wins.
type gate struct {
	mu    sync.Mutex
	freed *sync.Cond
	held  map[string]bool
}

func newGate() *gate {
	g := &gate{held: map[string]bool{}}
	g.freed = sync.NewCond(&g.mu)
	return g
}

// enter waits until none of the ids is held, then holds them. Units always
// leave, so that it needs no context.
func (g *gate) enter(ids []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for slices.ContainsFunc(ids, func(id string) bool { return g.held[id] }) {
		g.freed.Wait()
	}
	for _, id := range ids {
		g.held[id] = true
	}
}

func (g *gate) leave(ids []string) {
	if len(ids) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range ids {
		delete(g.held, id)
	}
	g.freed.Broadcast()
}
