package importer

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

var (
	errEmpty     = errors.New("the input is empty")
	errInvalidID = errors.New("the resource's id is not a FHIR id")
	errNoEntries = errors.New("the entries of the Bundle are no array of objects")
	errNotStored = errors.New("an entry of the collection holds no resource")
)

// unpacks reports whether the resource is a Bundle whose entries are stored
// one by one. Documents, messages and the like are resources themselves.
func unpacks(r *fhir.Resource) bool {
	if r.Type() != "Bundle" {
		return false
	}
	switch r.Root().Member("type").Text() {
	case "transaction", "batch", "collection", "searchset":
		return true
	}
	return false
}

// resource makes the entry of a single resource: PUT when it has an id, PUT
// with a derived id when the run can be resumed, else POST.
func (r *run) resource(key string, pos int64, line int, res *fhir.Resource) (entry, error) {
	if res.Root().Member("id") == nil {
		if id := r.state.deriveID(key, pos); id != "" {
			res.SetID(id)
		} else {
			return newEntry(pos, line, res, http.MethodPost, res.Type()), nil
		}
	}
	if !fhir.ValidID(res.ID()) {
		return entry{}, errInvalidID
	}
	return newEntry(pos, line, res, http.MethodPut, res.Type()+"/"+res.ID()), nil
}

// plan is a document ready to be sent.
type plan struct {
	transaction []byte  // the whole Bundle; nil for a batch
	entries     []entry // in the order of the Bundle
}

// plan reads a document. Its errors describe the input.
func (r *run) plan(u *unit) (plan, error) {
	data, err := u.load()
	if err != nil {
		return plan{}, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return plan{}, errEmpty
	}
	doc, err := fhir.Parse(data, documentLimits)
	if err != nil {
		return plan{}, err
	}
	if !unpacks(doc) {
		e, err := r.resource(u.key, u.offset, 0, doc)
		e.pos = 0
		return plan{entries: []entry{e}}, err
	}
	return r.bundle(u, doc)
}

func (r *run) bundle(u *unit, doc *fhir.Resource) (plan, error) {
	list := doc.Root().Member("entry")
	if list == nil {
		return plan{}, nil
	}
	if list.Kind() != fhir.Array {
		return plan{}, errNoEntries
	}
	kind := doc.Root().Member("type").Text()
	collected := kind == "collection" || kind == "searchset"
	transaction := kind == "transaction"
	p := plan{entries: make([]entry, 0, list.Len())}
	for i := range list.Len() {
		n := list.At(i)
		if n.Kind() != fhir.Object {
			return plan{}, errNoEntries
		}
		if collected {
			if n.Member("search").Member("mode").Text() == "outcome" {
				continue
			}
			if err := collect(n); err != nil {
				return plan{}, err
			}
		}
		r.settle(u, int64(i), n, collected)
		// References by urn:uuid only work where the server rewrites them.
		transaction = transaction || collected && strings.HasPrefix(n.Member("fullUrl").Text(), "urn:")
		p.entries = append(p.entries, entry{pos: int64(i), node: *n})
	}
	if transaction {
		p.transaction = compose("transaction", p.entries)
	}
	return p, nil
}

// collect turns an entry of a collection into a POST; settle then gives it its
// id.
func collect(n *fhir.Node) error {
	res := n.Member("resource")
	if res == nil || res.Kind() != fhir.Object {
		return errNotStored
	}
	n.Remove("search")
	n.Remove("response")
	n.Set("request", fhir.NewObject(
		fhir.NewString(http.MethodPost).Named("method"),
		fhir.NewString(res.Member("resourceType").Text()).Named("url")))
	return nil
}

