package interaction

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/bundle"
	"github.com/fieldseal/fieldseal/fhir/model"
)

// batchParallel is how many entries of a batch run at once: enough to share the
// trail's and the store's group commits.
const batchParallel = 16

// Bundle processes a batch or a transaction (R4 http.html#transaction).
func (s *Service) Bundle(ctx context.Context, c Call, body []byte) (a *Answer, err error) {
	if c.IdempotencyKey != "" {
		return s.once(ctx, c, begin(c, audit.Execute, "transaction"), repeatable{what: "bundle", body: body, keep: true,
			run: func(c Call) (*Answer, error) { return s.Bundle(ctx, c, body) }})
	}
	ctx, end := s.start(ctx, &c, trace.Transaction)
	defer func() { end(err) }()
	ev := begin(c, audit.Execute, "transaction")
	plan, err := s.plan(c, body)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	if !plan.Transaction() {
		ev.Subtype = "batch"
		return s.batch(ctx, c, ev, plan)
	}
	a, err = retry(ctx, func() (*Answer, error) {
		if plan == nil {
			if plan, err = s.plan(c, body); err != nil {
				return nil, err
			}
		}
		p := plan
		plan = nil // resolving rewrites it: another attempt starts afresh
		return s.transaction(ctx, c, ev, p)
	})
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	return a, nil
}

func (s *Service) plan(c Call, body []byte) (*bundle.Plan, error) {
	r, err := fhir.Parse(body, fhir.Limits{MaxBytes: s.BundleBytes, MaxDepth: s.Limits.MaxDepth})
	if err != nil {
		return nil, err
	}
	if r.Type() != "Bundle" {
		return nil, fail(Malformed, nil, "the base takes a Bundle of type batch or transaction")
	}
	plan, err := bundle.New(r, bundle.Options{Base: s.Base, MaxEntries: s.MaxEntries, Types: s.types, Changes: changes, NewID: func(e *bundle.Entry) string { return s.newID(c, e.Index) }})
	var issues fhir.Issues
	if errors.As(err, &issues) {
		return nil, &Failure{Kind: Malformed, Issues: issues, cause: err}
	}
	return plan, err
}

// batch runs every entry by itself: the good ones land, each bad one gets its
// own outcome.
func (s *Service) batch(ctx context.Context, c Call, ev audit.Event, plan *bundle.Plan) (*Answer, error) {
	entries := plan.Entries()
	results := make([]entryResult, len(entries))
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	run := func(e *bundle.Entry) {
		a, err := s.entry(ctx, c, e)
		results[e.Index] = entryResult{e, a, err}
	}
	for _, e := range entries {
		if len(e.Issues) > 0 { // Order leaves these out
			run(e)
		}
	}
	ordered := plan.Order()
	for start := 0; start < len(ordered); {
		end := start
		for end < len(ordered) && ordered[end].Method == ordered[start].Method {
			end++
		}
		group := ordered[start:end]
		s.parallel(len(group), func(i int) { run(group[i]) })
		start = end
	}
	return s.assemble(model.BatchResponse, receipt, results)
}

// parallel runs work that waits for the disk, batchParallel at once.
func (s *Service) parallel(n int, run func(i int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, batchParallel)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() { defer func() { <-slots }(); run(i) })
	}
	wg.Wait()
}

// inBundle is the call of one entry: its conditions are its own.
func inBundle(c Call, e *bundle.Entry) Call {
	c.IfMatch, c.IfNoneMatch, c.IfNoneExist, c.IfModifiedSince = e.IfMatch, e.IfNoneMatch, e.IfNoneExist, e.IfModifiedSince
	return c
}

