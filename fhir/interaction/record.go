package interaction

import (
	"context"
	"crypto/sha256"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// begin starts the audit event of an interaction.
func begin(c Call, action audit.Action, subtype string) audit.Event {
	sub := c.Subject
	return audit.Event{
		Kind: audit.REST, Subtype: subtype, Action: action, Outcome: audit.Success,
		Agent: audit.Agent{Subject: sub.ID(), Who: sub.Who(), Client: sub.Client(), Roles: agentRoles(sub),
			Purpose: sub.Purpose(), Address: sub.Address()},
		RequestID: c.RequestID, TraceID: c.TraceID,
	}
}

// entity describes a stored version and the classes that leave.
func entity(head field.Head, resourceType string, version uint64, visible field.ClassSet) audit.Entity {
	return audit.Entity{Type: resourceType, ID: head.ID, Version: version,
		Patients: head.Patients, PatientIDs: head.PatientIDs, Classes: uint16(visible)}
}

// intended describes a version that is about to be committed, so that recovery
// can tell whether it was.
func intended(d sealed.Draft) audit.Entity {
	rec := d.Write.Record
	e := entity(d.Head, rec.Key.Type, uint64(rec.Version), 0)
	e.Key, e.Expect, e.ContentHash = rec.Key.ID, uint64(d.Write.Expect), sha256.Sum256(rec.Body)
	return e
}

// decide asks for a grant and completes the event with the policy revision. A
// denial is returned as it must be refused.
func (s *Service) decide(ctx context.Context, c Call, ev *audit.Event, action authz.Action, resourceType string) (authz.Grant, error) {
	var g authz.Grant
	if c.span.Recording() {
		c.span.Set(s.spans.Of(resourceType))
	}
	err := s.step(ctx, trace.Decide, func(ctx context.Context) (err error) {
		g, err = s.Decider.Decide(ctx, c.Subject, authz.Request{Action: action, Type: resourceType})
		return err
	})
	if err == nil && !g.Allowed() {
		err = authz.ErrDenied
	}
	if err != nil {
		return authz.Grant{}, err
	}
	ev.PolicyRevision = g.Revision()
	return g, nil
}

// refuse records a failure and returns it. When the trail cannot record, that
// is the failure: a denial needs its receipt too (decision 33). A denial that
// rests on a doubt is an outage.
func (s *Service) refuse(ctx context.Context, ev audit.Event, err error) error {
	f := failure(err)
	if d := doubtful(ctx); d != nil && f.Kind != Internal {
		err, f = d, failure(d)
	}
	ev.Outcome, ev.Reason = audit.MinorFailure, kindCodes[f.Kind].reason
	if f.Kind == Internal || f.Kind == Unavailable {
		ev.Outcome = audit.SeriousFailure
	}
	for i := range ev.Entities {
		ev.Entities[i].Classes = 0
	}
	s.named(ctx, &ev, err)
	if _, rerr := s.Recorder.Record(ctx, ev); rerr != nil {
		return failure(rerr)
	}
	return f
}

// conclude queues the outcome of an intent.
func (s *Service) conclude(ev audit.Event, intent audit.Receipt, err error) {
	ev.IntentSeq, ev.Outcome = intent.Seq(), audit.Success
	if err != nil {
		ev.Outcome, ev.Reason = audit.SeriousFailure, kindCodes[failure(err).Kind].reason
	}
	s.Recorder.Queue(ev)
}
