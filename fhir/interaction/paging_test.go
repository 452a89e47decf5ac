package interaction

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestPagesUnderConcurrentWriters walks pages in every order while others
// create, change and delete: what nobody touches appears exactly once, and
// nothing appears twice (decision 28).
func TestPagesUnderConcurrentWriters(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.underway.limit = time.Minute // the machine may be busy
	text := func(id string, value int) string {
		return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","code":{"coding":[{"system":"urn:c","code":"x"}]},"subject":{"reference":"Patient/p1"},"valueQuantity":{"value":%d}}`, id, value)
	}
	const still = 40
	for i := range still {
		p.put("Observation", fmt.Sprintf("still%d", i), text(fmt.Sprintf("still%d", i), i))
		p.put("Observation", fmt.Sprintf("moving%d", i), text(fmt.Sprintf("moving%d", i), i))
	}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for worker := range 3 {
		writers.Go(func() {
			c := p.as("integration")
			rng := rand.New(rand.NewPCG(uint64(worker), 7)) // #nosec G404 -- reproducible test data
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("moving%d", worker+3*rng.IntN(still/3)) // its own, so that no write is lost to another
				var err error
				switch rng.IntN(5) {
				case 0:
					_, err = p.Delete(t.Context(), c, "Observation", id)
				case 1:
					id = fmt.Sprintf("new%d-%d", worker, n)
					fallthrough
				default:
					_, err = p.Update(t.Context(), c, "Observation", id, []byte(text(id, rng.IntN(100))))
				}
				if err != nil {
					t.Errorf("writing %s: %v", id, err)
					return
				}
			}
		})
	}
	for _, query := range []string{"Observation?code=urn:c%7Cx&_count=7", "Observation?patient=p1&_count=9&_sort=value-quantity",
		"Observation?_count=8&_sort=-_lastUpdated", "Observation?_count=8&_sort=_id", "Patient/p1/*?_count=11", "Observation?status=final&_count=13&_sort=-value-quantity,_id"} {
		p.walkOnce(query, still)
	}
	close(stop)
	writers.Wait()
}

// walkOnce walks the pages of a search.
func (p *shop) walkOnce(query string, still int) {
	p.t.Helper()
	seen := map[string]int{}
	c := p.as("clinician")
	for next := query; next != ""; {
		a, err := p.ask(c, next)
		p.must(err)
		var b searchset
		p.must(json.Unmarshal(a.Body(), &b))
		for _, id := range b.ids("match") {
			if seen[id]++; seen[id] > 1 {
				p.t.Errorf("%s shows %s %d times", query, id, seen[id])
			}
		}
		next = strings.TrimPrefix(strings.TrimPrefix(b.next(), base), "/")
	}
	for i := range still {
		if id := fmt.Sprintf("Observation/still%d", i); seen[id] != 1 {
			p.t.Errorf("%s shows %s %d times", query, id, seen[id])
		}
	}
}
