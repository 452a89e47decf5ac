package interaction

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Read answers the current version (R4 http.html#read).
func (s *Service) Read(ctx context.Context, c Call, resourceType, id string) (*Answer, error) {
	return s.readOne(ctx, c, trace.Read, "read", resourceType, id, "")
}

// VRead answers one version (R4 http.html#vread).
func (s *Service) VRead(ctx context.Context, c Call, resourceType, id, version string) (*Answer, error) {
	return s.readOne(ctx, c, trace.VRead, "vread", resourceType, id, version)
}

func (s *Service) readOne(ctx context.Context, c Call, kind trace.Interaction, subtype, resourceType, id, version string) (a *Answer, err error) {
	ctx, end := s.start(ctx, &c, kind)
	defer func() { end(err) }()
	ev := begin(c, audit.Read, subtype)
	if f := s.known(resourceType, id); f != nil {
		return nil, s.refuse(ctx, ev, f)
	}
	if resourceType == auditEvent {
		return s.readAuditEvent(ctx, c, ev, id)
	}
	ev.Entities = []audit.Entity{{Type: resourceType, ID: id}}
	g, err := s.decide(ctx, c, &ev, authz.Read, resourceType)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	if id, err = s.meant(c, id); err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	ev.Entities[0].ID = id
	if version != "" && c.conceals() { // no version has a number for this caller
		return nil, s.refuse(ctx, ev, repository.ErrNotFound)
	}
	if c.Turn != nil && resourceType == "Binary" { // whether it is large is known too late
		if err := c.Turn.Take(ctx); err != nil {
			return nil, s.refuse(ctx, ev, err)
		}
	}
	st, err := s.load(ctx, resourceType, id, version)
	if c.Turn != nil && (err != nil || len(st.Record.Body) <= LargeRecord) {
		c.Turn.Done()
	}
	if body := s.official(g, resourceType, id, version); body != nil && errors.Is(err, repository.ErrNotFound) {
		return s.answerOfficial(ctx, c, g, ev, body)
	}
	if err != nil {
		return nil, s.refuse(ctx, ev, s.erased(ctx, g, resourceType, id, err))
	}
	st, mask, err := s.readable(ctx, c, g, st, resourceType, id, version)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	if !c.room.take(len(st.Record.Body)) {
		return nil, s.refuse(ctx, ev, answerTooLarge())
	}
	body, etag, err := s.opened(ctx, c, st, mask)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	ev.Entities[0] = entity(st.Head, resourceType, uint64(st.Record.Version), mask)
	out := c.dated(Answer{status: http.StatusOK, body: body, etag: etag, labels: s.shownLabels(st.Head, resourceType, mask)}, st.Record)
	if notModified(c, out) {
		out.status, out.body = http.StatusNotModified, nil
		ev.Entities[0].Classes = 0
	}
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	return s.release(c, g, receipt, out)
}

// LargeRecord is a stored size in bytes beyond which a read waits for its turn:
// what is made of a record on the way takes several times its size.
const LargeRecord = 256 << 10

// readable judges a version. A large one is loaded again when its turn has come,
// so that those who wait hold nothing, and judged as it is then. A Binary had its
// turn before.
func (s *Service) readable(ctx context.Context, c Call, g authz.Grant, st *sealed.Stored, resourceType, id, version string) (*sealed.Stored, maskSet, error) {
	mask, err := s.judge(ctx, g, st, version != "")
	if err != nil || len(st.Record.Body) <= LargeRecord || c.Turn == nil || resourceType == "Binary" {
		return st, mask, err
	}
	if err := c.Turn.Take(ctx); err != nil {
		return nil, 0, err
	}
	if st, err = s.load(ctx, resourceType, id, version); err != nil {
		return nil, 0, s.erased(ctx, g, resourceType, id, err)
	}
	mask, err = s.judge(ctx, g, st, version != "")
	return st, mask, err
}

// load fetches a version; an unreadable version number is as unknown as an
// unused one (R4 http.html#vread).
func (s *Service) load(ctx context.Context, resourceType, id, version string) (st *sealed.Stored, err error) {
	err = s.step(ctx, trace.Find, func(ctx context.Context) error {
		st, err = s.fetch(ctx, resourceType, id, version)
		return err
	})
	return st, err
}

func (s *Service) fetch(ctx context.Context, resourceType, id, version string) (*sealed.Stored, error) {
	key := s.Vault.Key(resourceType, id)
	if version == "" {
		return s.Vault.Load(ctx, key)
	}
	n, err := strconv.ParseUint(version, 10, 63)
	if err != nil || n == 0 || version[0] == '0' {
		return nil, repository.ErrNotFound
	}
	return s.Vault.LoadVersion(ctx, key, repository.Version(n))
}

// erased tells an erased patient from one that never was, to callers who see
// every patient; to all others both are unknown.
func (s *Service) erased(ctx context.Context, g authz.Grant, resourceType, id string, err error) error {
	if resourceType != "Patient" || !g.Unrestricted() || !errors.Is(err, repository.ErrNotFound) {
		return hideErased(g, err)
	}
	gone, ferr := s.Vault.Forgotten(ctx, id)
	if ferr != nil {
		return ferr
	}
	if gone {
		return sealed.ErrErased
	}
	return err
}

// hideErased makes an erased record as unknown as any other to callers whose
// compartment cannot be checked any more.
func hideErased(g authz.Grant, err error) error {
	if errors.Is(err, sealed.ErrErased) && !g.Unrestricted() {
		return repository.ErrNotFound
	}
	return err
}

// opened is view inside a span.
func (s *Service) opened(ctx context.Context, c Call, st *sealed.Stored, mask maskSet) (body []byte, etag string, err error) {
	err = s.step(ctx, trace.Open, func(context.Context) error {
		body, etag, err = s.view(c, st, mask)
		return err
	})
	if c.span.Recording() {
		c.span.Set(trace.Opened(classCount(mask)), trace.Bytes(len(body)), trace.Resource(st.Record.Key.ID))
	}
	return body, etag, err
}

// judge returns the mask of a version. Versions of the past are judged by
// their own labels and by the current ones; the stricter wins (access.md).
func (s *Service) judge(ctx context.Context, g authz.Grant, st *sealed.Stored, past bool) (mask maskSet, err error) {
	mask = s.visible(ctx, g, st)
	if past && mask != 0 {
		current, err := s.Vault.Load(ctx, st.Record.Key)
		switch {
		case errors.Is(err, repository.ErrNotFound):
		case err != nil:
			return 0, err
		case current.Record.Version != st.Record.Version:
			mask &= s.visible(ctx, g, current)
			if redact.Withheld(st.Head, mask) {
				mask = 0
			}
		}
	}
	switch {
	case mask == 0:
		return 0, repository.ErrNotFound
	case st.Head.Deleted:
		return 0, fail(Gone, nil, "the resource was deleted")
	}
	return mask, nil
}

// notModified evaluates If-None-Match and If-Modified-Since of a read (RFC
// 9110 §13.2.2).
func notModified(c Call, a Answer) bool {
	if c.IfNoneMatch != "" {
		return tagMatches(c.IfNoneMatch, a.etag)
	}
	return !c.IfModifiedSince.IsZero() && !a.modified.IsZero() && !a.modified.Truncate(1e9).After(c.IfModifiedSince)
}
