package interaction

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// maxReferred bounds the keys that are kept; a record with more is one of many
// patients.
const maxReferred = 1_000_000

var referenceMember = []byte(`"reference":"`)

// refer opens a resource and keeps what the visible part of a resource refers to. The text is the
// compact JSON of the tree, in which an unescaped `"reference":"` is a member
// and nothing else.
func (e *record) refer(h hit) ([]byte, error) {
	body, _, err := e.view(e.call, h.stored, h.mask)
	for rest := body; err == nil && len(e.refs) < maxReferred; {
		at := bytes.Index(rest, referenceMember)
		if at < 0 {
			break
		}
		rest = rest[at+len(referenceMember):]
		text, _, _ := bytes.Cut(rest, []byte{'"'})
		if ref, ok := e.localReference(string(text)); ok {
			e.refs[e.Vault.Key(ref.Type, ref.ID)] = true
		}
	}
	return body, err
}

// localReference reads a reference to a resource of this server.
func (s *Service) localReference(text string) (fhir.Reference, bool) {
	ref, ok := fhir.ParseReference(strings.ReplaceAll(text, `\/`, "/"))
	ok = ok && ref.ID != "" && (ref.Base == "" || ref.Base == s.Base) && s.Definitions.IsResource(ref.Type) && ref.Type != auditEvent
	return ref, ok
}

// referred yields what the compartment refers to and does not hold, in the
// order of the keys.
func (e *record) referred(ctx context.Context, at position, yield func(found, error) bool) {
	if err := e.complete(ctx); err != nil {
		yield(found{}, err)
		return
	}
	keys := make([]repository.Key, 0, len(e.refs))
	for k := range e.refs {
		if e.wants(k.Type) && k != e.focal {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b repository.Key) int {
		return cmp.Or(strings.Compare(a.Type, b.Type), bytes.Compare(a.ID[:], b.ID[:]))
	})
	if at.Rank != nil {
		keys = slices.DeleteFunc(keys, func(k repository.Key) bool { return placed(k).compare(*at.Rank) <= 0 })
	}
	for some := range slices.Chunk(keys, smallBatch) {
		if !e.others(ctx, some, yield) {
			return
		}
	}
}

// placed is the position of what is referred to.
func placed(k repository.Key) rank { return rank{Key: []byte(k.Type), ID: k.ID} }

// others yields some of what is referred to, and reports whether to go on.
func (e *record) others(ctx context.Context, keys []repository.Key, yield func(found, error) bool) bool {
	load, err := e.Vault.Ahead(ctx, current(keys))
	if err != nil {
		yield(found{}, err)
		return false
	}
	for _, k := range keys {
		h, err := e.other(ctx, load, k)
		if err != nil {
			yield(found{}, err)
			return false
		}
		place := placed(k)
		if h != nil && !yield(found{item{*h, nil, "include"}, position{Type: len(e.query.Expressions), Rank: &place}}, nil) {
			return false
		}
	}
	return true
}

// current asks for the current versions.
func current(keys []repository.Key) []repository.Wanted {
	wanted := make([]repository.Wanted, len(keys))
	for i, k := range keys {
		wanted[i].Key = k
	}
	return wanted
}

// complete visits the compartment for its references when a page began behind
// its start.
func (e *record) complete(ctx context.Context) error {
	if e.whole {
		return nil
	}
	e.whole = true
	if e.first != nil {
		if _, err := e.refer(*e.first); err != nil {
			return err
		}
	}
	for i := range e.query.Expressions {
		if err := e.members(ctx, i, "", func(hit, []byte, string) bool { return true }); err != nil {
			return err
		}
	}
	return nil
}

// other decides on a resource that is referred to; nil when it is not shown or
// was among the members.
func (e *record) other(ctx context.Context, load sealed.Loader, k repository.Key) (*hit, error) {
	g, err := e.grant(ctx, authz.Read, k.Type)
	if isDenied(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	st, err := load(ctx, repository.Wanted{Key: k})
	if errors.Is(err, repository.ErrNotFound) || errors.Is(err, sealed.ErrErased) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	mask := e.visible(ctx, g, st)
	if mask == 0 || st.Head.Deleted || st.Record.Updated < e.since {
		return nil, nil
	}
	member, err := e.member(ctx, st)
	if err != nil || member {
		return nil, err
	}
	return &hit{stored: st, mask: mask}, nil
}

// member reports whether a resource lies in the compartment, so that it was
// visited already.
func (e *record) member(ctx context.Context, st *sealed.Stored) (bool, error) {
	switch m := e.where.compartment; {
	case m == nil:
		return len(st.Head.Patients) > 0, nil
	case m.code == "Patient":
		return slices.Contains(st.Head.Patients, field.StorageID(m.key)), nil
	}
	for _, x := range e.query.Expressions {
		if x.Type != st.Record.Key.Type {
			continue
		}
		tree, err := e.Vault.Open(st, reads(x))
		if err != nil {
			return false, err
		}
		if ok, err := e.matcher.Match(ctx, x, tree); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}
