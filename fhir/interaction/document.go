package interaction

import (
	"context"
	"net/http"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/model"
	"github.com/fieldseal/fieldseal/repository"
)

// document answers Composition/$document (R4
// composition-operation-document.html): a Bundle with the Composition first and
// what it refers to, each a read decision of its own. With persist the Bundle
// is stored as well; only who sees all of its parts may do that.
func (s *Service) document(ctx context.Context, c Call, in *invocation) (*Answer, error) {
	persist, err := in.args.flag("persist")
	if err != nil {
		return nil, err
	}
	if in.args.values.Has("graph") || in.args.values.Has("id") {
		f := fail(Malformed, nil, "the parameters id and graph are not served: invoke the operation on the Composition")
		f.Issues[0].Code = "not-supported"
		return nil, f
	}
	g, err := s.decide(ctx, c, &in.ev, authz.Read, in.Type)
	if err != nil {
		return nil, err
	}
	st, err := s.load(ctx, in.Type, in.ID, "")
	if err != nil {
		return nil, s.erased(ctx, g, in.Type, in.ID, err)
	}
	mask, err := s.judge(ctx, g, st, false)
	if err != nil {
		return nil, err
	}
	parts, err := s.documentParts(ctx, c, hit{stored: st, mask: mask})
	if err != nil {
		return nil, err
	}
	body, err := s.documentBundle(c, in, parts)
	if err != nil {
		return nil, err
	}
	if persist {
		return s.persist(ctx, c, in, parts, body)
	}
	receipt, err := s.durable(ctx, c, in.ev)
	if err != nil {
		return nil, failure(err)
	}
	return s.release(c, g, receipt, Answer{status: http.StatusOK, body: body})
}

// documentParts are the Composition and what its visible part refers to.
func (s *Service) documentParts(ctx context.Context, c Call, composition hit) ([]hit, error) {
	body, _, err := s.view(c, composition.stored, composition.mask)
	if err != nil {
		return nil, err
	}
	tree, err := fhir.Parse(body, s.Limits)
	if err != nil {
		return nil, err
	}
	n := &inclusion{finder: s.newFinder(c, within{}), seen: map[repository.Key]bool{composition.stored.Record.Key: true}}
	fhir.WalkReferences(tree.Root(), func(ref *fhir.Node) {
		if r, ok := s.localReference(ref.Text()); ok && err == nil {
			err = n.read(ctx, s.Vault.Key(r.Type, r.ID))
		}
	})
	return append([]hit{composition}, n.hits...), err
}

func (s *Service) documentBundle(c Call, in *invocation, parts []hit) ([]byte, error) {
	w := model.NewBundle(nil, model.Envelope{Type: model.Document, UUID: newID(), Timestamp: time.Now()})
	in.ev.Entities = nil
	for _, h := range parts {
		if !c.room.take(len(h.stored.Record.Body)) {
			return nil, answerTooLarge()
		}
		body, _, err := s.view(c, h.stored, h.mask)
		if err != nil {
			return nil, err
		}
		rec := h.stored.Record
		w.Add(model.Entry{FullURL: s.Base + "/" + rec.Key.Type + "/" + h.stored.Head.ID, Resource: body})
		in.ev.Entities = append(in.ev.Entities, entity(h.stored.Head, rec.Key.Type, uint64(rec.Version), h.mask))
	}
	s.mark(w, parts)
	return w.Finish(), nil
}

// persist stores the document and answers it.
func (s *Service) persist(ctx context.Context, c Call, in *invocation, parts []hit, body []byte) (*Answer, error) {
	for _, h := range parts {
		if !c.shows(h.mask) {
			return nil, fail(Denied, nil, "only a caller who sees all of a document may store it")
		}
	}
	if receipt, err := s.durable(ctx, c, in.ev); err != nil || !receipt.Valid() { // the reads
		return nil, failure(err)
	}
	ev := in.ev
	ev.Action, ev.Entities = audit.Create, []audit.Entity{{Type: "Bundle"}}
	g, err := s.decideWrite(ctx, c, &ev, authz.Create, "Bundle")
	if err != nil {
		return nil, err
	}
	r, err := fhir.Parse(body, s.Limits)
	if err != nil {
		return nil, err
	}
	r.SetID(newID())
	if err := s.checkNew(g, r); err != nil {
		return nil, err
	}
	ch, err := s.stamp(ctx, c, g, r, nil, false)
	if err != nil {
		return nil, err
	}
	receipt, err := s.commit(ctx, ev, []change{ch}, condition{})
	if err != nil {
		return nil, err
	}
	c.Return = Representation
	a, err := s.written(ctx, c, ch, receipt)
	if err == nil {
		a.status = http.StatusOK
	}
	return a, err
}