// settle makes a POST repeatable: a PUT under the resource's own id (in a
// collection), the uuid of its fullUrl, or a derived id. What the server makes
// repeatable by ifNoneExist stays, and so does what is malformed: the server
// says what is wrong with it.
func (r *run) settle(u *unit, pos int64, n *fhir.Node, collected bool) {
	req, node := n.Member("request"), n.Member("resource")
	if node == nil || req.Member("method").Text() != http.MethodPost || req.Member("ifNoneExist") != nil {
		return
	}
	res, err := fhir.NewResource(node.Named("resource"))
	if err != nil || req.Member("url").Text() != res.Type() {
		return
	}
	id := strings.TrimPrefix(n.Member("fullUrl").Text(), "urn:uuid:")
	if own := res.ID(); collected && fhir.ValidID(own) {
		id = own
	}
	if !fhir.ValidID(id) {
		// An entry is longer than one byte, so that no two get one id.
		if id = r.state.deriveID(u.key, u.offset+pos); id == "" {
			return
		}
	}
	res.SetID(id)
	*node = *res.Root()
	req.Set("method", fhir.NewString(http.MethodPut))
	req.Set("url", fhir.NewString(res.Type()+"/"+id))
}

// compose writes a Bundle of the entries.
func compose(kind string, entries []entry) []byte {
	b := append([]byte(`{"resourceType":"Bundle","type":"`), kind...)
	b = append(b, `","entry":[`...)
	for i := range entries {
		if i > 0 {
			b = append(b, ',')
		}
		b = entries[i].node.AppendJSON(b)
	}
	return append(b, "]}"...)
}

// conditional finds references such as "Practitioner?identifier=…".
var conditional = regexp.MustCompile(`"reference"\s*:\s*"[A-Z][A-Za-z]*\?`)

// process sends a unit and accounts for it. Its error ends the run.
func (r *run) process(ctx context.Context, u *unit) error {
	p := plan{entries: u.entries}
	if u.load != nil {
		var err error
		if p, err = r.plan(u); err != nil {
			r.refuseInput(u.source, err)
			return nil
		}
	}
	if p.transaction != nil {
		return r.transaction(ctx, u, p)
	}
	results := u.refused
	wanted := make([]entry, 0, len(p.entries))
	for _, e := range p.entries {
		if u.wants(e.pos) {
			wanted = append(wanted, e)
		}
	}
	for len(wanted) > 0 {
		n := min(len(wanted), r.BatchSize)
		done, err := r.batch(ctx, wanted[:n])
		results = append(results, done...)
		if err != nil {
			return errors.Join(err, r.account(u, results, false))
		}
		wanted = wanted[n:]
	}
	return r.account(u, results, true)
}

// transaction sends a unit whose entries succeed or fail together.
func (r *run) transaction(ctx context.Context, u *unit, p plan) error {
	results, a, err := r.sendTransaction(ctx, p)
	switch {
	case err != nil:
		return err
	case results != nil:
		return r.account(u, results, true)
	case !r.retrying && conditional.Match(p.transaction):
		r.mu.Lock()
		defer r.mu.Unlock()
		r.deferred = append(r.deferred, u)
		return nil
	}
	ref := Refusal{Input: u.source.name, Status: a.status, Diagnostics: a.diagnostics(), Entry: a.entryIndex()}
	r.mu.Lock()
	r.summary.refuse(len(p.entries), ref)
	r.mu.Unlock()
	r.bar.add(u.bytes)
	return nil
}

// refuseInput reports an input that cannot be read.
func (r *run) refuseInput(s source, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.refuse(1, Refusal{Input: s.name, Diagnostics: []string{cut(err.Error())}})
}

// account counts results and, when the unit is complete, records it. Refused
// entries are recorded as to be sent again by the next run.
func (r *run) account(u *unit, results []result, complete bool) error {
	var redo []int64
	r.mu.Lock()
	for _, res := range results {
		switch {
		case !res.ok():
			redo = append(redo, res.pos)
			ref := Refusal{Input: u.source.name, Line: res.line, Status: res.status, Diagnostics: res.diagnostics}
			if res.line == 0 {
				index := int(res.pos)
				ref.Entry = &index
			}
			r.summary.refuse(1, ref)
		case res.status == http.StatusCreated:
			r.summary.Created++
		case res.method == http.MethodPut:
			r.summary.Updated++
		default:
			r.summary.Unchanged++
		}
	}
	r.mu.Unlock()
	r.bar.add(u.bytes)
	if !complete {
		return nil
	}
	return r.state.add(record{Key: u.key, Offset: u.offset, End: u.end, Redo: redo})
}
