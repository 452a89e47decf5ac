package interaction

import (
	"context"
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
)

// Integrity says which references the server guards. The zero value guards
// none.
type Integrity struct {
	OnWrite  bool // what a written resource refers to must exist for the caller
	OnDelete bool // what others refer to cannot be deleted
}

// together is what one commit writes beside a resource: Type/id.
type together struct{ written, deleted map[string]bool }

func (t *together) writes(target string) bool  { return t != nil && t.written[target] }
func (t *together) deletes(target string) bool { return t != nil && t.deleted[target] }

// literal is a reference of a resource to a stored one.
type literal struct {
	target  string // Type/id
	key     repository.Key
	version string
	path    string // FHIRPath of the Reference
}

// literals are the references to resources of this server: relative ones, and
// absolute ones to its own base. A conditional reference, which a transaction
// alone resolves, has an empty target.
func (s *Service) literals(r *fhir.Resource) (list []literal) {
	walkReferences(r.Root(), r.Type(), func(text, path string) {
		ref, ok := fhir.ParseReference(text)
		typ, _, conditional := strings.Cut(text, "?")
		switch {
		case conditional && s.Definitions.IsResource(typ):
			list = append(list, literal{path: path})
		case ok && (ref.Base == "" || ref.Base == s.Base) && s.Definitions.IsResource(ref.Type):
			list = append(list, literal{target: ref.Type + "/" + ref.ID, key: s.Vault.Key(ref.Type, ref.ID), version: ref.Version, path: path})
		}
	})
	return list
}

// walkReferences visits Reference.reference everywhere, contained resources and
// extensions included.
func walkReferences(n *fhir.Node, path string, visit func(text, path string)) {
	for i := range n.Len() {
		m := n.At(i)
		switch {
		case m.Kind() == fhir.String && m.Name() == "reference":
			visit(m.Text(), path)
		case m.Kind() == fhir.Object:
			walkReferences(m, step(path, n, m, i), visit)
		case m.Kind() == fhir.Array:
			walkReferences(m, path+"."+m.Name(), visit)
		}
	}
}

func step(path string, parent, child *fhir.Node, i int) string {
	if parent.Kind() == fhir.Array {
		return path + "[" + strconv.Itoa(i) + "]"
	}
	return path + "." + child.Name()
}

// guardReferences checks what a new version refers to, and adds to its change
// the guards that keep the answer true until the commit: a write notices that
// its targets are deleted, a deletion notices that somebody refers to it.
func (s *Service) guardReferences(ctx context.Context, c Call, r *fhir.Resource, ch *change) error {
	if !s.Integrity.OnWrite && !s.Integrity.OnDelete {
		return nil
	}
	var issues fhir.Issues
	seen := map[string]bool{}
	for _, l := range s.literals(r) {
		if c.together.deletes(l.target) {
			issues = append(issues, missing(l, "what the reference points to is deleted by the same transaction"))
			continue
		}
		if c.together.writes(l.target) && l.version == "" || l.target == r.Type()+"/"+r.ID() || l.target != "" && seen[l.target+"/"+l.version] {
			continue
		}
		seen[l.target+"/"+l.version] = true
		ok, err := s.guardReference(ctx, c, l, ch)
		if err != nil {
			return err
		}
		if !ok {
			issues = append(issues, missing(l, "what the reference points to is not known here"))
		}
	}
	if len(issues) > 0 {
		return &Failure{Kind: Unprocessable, Issues: issues}
	}
	return nil
}

func missing(l literal, text string) fhir.Issue {
	return fhir.Issue{Severity: fhir.Error, Code: "not-found", Diagnostics: text, Expression: []string{l.path}}
}

func (s *Service) guardReference(ctx context.Context, c Call, l literal, ch *change) (ok bool, err error) {
	if s.Integrity.OnDelete && l.target != "" {
		ch.bump = append(ch.bump, s.Vault.ReferredGuard(l.key))
	}
	if !s.Integrity.OnWrite {
		return true, nil
	}
	if l.target == "" {
		return false, nil
	}
	held, err := s.Store.Guards(ctx, []repository.Token{s.Vault.ExistsGuard(l.key)})
	if err != nil {
		return false, err
	}
	ch.expect = append(ch.expect, held...)
	return s.exists(ctx, c, l)
}

// exists reports whether the caller may read the target of a reference: what is
// invisible does not exist (decision 20).
func (s *Service) exists(ctx context.Context, c Call, l literal) (bool, error) {
	g, err := s.Decider.Decide(ctx, c.Subject, authz.Request{Action: authz.Read, Type: l.key.Type})
	if isDenied(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	st, err := s.Vault.Load(ctx, l.key)
	if err == nil && l.version != "" {
		n, perr := strconv.ParseUint(l.version, 10, 63)
		if perr != nil {
			return false, nil
		}
		st, err = s.Vault.LoadVersion(ctx, l.key, repository.Version(n))
	}
	if err != nil {
		return false, unseen(err)
	}
	return s.visible(ctx, g, st) != 0 && !st.Head.Deleted, nil
}

// sameCommit is what the entries of a transaction write together.
func sameCommit[E any](entries []E, target func(E) (name string, deletes bool)) *together {
	t := &together{written: map[string]bool{}, deleted: map[string]bool{}}
	for _, e := range entries {
		switch name, deletes := target(e); {
		case name == "":
		case deletes:
			t.deleted[name] = true
		default:
			t.written[name] = true
		}
	}
	return t
}
