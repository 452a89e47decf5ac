package interaction

import (
	"context"
	"net/http"
	"slices"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

type maskSet = field.ClassSet

const allClasses = field.AllClasses

// change is one decided, validated and sealed write that waits for its commit.
type change struct {
	grant    authz.Grant
	draft    sealed.Draft
	resource *fhir.Resource // nil for a deletion
	created  bool
	// relabelled: it lowers or removes a security label.
	relabelled bool
	// same: nothing is written, this version stays.
	same *sealed.Stored
	// Guards of references.
	expect []repository.Guard
	bump   []repository.Token
}

// stamp finishes a new version: server meta, seal, and the rule that moving a
// resource to other keys is an action of its own (decision 8).
func (s *Service) stamp(ctx context.Context, c Call, g authz.Grant, r *fhir.Resource, previous *sealed.Stored, upsert bool) (change, error) {
	at, err := s.underway.draw(ctx, s.Store, c.taken)
	if err != nil {
		return change{}, err
	}
	version := repository.Version(1)
	if previous != nil {
		version = previous.Record.Version + 1
	}
	for _, l := range s.Labels.For(ctx, r, s.Terminology) {
		coding := fhir.NewObject(fhir.NewString(l.System).Named("system"), fhir.NewString(l.Code).Named("code"))
		addMeta(r.Root(), "security", &coding)
	}
	r.SetMeta(versionTag(version)[3:len(versionTag(version))-1], instant(int64(at)))
	if issues := s.Validator.Validate(r); issues.HasErrors() {
		return change{}, issues
	}
	d, err := s.Vault.Seal(ctx, r, previous, at, upsert)
	if err != nil {
		return change{}, err
	}
	if len(d.Write.Record.Body) > maxSealedBytes {
		return change{}, fhir.ErrTooLarge
	}
	if err := s.mayChange(ctx, g, previous, d.Head, r); err != nil {
		return change{}, err
	}
	if err := s.showsNoMore(ctx, c, g, previous, d.Head, r); err != nil {
		return change{}, err
	}
	relabelled := previous != nil && label.Lowered(previous.Head.Security, d.Head.Security, s.Unlabelled)
	if relabelled {
		if err := s.mayRelabel(ctx, c, r.Type()); err != nil {
			return change{}, err
		}
	}
	if previous != nil && !previous.Head.Deleted && previous.Record.Owner != d.Write.Record.Owner {
		if err := s.mayReassign(ctx, c, r.Type()); err != nil {
			return change{}, err
		}
	}
	ch := change{grant: g, draft: d, resource: r, created: previous == nil || previous.Head.Deleted, relabelled: relabelled}
	return ch, s.guardReferences(ctx, c, r, &ch)
}

// mayChange refuses a version whose author may not write every element that it
// changes: by the rules for the version as it was and as it is going to be.
func (s *Service) mayChange(ctx context.Context, g authz.Grant, previous *sealed.Stored, head field.Head, r *fhir.Resource) error {
	writable := s.maskOf(ctx, g, head, r)
	if writable == 0 {
		return fail(Denied, nil, "the resource would lie outside of what the caller may write")
	}
	var before *fhir.Resource
	if previous != nil && !previous.Head.Deleted {
		writable &= s.granted(ctx, g, previous)
		if !hides(writable) {
			return nil
		}
		var err error
		if before, err = s.Vault.Open(previous, allClasses); err != nil {
			return err
		}
	}
	return mergeFailure(s.Redactor.CheckChange(before, r, writable))
}

// showsNoMore refuses a change of labels or subject after which the caller
// could see, or write, what is out of reach now.
func (s *Service) showsNoMore(ctx context.Context, c Call, g authz.Grant, previous *sealed.Stored, head field.Head, r *fhir.Resource) error {
	if previous == nil || previous.Head.Deleted {
		return nil
	}
	grants := []authz.Grant{g}
	if read, err := s.Decider.Decide(ctx, c.Subject, authz.Request{Action: authz.Read, Type: r.Type()}); err == nil {
		grants = append(grants, read)
	}
	for _, g := range grants {
		if !s.granted(ctx, g, previous).Contains(s.maskOf(ctx, g, head, r)) {
			return fail(Denied, nil, "the change of labels or subject would show the caller what is hidden now")
		}
	}
	return nil
}

// maxSealedBytes keeps every record below what any engine takes in one
// document (16 MiB in MongoDB).
const maxSealedBytes = 15 << 20

// mayRelabel: to take protection away is an act of its own (abuse 55).
func (s *Service) mayRelabel(ctx context.Context, c Call, resourceType string) error {
	g, err := s.Decider.Decide(ctx, c.Subject, authz.Request{Action: authz.Relabel, Type: resourceType})
	if isDenied(err) || err == nil && !g.Allowed() {
		return fail(Denied, nil, "lowering or removing a security label needs the action relabel; send the labels that the resource has")
	}
	return err
}

func (s *Service) mayReassign(ctx context.Context, c Call, resourceType string) error {
	g, err := s.Decider.Decide(ctx, c.Subject, authz.Request{Action: authz.Reassign, Type: resourceType})
	if err != nil {
		return err
	}
	if !g.Allowed() {
		return fail(Denied, nil, "moving a resource to another patient needs the action reassign")
	}
	return nil
}

// commit makes the intent durable, commits, and queues the outcome (decision
// 33). The receipt is the intent's. On a doubt nothing is written: what a
// condition did not find may be there.
func (s *Service) commit(ctx context.Context, ev audit.Event, changes []change, cond condition) (audit.Receipt, error) {
	if d := doubtful(ctx); d != nil {
		return audit.Receipt{}, d
	}
	batch := repository.Batch{Expect: cond.expect, Bump: cond.bump, Writes: make([]repository.Write, len(changes))}
	ev.Entities = make([]audit.Entity, len(changes))
	for i, ch := range changes {
		batch.Writes[i] = ch.draft.Write
		batch.Bump = append(append(batch.Bump, ch.draft.Guarded...), ch.bump...)
		batch.Expect = append(batch.Expect, ch.expect...)
		ev.Entities[i] = intended(ch.draft)
	}
	if slices.ContainsFunc(changes, func(ch change) bool { return ch.relabelled }) {
		ev.Reason = "label-lowered"
	}
	intent := ev
	intent.Outcome = audit.Intent
	var receipt audit.Receipt
	err := s.step(ctx, trace.Audit, func(ctx context.Context) (err error) {
		receipt, err = s.Recorder.Record(ctx, intent)
		return err
	})
	if err != nil {
		return audit.Receipt{}, failure(err)
	}
	err = s.step(ctx, trace.Commit, func(ctx context.Context) error {
		_, err := s.Store.Commit(ctx, batch)
		return err
	})
	s.conclude(ev, receipt, err)
	s.noticed(changes)
	return receipt, err
}

// written answers a write with what the caller asked for and may see.
func (s *Service) written(ctx context.Context, c Call, ch change, receipt audit.Receipt) (*Answer, error) {
	rec := ch.draft.Write.Record
	a := c.located(Answer{status: http.StatusOK}, rec, ch.draft.Head.ID)
	if ch.created {
		a.status = http.StatusCreated
	}
	body, etag, err := s.echo(ctx, c, ch)
	if err != nil {
		return nil, failure(err)
	}
	if etag != "" {
		a.etag = etag
	}
	switch c.Return {
	case Representation:
		a.body, a.labels = body, s.shownLabels(ch.draft.Head, rec.Key.Type, ch.grant.Ceiling())
	case Outcome:
		a.body = successOutcome
	}
	return s.release(c, ch.grant, receipt, a)
}

// echo is the new version as the caller may read it; nil when the caller may
// not, or did not ask.
func (s *Service) echo(ctx context.Context, c Call, ch change) ([]byte, string, error) {
	rec := ch.draft.Write.Record
	g, err := s.Decider.Decide(ctx, c.Subject, authz.Request{Action: authz.Read, Type: rec.Key.Type})
	if err != nil {
		return nil, "", nil // a caller who may write but not read gets no representation
	}
	mask := s.maskOf(ctx, g, ch.draft.Head, ch.resource)
	if mask == 0 || redact.Withheld(ch.draft.Head, mask) {
		return nil, "", nil
	}
	if c.shows(mask) {
		if c.Return != Representation {
			return nil, versionTag(rec.Version), nil
		}
		return ch.resource.AppendJSON(nil), versionTag(rec.Version), nil
	}
	st, err := s.Vault.Adopt(ctx, rec)
	if err != nil {
		return nil, "", err
	}
	return s.view(c, st, mask)
}
