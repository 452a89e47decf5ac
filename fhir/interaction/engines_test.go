package interaction

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

// TestEnginesGiveEqualAnswers is metamorphic: one random sequence of
// interactions of every kind, on the embedded engine and on MongoDB, gives the
// same answers, down to the second of each change: the clock goes on by one with
// each step. Only ids that the server made differ, the order of a search that
// asks for none, and which of the resources of one Bundle came first. FIELDSEAL_LONG=1 runs a longer sequence, which
// is another one each time, FIELDSEAL_SEED=n one that failed.
func TestEnginesGiveEqualAnswers(t *testing.T) {
	t.Parallel()
	uri := mongotest.URI(t)
	seed, count := uint64(1), 200
	if os.Getenv("FIELDSEAL_LONG") != "" {
		seed, count = rand.Uint64(), 5000
	}
	if text := os.Getenv("FIELDSEAL_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	if testing.Short() {
		count = 60
	}
	var clock atomic.Int64
	clock.Store(time.Now().Truncate(time.Second).UnixMicro())
	now := func() time.Time { return time.UnixMicro(clock.Load()) }
	m := metamorph{t: t, rand: rand.New(rand.NewPCG(seed, 1)), seen: map[string]int{}, sides: []*side{
		{shop: newShopWith(t, shopOptions{now: now})},
		{shop: newShopWith(t, shopOptions{now: now, mongoURI: uri})},
	}}
	for _, s := range m.sides {
		s.DeleteMultiple = true
	}
	for i := range count {
		clock.Add(1_000_000)
		op := m.operation()
		local, mongo := m.sides[0].run(op), m.sides[1].run(op)
		if local != mongo {
			t.Fatalf("seed %d, step %d: %s\n%s", seed, i, op.name, apart(local, mongo))
		}
		m.seen[strings.Fields(op.name)[0]+" "+strings.Fields(local)[0]]++
	}
	for _, k := range slices.Sorted(maps.Keys(m.seen)) {
		t.Logf("%4d %s", m.seen[k], k)
	}
	for _, k := range []string{"create 201", "delete 204", "transaction 200", "transaction 412", "search 200", "history 200", "update 412"} {
		if m.seen[k] == 0 && !testing.Short() {
			t.Errorf("no step was %q", k)
		}
	}
}

// apart is where two answers begin to differ.
func apart(local, mongo string) string {
	a, b := strings.Split(local, "\n"), strings.Split(mongo, "\n")
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return fmt.Sprintf("the first %d lines are equal, then embedded engine, %d lines:\n%s\nMongoDB, %d lines:\n%s", n,
		len(a), strings.Join(a[n:min(n+4, len(a))], "\n"), len(b), strings.Join(b[n:min(n+4, len(b))], "\n"))
}

// side is a service over one engine. Resources are spoken of by number; made
// are the ids that the server gave to them here.
type side struct {
	*shop
	made  []string
	types []string
}

// operation is one step: what it does on a side, as text that is equal on both.
type operation struct {
	name string
	call func(s *side) string
}

// typ is the type of the n-th resource of a test: client ids of even number are
// patients, of odd number observations.
func (s *side) typ(n int) string {
	switch {
	case n >= clientIDs:
		return s.types[n-clientIDs]
	case n%2 == 1:
		return "Observation"
	}
	return "Patient"
}

// id is what this side calls the n-th resource of a test.
func (s *side) id(n int) string {
	if n < clientIDs {
		return fmt.Sprintf("c%d", n)
	}
	return s.made[n-clientIDs]
}

// run does a step with the ids of the side, and names them by number again.
func (s *side) run(op operation) string {
	before := len(s.made)
	text := fraction.ReplaceAllString(op.call(s), "${1}Z")
	for n, id := range s.made {
		text = strings.ReplaceAll(text, id, fmt.Sprintf("(id %d)", n))
	}
	return fmt.Sprintf("%s\n%d new", text, len(s.made)-before)
}

// fraction is what stands behind the second of an instant.
var fraction = regexp.MustCompile(`(\d\d:\d\d:\d\d)\.\d+Z`)

// madeHere is a resource whose id the server made.
var madeHere = regexp.MustCompile(`([A-Za-z]+)/([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})`)

