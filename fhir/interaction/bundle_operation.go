package interaction

import (
	"context"
	"net/http"
	"net/url"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/fhir/bundle"
)

// changes reports whether an operation changes the resource that it is invoked
// on.
func changes(code string) bool {
	for i := range operations {
		if operations[i].Code == code {
			return operations[i].Changes
		}
	}
	return false
}

// invocationOf is what an entry of a Bundle invokes.
func invocationOf(e *bundle.Entry) Invocation {
	in := Invocation{Code: e.Operation, Type: e.Type, ID: e.ID, Query: e.Query}
	if e.Resource != nil {
		in.Body = e.Resource.AppendJSON(nil)
	}
	return in
}

// permitOperation refuses what a Bundle may not invoke. In a transaction nothing
// is stored but by its commit.
func permitOperation(e *bundle.Entry, transaction bool) *Failure {
	op := servedOperation(invocationOf(e))
	refused := ""
	switch {
	case op == nil: // refused where it is run
	case op.Alone:
		refused = "this operation is invoked by a request of its own, not in a Bundle"
	case op.Changes && e.Method != http.MethodPost:
		refused = "this operation is invoked by POST"
	case transaction && op.Code == "document" && asksTo(e, "persist"):
		refused = "a document is not stored by an operation in a transaction; persist it by a request of its own"
	}
	if refused == "" {
		return nil
	}
	f := fail(Malformed, nil, "%s", refused)
	f.Issues[0].Code = "not-supported"
	return f
}

// asksTo reports whether a parameter is given, by the URL or in the body.
func asksTo(e *bundle.Entry, name string) bool {
	if values, err := url.ParseQuery(e.Query); err != nil || values.Has(name) {
		return true
	}
	if e.Resource == nil {
		return false
	}
	list := e.Resource.Root().Member("parameter")
	for i := 0; list != nil && i < list.Len(); i++ {
		if list.At(i).Member("name").Text() == name {
			return true
		}
	}
	return false
}

// permitOperations refuses a transaction for an operation that it cannot hold.
func (s *Service) permitOperations(entries []*bundle.Entry) error {
	for _, e := range entries {
		if e.Operation == "" {
			continue
		}
		f := permitOperation(e, true)
		if f == nil && (servedOperation(invocationOf(e)) == nil || e.Type != "" && !s.Definitions.IsResource(e.Type)) {
			f = notServedHere()
		}
		if f != nil {
			return inEntry(e, f)
		}
	}
	return nil
}

// operateEntry runs an operation of a batch, or one of a transaction that only
// reads: with a decision, a record and an outcome of its own.
func (s *Service) operateEntry(ctx context.Context, c Call, e *bundle.Entry) (*Answer, error) {
	if f := permitOperation(e, false); f != nil {
		return nil, s.refuse(ctx, begin(c, audit.Execute, "operation"), f)
	}
	a, err := s.Operate(ctx, c, invocationOf(e))
	if err != nil || !a.Streamed() {
		return a, err
	}
	if err := a.collect(ctx, c.room); err != nil {
		return nil, err
	}
	return a, nil
}

// prepareOperation prepares a write of a transaction that an operation makes.
func (s *Service) prepareOperation(ctx context.Context, c Call, ev *audit.Event, e *bundle.Entry) (*change, error) {
	in := &invocation{Invocation: invocationOf(e)}
	if _, err := s.invoked(c, in); err != nil {
		return nil, err
	}
	action := ev.Action // of the transaction
	ch, err := s.prepareMeta(ctx, c, ev, in)
	ev.Action = action
	return &ch, err
}
