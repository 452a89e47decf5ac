package interaction

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/redact/redacttest"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// randomWriters are policy rows of n roles that see some classes and write some,
// not always the same.
func randomWriters(rng *rand.Rand, n int) string {
	var b strings.Builder
	all := field.AllClasses.Classes()
	some := func(least int) string {
		names := []string{"administrative", "clinical", "restricted"}[:least]
		for _, c := range all {
			if !slices.Contains(names, c.String()) && rng.IntN(3) > 0 {
				names = append(names, c.String())
			}
		}
		return strings.Join(names, "|")
	}
	one := func(of ...string) string { return of[rng.IntN(len(of))] }
	for i := range n {
		fmt.Fprintf(&b, "role, role:pen%d, random%s\n", i, one("", "", ", conceal_changes"))
		fmt.Fprintf(&b, "p, role:pen%d, record, read|search, %s, *, %s, allow\n", i, some(3), one("all_patients", "all_patients", "label(R)", "relationship"))
		fmt.Fprintf(&b, "p, role:pen%d, record, read|search, %s, *, not_patient_data, allow\n", i, some(3))
		fmt.Fprintf(&b, "p, role:pen%d, record, create|update, %s, *, %s, allow\n", i, one(some(1), some(2), "*"), one("all_patients", "label(R)", "not_restricted_label"))
		fmt.Fprintf(&b, "p, role:pen%d, record, delete, %s, *, all_patients, allow\n", i, one(some(0), "*"))
		if rng.IntN(2) == 0 {
			fmt.Fprintf(&b, "p, role:pen%d, record, read, %s, *, restricted_label, deny\n", i, all[rng.IntN(len(all))])
		}
		if rng.IntN(2) == 0 {
			fmt.Fprintf(&b, "p, role:pen%d, record, update, %s, *, restricted_label, deny\n", i, all[rng.IntN(len(all))])
		}
	}
	return b.String()
}

// desk is from where a role writes, and what became of it.
type desk struct {
	*redacttest.Differences
	p       *shop
	c, all  Call // of the role; of who sees and writes everything
	judge   *judge
	g       *redacttest.Generator
	rng     *rand.Rand
	taken   int
	refused int
}

// whole is what is stored under an id, nothing hidden; nil when it is not there.
func (d *desk) whole(k *kept) []byte {
	a, err := d.p.Read(d.p.t.Context(), d.all, k.typ, k.id)
	if err != nil {
		return nil
	}
	return bytes.Clone(a.Body())
}

// want is what must be stored after an update by the role, nil when it must be
// refused. Sure is whether the judge knows that it may be stored: of a resource
// that moves, or whose labels change, it says only what it would become.
func (d *desk) want(stored, body []byte) (want []byte, sure bool) {
	read, update := d.judge.mask(stored, "read"), d.judge.mask(stored, "update")
	if d.judge.view(stored, nil) == nil || update.Empty() {
		return nil, true
	}
	want = d.judge.views.Merge(stored, body, read)
	if want == nil {
		return nil, true
	}
	after := d.judge.mask(want, "update")
	if after.Empty() || !d.judge.views.Touched(stored, want).In(update.And(after)) {
		return nil, true
	}
	return want, d.judge.place(stored) == d.judge.place(want)
}

// place is what rules ask of a version: labels, patients, organizations.
func (j *judge) place(text []byte) string {
	c := j.candidate(text, "read")
	return fmt.Sprint(c.labels, c.patients, c.keptBy())
}

// update sends a changed view back, by one of the ways there are.
func (d *desk) update(k *kept, others [][]byte) {
	stored := d.whole(k)
	view := d.judge.view(stored, nil)
	from := view
	if from == nil {
		from = stored // somebody guesses
	}
	body := d.g.Edit(from, others[d.rng.IntN(len(others))])
	want, sure := d.want(stored, body)
	c := d.c
	if c.Return = []Return{Representation, Minimal}[d.rng.IntN(2)]; d.rng.IntN(2) == 0 && view != nil {
		a, err := d.p.Read(d.p.t.Context(), c, k.typ, k.id)
		d.p.must(err)
		c.IfMatch = a.ETag()
	}
	what := "an update of " + k.typ
	ways := []func() (*Answer, error){
		func() (*Answer, error) { return d.p.Update(d.p.t.Context(), c, k.typ, k.id, body) },
		func() (*Answer, error) { return d.p.UpdateWhere(d.p.t.Context(), c, k.typ, "_id="+k.id, body) },
		func() (*Answer, error) { return d.entry(c, "batch", k, body) },
		func() (*Answer, error) { return d.entry(c, "transaction", k, body) },
	}
	way := d.rng.IntN(len(ways))
	if way == 1 && d.judge.mask(stored, "search").Empty() {
		want = nil
	}
	a, err := ways[way]()
	d.judged(k, what, stored, want, sure, a, err)
}

