package interaction

import (
	"context"
	"net/http"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
)

// metaOf answers $meta (R4 resource-operation-meta.html).
func (s *Service) metaOf(ctx context.Context, c Call, in *invocation) (*Answer, error) {
	if in.ID == "" {
		return s.metaUsed(ctx, c, in)
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
	if !c.room.take(len(st.Record.Body)) {
		return nil, answerTooLarge()
	}
	body, etag, err := s.opened(ctx, c, st, mask)
	if err != nil {
		return nil, err
	}
	r, err := fhir.Parse(body, s.Limits)
	if err != nil {
		return nil, err
	}
	in.ev.Entities[0] = entity(st.Head, in.Type, uint64(st.Record.Version), mask&s.Classes.ElementClasses(in.Type+".meta"))
	receipt, err := s.durable(ctx, c, in.ev)
	if err != nil {
		return nil, failure(err)
	}
	return s.release(c, g, receipt, c.dated(Answer{status: http.StatusOK, body: metaParameters(c, r), etag: etag}, st.Record))
}

// metaParameters is the result of the three operations.
func metaParameters(c Call, r *fhir.Resource) []byte {
	if c.conceals() {
		redact.Conceal(r)
	}
	meta := fhir.NewObject()
	if m := r.Root().Member("meta"); m != nil {
		meta = m.Clone()
	}
	return metaResult(meta)
}

func metaResult(meta fhir.Node) []byte {
	root := fhir.NewObject(fhir.NewString("Parameters").Named("resourceType"),
		fhir.NewArray(fhir.NewObject(fhir.NewString("return").Named("name"), meta.Named("valueMeta"))).Named("parameter"))
	return root.AppendJSON(nil)
}

// changeMeta is $meta-add and $meta-delete (R4
// resource-operation-meta-add.html). It makes a new version unless nothing
// changes, and never loses a race: what others change meanwhile stays.
func (s *Service) changeMeta(ctx context.Context, c Call, in *invocation) (*Answer, error) {
	return retry(ctx, func() (*Answer, error) {
		ch, err := s.prepareMeta(ctx, c, &in.ev, in)
		if err != nil {
			return nil, err
		}
		if ch.same != nil {
			return s.metaKept(ctx, c, in.ev, ch)
		}
		receipt, err := s.commit(ctx, in.ev, []change{ch}, condition{})
		if err != nil {
			return nil, err
		}
		return s.metaChanged(c, ch, receipt)
	})
}

// prepareMeta does everything of a change of meta but the commit. Transactions
// use it for their entries.
func (s *Service) prepareMeta(ctx context.Context, c Call, ev *audit.Event, in *invocation) (change, error) {
	given := in.args.nodes["meta"]
	if len(given) != 1 {
		return change{}, fail(Malformed, nil, "the parameter meta must stand once, with a valueMeta")
	}
	ev.Action = audit.Update
	g, err := s.decideWrite(ctx, c, ev, authz.Update, in.Type)
	if err != nil {
		return change{}, err
	}
	previous, err := s.Vault.Load(ctx, s.Vault.Key(in.Type, in.ID))
	if err != nil {
		return change{}, hideErased(g, err)
	}
	mask := s.granted(ctx, g, previous) & s.seen(ctx, c, g, previous)
	switch {
	case mask == 0:
		return change{}, repository.ErrNotFound
	case previous.Head.Deleted:
		return change{}, fail(Gone, nil, "the resource was deleted")
	}
	if err := s.mayLabel(in, mask); err != nil {
		return change{}, err
	}
	if err := s.checkMatch(ctx, c, previous, mask); err != nil {
		return change{}, err
	}
	r, err := s.Vault.Open(previous, allClasses) // nothing of it leaves but meta, which the caller may see
	if err != nil {
		return change{}, err
	}
	if !editMeta(r.Root(), given[0], in.Code == "meta-delete") {
		return change{grant: g, resource: r, same: previous}, nil
	}
	return s.stamp(ctx, c, g, r, previous, false)
}

// metaChanged answers with the meta of a new version.
func (s *Service) metaChanged(c Call, ch change, receipt audit.Receipt) (*Answer, error) {
	return s.release(c, ch.grant, receipt, c.dated(Answer{status: http.StatusOK, body: metaParameters(c, ch.resource)}, ch.draft.Write.Record))
}

// metaKept answers with the meta of the version that stays.
func (s *Service) metaKept(ctx context.Context, c Call, ev audit.Event, ch change) (*Answer, error) {
	rec := ch.same.Record
	ev.Entities = []audit.Entity{entity(ch.same.Head, rec.Key.Type, uint64(rec.Version), s.Classes.ElementClasses(rec.Key.Type+".meta"))}
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	return s.release(c, ch.grant, receipt, c.dated(Answer{status: http.StatusOK, body: metaParameters(c, ch.resource)}, rec))
}

// mayLabel: who changes meta must see it. To take a security label away needs
// more, as it does in an update (see stamp).
func (s *Service) mayLabel(in *invocation, mask maskSet) error {
	if !mask.Contains(s.Classes.ElementClasses(in.Type + ".meta")) {
		return fail(Denied, nil, "the caller may not see the meta of the resource")
	}
	return nil
}

// editMeta adds or removes profiles, tags and labels and reports whether
// anything changed.
func editMeta(root, given *fhir.Node, remove bool) (changed bool) {
	for _, name := range [...]string{"profile", "security", "tag"} {
		list := given.Member(name)
		if list == nil || list.Kind() != fhir.Array {
			continue
		}
		for i := range list.Len() {
			if remove {
				changed = removeMeta(root, name, list.At(i)) || changed
			} else {
				changed = addMeta(root, name, list.At(i)) || changed
			}
		}
	}
	return changed
}

func addMeta(root *fhir.Node, name string, v *fhir.Node) bool {
	meta := root.Member("meta")
	if meta == nil {
		root.Append(fhir.NewObject().Named("meta"))
		meta = root.Member("meta")
	}
	return addTo(meta, name, v)
}

// addTo adds to one list of a meta what is not in it yet.
func addTo(meta *fhir.Node, name string, v *fhir.Node) bool {
	if meta.Member(name) == nil {
		meta.Append(fhir.NewArray().Named(name))
	}
	list := meta.Member(name)
	if indexMeta(list, v) >= 0 {
		return false
	}
	list.Append(v.Clone())
	return true
}

func removeMeta(root *fhir.Node, name string, v *fhir.Node) (removed bool) {
	meta := root.Member("meta")
	list := meta.Member(name)
	if list == nil {
		return false
	}
	for i := indexMeta(list, v); i >= 0; i = indexMeta(list, v) {
		list.RemoveAt(i)
		removed = true
	}
	if list.Len() == 0 {
		meta.Remove(name)
	}
	return removed
}

// indexMeta finds a profile by its URL, a coding by system and code.
func indexMeta(list, v *fhir.Node) int {
	for i := range list.Len() {
		o := list.At(i)
		if o.Kind() == v.Kind() && o.Text() == v.Text() &&
			o.Member("system").Text() == v.Member("system").Text() && o.Member("code").Text() == v.Member("code").Text() {
			return i
		}
	}
	return -1
}