// entry runs one entry of a batch, or a GET of a transaction.
func (s *Service) entry(ctx context.Context, c Call, e *bundle.Entry) (*Answer, error) {
	if e.Issues.HasErrors() {
		return nil, s.refuse(ctx, begin(c, audit.Execute, "batch"), &Failure{Kind: Malformed, Issues: e.Issues})
	}
	c = inBundle(c.ofEntry(e.Index), e)
	if e.Operation != "" {
		return s.operateEntry(ctx, c, e)
	}
	switch e.Method {
	case http.MethodPost:
		return s.Create(ctx, c, e.Type, e.Resource.AppendJSON(nil))
	case http.MethodPut:
		if e.Query != "" {
			return s.UpdateWhere(ctx, c, e.Type, e.Query, e.Resource.AppendJSON(nil))
		}
		return s.Update(ctx, c, e.Type, e.ID, e.Resource.AppendJSON(nil))
	case http.MethodPatch:
		return s.patchEntry(ctx, c, e)
	case http.MethodDelete:
		if e.Query != "" {
			return s.DeleteWhere(ctx, c, e.Type, e.Query)
		}
		return s.Delete(ctx, c, e.Type, e.ID)
	case http.MethodGet, http.MethodHead:
		c.Return = Representation
		return s.get(ctx, c, e.URL)
	}
	return nil, s.refuse(ctx, begin(c, audit.Execute, "batch"), notServed(e))
}

func notServed(e *bundle.Entry) *Failure {
	f := fail(Malformed, nil, "this interaction is not served in a Bundle")
	f.Issues[0].Code = "not-supported"
	f.Issues[0].Expression = []string{entryPath(e.Index)}
	return f
}

// get serves the URL of a GET entry.
func (s *Service) get(ctx context.Context, c Call, url string) (*Answer, error) {
	path, rawQuery, _ := strings.Cut(strings.TrimPrefix(url, "/"), "?")
	seg := strings.Split(path, "/")
	switch {
	case slices.Contains(seg, ".."), slices.Contains(seg, "."):
	case len(seg) == 1 && seg[0] == "":
		return s.SearchSystem(ctx, c, rawQuery)
	case len(seg) == 1 && seg[0] == "_history":
		return s.HistorySystem(ctx, c, rawQuery)
	case len(seg) == 2 && seg[1] == "_history":
		return s.HistoryType(ctx, c, seg[0], rawQuery)
	case len(seg) == 1:
		return s.Search(ctx, c, seg[0], rawQuery)
	case len(seg) == 2:
		return s.Read(ctx, c, seg[0], seg[1])
	case len(seg) == 3 && seg[2] == "_history":
		return s.History(ctx, c, seg[0], seg[1], rawQuery)
	case len(seg) == 4 && seg[2] == "_history":
		return s.VRead(ctx, c, seg[0], seg[1], seg[3])
	case len(seg) == 3:
		return s.SearchCompartment(ctx, c, seg[0], seg[1], seg[2], rawQuery)
	}
	return nil, s.refuse(ctx, begin(c, audit.Read, "read"), fail(Malformed, nil, "the URL of the entry names no interaction"))
}

func entryPath(i int) string { return "Bundle.entry[" + strconv.Itoa(i) + "]" }

// entryResponse renders the result of one entry.
func (s *Service) entryResponse(of entryResult) model.Entry {
	e, a := of.entry, of.answer
	if of.err != nil {
		f := failure(of.err)
		return model.Entry{Response: &model.Response{Status: strconv.Itoa(f.Kind.Status()), Outcome: model.OperationOutcome(f.Issues)}}
	}
	r := &model.Response{Status: strconv.Itoa(a.status), Location: a.location, ETag: a.etag, LastModified: a.modified}
	out := model.Entry{Resource: a.body, Response: r}
	switch {
	case e != nil && e.Operation != "" && e.Method != http.MethodHead: // an outcome is what was asked for
	case bytes.Equal(a.body, successOutcome): // Prefer: return=OperationOutcome
		out.Resource, r.Outcome = nil, a.body
	case e != nil && e.Method == http.MethodHead:
		out.Resource = nil
	}
	if out.Resource != nil {
		out.FullURL = s.fullURL(e, a)
	}
	return out
}

// fullURL is the address of the resource in an entry; that of a search has
// none.
func (s *Service) fullURL(e *bundle.Entry, a *Answer) string {
	path := a.location
	if path == "" && e != nil {
		path, _, _ = strings.Cut(e.URL, "?")
	}
	r, ok := fhir.ParseReference(path)
	if !ok || r.Base != "" || r.Type == "" {
		return ""
	}
	return s.Base + "/" + r.Type + "/" + r.ID
}
