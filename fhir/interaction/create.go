package interaction

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Create stores a new resource under an id of the server's (R4
// http.html#create). With IfNoneExist it is conditional and race-free: of any
// number of concurrent creates with the same criteria one creates.
func (s *Service) Create(ctx context.Context, c Call, resourceType string, body []byte) (a *Answer, err error) {
	if c.IdempotencyKey != "" {
		return s.once(ctx, c, begin(c, audit.Create, "create"), repeatable{what: "create " + resourceType + "?" + c.IfNoneExist, body: body,
			run: func(c Call) (*Answer, error) { return s.Create(ctx, c, resourceType, body) }})
	}
	ctx, end := s.start(ctx, &c, trace.Create)
	defer func() { end(err) }()
	ev := begin(c, audit.Create, "create")
	ev.Entities = []audit.Entity{{Type: resourceType}}
	a, err = retry(ctx, func() (*Answer, error) { return s.create(ctx, c, ev, resourceType, body) })
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	return a, nil
}

func (s *Service) create(ctx context.Context, c Call, ev audit.Event, resourceType string, body []byte) (*Answer, error) {
	r, err := s.parse(resourceType, body)
	if err != nil {
		return nil, err
	}
	g, err := s.decideWrite(ctx, c, &ev, authz.Create, resourceType)
	if err != nil {
		return nil, err
	}
	id := s.newID(c, 0)
	if c.seed != "" {
		st, err := s.Vault.Load(ctx, s.Vault.Key(resourceType, id))
		if err == nil {
			return s.createdBefore(ctx, c, g, ev, st)
		}
		if !errors.Is(err, repository.ErrNotFound) {
			return nil, err
		}
	}
	var cond condition
	if c.IfNoneExist != "" {
		if cond, err = s.matches(ctx, c, resourceType, c.IfNoneExist, 2); err != nil {
			return nil, err
		}
		switch len(cond.found) {
		case 0:
		case 1:
			return s.existing(ctx, c, g, ev, cond.found[0])
		default:
			return nil, fail(Precondition, nil, "If-None-Exist matches more than one resource")
		}
	}
	ch, err := s.prepareNew(ctx, c, g, r, id)
	if err != nil {
		return nil, err
	}
	receipt, err := s.commit(ctx, ev, []change{ch}, cond)
	if err != nil {
		return nil, err
	}
	return s.written(ctx, c, ch, receipt)
}

// prepareNew does everything of a creation under an id of the server's but the
// commit.
func (s *Service) prepareNew(ctx context.Context, c Call, g authz.Grant, r *fhir.Resource, id string) (change, error) {
	r.SetID(id)
	if err := s.checkNew(g, r); err != nil {
		return change{}, err
	}
	return s.stamp(ctx, c, g, r, nil, false)
}

// checkNew refuses a new resource that carries elements of classes which the
// caller may not write, before anything is looked up.
func (s *Service) checkNew(g authz.Grant, r *fhir.Resource) error {
	if !hides(g.Ceiling()) {
		return nil
	}
	return mergeFailure(s.Redactor.CheckChange(nil, r, g.Ceiling()))
}

// existing answers a conditional create that found its resource: 200 and the
// location, nothing written (R4 http.html#ccreate).
func (s *Service) existing(ctx context.Context, c Call, g authz.Grant, ev audit.Event, st *sealed.Stored) (*Answer, error) {
	rec := st.Record
	ev.Entities = []audit.Entity{entity(st.Head, rec.Key.Type, uint64(rec.Version), 0)}
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	return s.release(c, g, receipt, c.located(Answer{status: http.StatusOK}, rec, st.Head.ID))
}

// parse reads a body as a resource of the type in the URL.
func (s *Service) parse(resourceType string, body []byte) (*fhir.Resource, error) {
	if !s.Definitions.IsResource(resourceType) {
		return nil, fail(NotFound, nil, "unknown resource type")
	}
	r, err := fhir.Parse(body, s.Limits)
	if err != nil {
		return nil, err
	}
	if r.Type() != resourceType {
		return nil, fail(Malformed, nil, "the body's resourceType is not the type in the URL")
	}
	return r, nil
}

// decideWrite is decide for writes; resources that only the server authors
// are refused whatever the rules say.
func (s *Service) decideWrite(ctx context.Context, c Call, ev *audit.Event, action authz.Action, resourceType string) (authz.Grant, error) {
	if resourceType == auditEvent {
		return authz.Grant{}, fail(Denied, nil, "AuditEvent is written by the server alone")
	}
	g, err := s.decide(ctx, c, ev, action, resourceType)
	if isDenied(err) && c.traits != nil && c.traits.Project != "" {
		err = fail(Denied, err, "a caller who sees ids under pseudonyms reads and searches only")
	}
	return g, err
}

// newID is a random UUID (RFC 9562 §5.4), which is a FHIR id.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails (Go 1.24)
	return asUUID(b, 4)
}

func asUUID(b [16]byte, version byte) string {
	b[6], b[8] = b[6]&0x0f|version<<4, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