// entry writes by an entry of a Bundle; its failure is that of the Bundle.
func (d *desk) entry(c Call, kind string, k *kept, body []byte) (*Answer, error) {
	text := fmt.Sprintf(`{"resourceType":"Bundle","type":%q,"entry":[{"resource":%s,"request":{"method":"PUT","url":"%s/%s","ifMatch":%s}}]}`, kind, body, k.typ, k.id, strconv.Quote(c.IfMatch))
	if c.IfMatch == "" {
		text = strings.Replace(text, `,"ifMatch":""`, "", 1)
	}
	c.IfMatch = ""
	a, err := d.p.Bundle(d.p.t.Context(), c, []byte(text))
	if err != nil || kind == "transaction" {
		return nil, err
	}
	var b struct {
		Entry []struct {
			Response struct {
				Status  string
				Outcome json.RawMessage
			}
		}
	}
	d.p.must(json.Unmarshal(a.Body(), &b))
	if status := b.Entry[0].Response.Status; status[0] != '2' {
		kinds := map[string]Kind{"403": Denied, "404": NotFound, "422": Unprocessable, "412": Precondition, "409": Conflict, "400": Malformed}
		return nil, fail(kinds[status[:3]], nil, "%s", b.Entry[0].Response.Outcome)
	}
	return nil, nil
}

// patch changes the view by a JSON Patch of one element.
func (d *desk) patch(k *kept, others [][]byte) {
	stored := d.whole(k)
	view := d.judge.view(stored, nil)
	if view == nil {
		view = []byte(`{"resourceType":"` + k.typ + `","id":"` + k.id + `"}`)
	}
	op, name, body := d.g.Operation(view, stored, others[d.rng.IntN(len(others))])
	if body == nil {
		return
	}
	want, sure := d.want(stored, body)
	read := d.judge.mask(stored, "read")
	if !read.Full() && (!d.judge.views.Shows(stored, name, read) || !read["restricted"] && strings.HasSuffix(strings.ToLower(name), "extension")) {
		sure = false // what is hidden may not be named, even to no effect
	}
	what := "a patch of " + k.typ + "." + name
	var a *Answer
	var err error
	if d.rng.IntN(2) == 0 || d.judge.mask(stored, "search").Empty() {
		a, err = d.p.Patch(d.p.t.Context(), d.c, k.typ, k.id, JSONPatchMedia, op)
	} else {
		a, err = d.p.PatchWhere(d.p.t.Context(), d.c, k.typ, "_id="+k.id, JSONPatchMedia, op)
	}
	d.judged(k, what, stored, want, sure, a, err)
}

// judged compares what is stored after a write with what must be.
func (d *desk) judged(k *kept, what string, stored, want []byte, sure bool, a *Answer, err error) {
	d.Compared++
	now := d.whole(k)
	switch {
	case err != nil:
		d.refused++
		if !bytes.Equal(now, stored) {
			d.Note(what+" is refused and changes something", k.ref())
		}
		d.tells(what, err, stored)
		if want != nil && sure && d.admissible(k, stored, want) {
			d.Note(what+" is refused, but must be taken: "+failure(err).Error(), k.ref())
		}
	case want == nil:
		d.Note(what+" is taken, but must be refused", k.ref())
	default:
		if d.taken++; !redacttest.Same(now, want) {
			d.Note(what+" stores something else", k.ref())
		}
		if a != nil && len(a.Body()) > 0 {
			view := d.judge.view(now, nil)
			if d.Compare("the answer to "+what, a.Body(), view); os.Getenv("FIELDSEAL_LONG") == "1" && !bytes.Equal(view, a.Body()) {
				d.p.t.Logf("%s\nanswer %s\nview   %s\nrows %v", now, a.Body(), view, d.judge.rows)
			}
		}
	}
}

// admissible reports whether the result of a refused write is a resource that
// the server stores at all: who may do everything is asked to.
func (d *desk) admissible(k *kept, stored, want []byte) bool {
	if _, err := d.p.Update(d.p.t.Context(), d.all, k.typ, k.id, want); err != nil {
		return false
	}
	d.p.put(k.typ, k.id, string(stored))
	return true
}

// tells notes a refusal that tells a text that the role may not see.
func (d *desk) tells(what string, err error, stored []byte) {
	f := failure(err)
	said := f.Error() + fmt.Sprint(f.Issues)
	for _, text := range d.judge.views.Hidden(stored, d.judge.mask(stored, "read")) {
		if len(text) > 5 && strings.Contains(said, text) {
			d.Note(what+" is refused with a text that is hidden", what)
		}
	}
}