// learn keeps new resources in the order in which an answer names them.
func (s *side) learn(text string) {
	for _, found := range madeHere.FindAllStringSubmatch(text, -1) {
		if typ, id := found[1], found[2]; !slices.Contains(s.made, id) {
			s.made, s.types = append(s.made, id), append(s.types, typ)
		}
	}
}

// told is an answer as text: the status, what names the version, the body.
func (s *side) told(a *Answer, err error) string {
	s.t.Helper()
	if err != nil {
		f := failure(err)
		return fmt.Sprintf("%d\n%v", f.Kind.Status(), f.Issues)
	}
	body := a.Body()
	s.learn(a.Location())
	s.learn(string(body))
	etag := a.ETag()
	if !strings.HasPrefix(etag, "W/") { // of a view: a keyed hash
		etag = fmt.Sprint(etag != "")
	}
	return fmt.Sprintf("%d\n%s %s %v\n%s", a.Status(), a.Location(), etag, a.LastModified().Unix(), tidy(body))
}

// tidy leaves out links, which are sealed, and what is random in a Bundle.
func tidy(body []byte) string {
	var b map[string]json.RawMessage
	if json.Unmarshal(body, &b) != nil || string(b["resourceType"]) != `"Bundle"` {
		return string(body)
	}
	var links []struct{ Relation string }
	_ = json.Unmarshal(b["link"], &links)
	var entries []json.RawMessage
	_ = json.Unmarshal(b["entry"], &entries)
	text := fmt.Sprintf("Bundle %s, total %s, links %v", b["type"], b["total"], links)
	for _, e := range entries {
		text += "\n" + string(e)
	}
	return text
}

// order is how much of the order of entries has to be equal.
type order int

const (
	exact    order = iota
	bySecond       // entries of one second may change places
	asSet          // any may, and one may stand on two pages
)

// pages follows an answer to its last page.
func (s *side) pages(how order, target string, ask func(ctx context.Context, query string) (*Answer, error)) string {
	s.t.Helper()
	query, text := target, ""
	var entries []string
	for page := 0; ; page++ {
		a, err := ask(s.t.Context(), query)
		if err != nil {
			return s.told(nil, err)
		}
		var b searchset
		s.must(json.Unmarshal(a.Body(), &b))
		told := strings.Split(s.told(a, nil), "\n")
		text += fmt.Sprintln(told[0], told[2], len(b.ids("match")))
		entries = append(entries, told[3:]...)
		at := strings.Index(b.next(), "?")
		if at < 0 {
			break
		}
		if query = b.next()[at+1:]; page > 100 {
			s.t.Fatal("the pages do not end: " + target)
		}
	}
	for i := range entries {
		entries[i] = s.numbered(fraction.ReplaceAllString(entries[i], "${1}Z"))
	}
	switch how {
	case bySecond:
		for i := 0; i < len(entries); {
			n := i + 1
			for n < len(entries) && second(entries[n]) == second(entries[i]) {
				n++
			}
			slices.Sort(entries[i:n])
			i = n
		}
	case asSet:
		slices.Sort(entries)
		entries = slices.Compact(entries)
	}
	return text + strings.Join(entries, "\n")
}

// second is when the resource of an entry was changed.
func second(entry string) string {
	return entry[strings.LastIndex(entry, `"last`)+1:][:len(`lastUpdated":"2000-01-01T00:00:00`)]
}

func (s *side) numbered(text string) string {
	for n, id := range s.made {
		text = strings.ReplaceAll(text, id, fmt.Sprintf("(id %d)", n))
	}
	return text
}

// erase removes a patient for good.
func (s *side) erase(id string) string {
	rep, err := s.Erase(s.t.Context(), Call{}, ErasePlan{
		Patient: id, Reason: "test", Keys: s.ring, Purger: s.store, Drain: s.drain,
		Scrub:    func(context.Context) error { return nil },
		Progress: func(string, int, int) {},
	})
	if err != nil && !errors.As(err, new(*Failure)) {
		s.t.Fatal(err)
	}
	refs := make([]string, len(rep.References))
	for i, r := range rep.References {
		refs[i] = s.numbered(r)
	}
	slices.Sort(refs)
	return fmt.Sprint("erased\n", rep.Versions, refs, rep.History, err)
}