// create makes a new resource like another one, with or without what the role
// may not write.
func (d *desk) create(like *kept) {
	source := d.whole(like)
	if source == nil {
		return
	}
	body := source
	if d.rng.IntN(3) > 0 {
		body = d.judge.views.Only(source, d.judge.mask(source, "create"))
	}
	mask := d.judge.mask(d.judge.views.Identified(body, "new"), "create")
	want := body
	if mask.Empty() || !d.judge.views.Touched(nil, body).In(mask) {
		want = nil
	}
	a, err := d.p.Create(d.p.t.Context(), d.c, like.typ, body)
	d.Compared++
	switch what := "a creation of " + like.typ; {
	case err != nil:
		if d.refused++; want == nil {
			return
		}
		if _, all := d.p.Create(d.p.t.Context(), d.all, like.typ, body); all == nil {
			d.Note(what+" is refused, but must be taken: "+failure(err).Error(), like.ref())
		}
	case want == nil:
		d.Note(what+" is taken, but must be refused", like.ref())
	default:
		d.taken++
		id, _, _ := strings.Cut(strings.TrimPrefix(a.Location(), like.typ+"/"), "/")
		made := d.whole(&kept{typ: like.typ, id: id})
		if !redacttest.Same(made, d.judge.views.Identified(want, id)) {
			d.Note(what+" stores something else", like.ref())
		}
	}
}

// remove deletes, which takes the right to every class.
func (d *desk) remove(k *kept) {
	stored := d.whole(k)
	mask := d.judge.mask(stored, "delete")
	_, err := d.p.Delete(d.p.t.Context(), d.c, k.typ, k.id)
	d.Compared++
	switch now := d.whole(k); {
	case now == nil && !mask.Full():
		d.Note("a deletion takes what the role may not delete", k.ref())
	case now != nil && err == nil && mask.Full():
		d.Note("a deletion does nothing", k.ref())
	case now == nil:
		d.taken++
		d.p.put(k.typ, k.id, string(stored))
	default:
		d.refused++
	}
}

// TestEveryWriteStoresWhatAReferenceSays writes in many ways as random roles that
// see and write only some classes, and compares what is stored, opened by who sees
// everything, with what a judge makes of the opened resources: nothing hidden is
// lost or changed, nothing is written by who may not, and nothing else refused.
func TestEveryWriteStoresWhatAReferenceSays(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it writes one after the other: nothing for the race detector")
	}
	seed, roles, writes := uint64(9), 5, 60
	if os.Getenv("FIELDSEAL_LONG") == "1" {
		seed, roles, writes = rand.Uint64(), 40, 600
		if again, err := strconv.ParseUint(os.Getenv("FIELDSEAL_SEED"), 10, 64); err == nil {
			seed = again
		}
	}
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	p := newShopWith(t, shopOptions{rows: randomWriters(rng, roles)})
	stored := p.stockVisible(rng, false)
	names := []string{"clerk", "reception", "porter", "scribe", "doctor", "registrar", "clinician"}
	for i := range roles {
		names = append(names, fmt.Sprint("pen", i))
	}
	compared, taken := 0, 0
	for i, role := range names {
		d := p.desk(role, stored, seed+uint64(i))
		d.writes(stored, writes)
		t.Logf("%s: %d writes, %d taken, %d refused", role, d.Compared, d.taken, d.refused)
		for _, line := range d.Lines(20) {
			t.Errorf("%s: %s", role, line)
		}
		compared, taken = compared+d.Compared, taken+d.taken
	}
	if compared < writes*len(names)*3/4 || taken < compared/5 || taken > compared*19/20 {
		t.Errorf("%d writes, %d taken: the test proves little", compared, taken)
	}
	wrong := p.desk("reception", stored, seed) // a judge that notices nothing proves nothing
	wrong.c = wrong.all
	if wrong.writes(stored, 20); !wrong.Any() {
		t.Error("not noticed: somebody writes what the role may not")
	}
}

func (p *shop) desk(role string, stored []*kept, seed uint64) *desk {
	p.t.Helper()
	texts := make([][]byte, len(stored))
	for i, k := range stored {
		texts[i] = k.current()
	}
	j := p.newJudge(role, "", texts)
	return &desk{Differences: &redacttest.Differences{}, p: p, c: p.as(role), all: p.as("integration"), judge: j,
		g: j.views.NewGenerator(seed), rng: rand.New(rand.NewPCG(seed, 3))}
}

// writes does n things. What rules ask about others stays as it is.
func (d *desk) writes(stored []*kept, n int) {
	byType := map[string][]*kept{}
	for _, k := range stored {
		if k.typ != "CareTeam" && k.typ != "Consent" && k.typ != "Binary" {
			byType[k.typ] = append(byType[k.typ], k)
		}
	}
	var types []string
	for typ := range byType {
		types = append(types, typ)
	}
	slices.Sort(types)
	for range n {
		of := byType[types[d.rng.IntN(len(types))]]
		k := of[d.rng.IntN(len(of))]
		others := [][]byte{of[d.rng.IntN(len(of))].current(), k.current()}
		switch d.rng.IntN(10) {
		case 0:
			d.remove(k)
		case 1, 2:
			d.create(k)
		case 3, 4, 5:
			d.patch(k, others)
		default:
			d.update(k, others)
		}
	}
}
