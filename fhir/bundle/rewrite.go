package bundle

import (
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// Types knows the datatypes of elements, so that a string which merely looks
// like a fullUrl (Identifier.value) keeps its bytes.
type Types interface {
	// Resource returns a handle for the members of a resource type, nil when
	// the type is unknown.
	Resource(resourceType string) any
	// Member returns the datatype code of a member (such as "uri") and the
	// handle for what is below it. The handle passed in is never nil.
	Member(parent any, name string) (code string, child any)
}

// rewriter replaces the references of one entry.
type rewriter struct {
	plan   *Plan
	entry  *Entry
	issues fhir.Issues
	err    error
}

func (w *rewriter) resource(n *fhir.Node) {
	w.members(n, w.handle(n), w.entry.path("resource"))
}

func (w *rewriter) handle(n *fhir.Node) any {
	if w.plan.types == nil {
		return nil
	}
	return w.plan.types.Resource(n.Member("resourceType").Text())
}

func (w *rewriter) members(n *fhir.Node, parent any, path string) {
	for i := range n.Len() {
		m := n.At(i)
		var code string
		var child any
		if parent != nil {
			code, child = w.plan.types.Member(parent, m.Name())
		}
		w.value(m, m.Name(), code, child, path+"."+m.Name())
	}
}

func (w *rewriter) value(n *fhir.Node, name, code string, child any, path string) {
	switch n.Kind() {
	case fhir.Object:
		if n.Member("resourceType") != nil {
			child = w.handle(n)
		}
		w.members(n, child, path)
	case fhir.Array:
		for i := range n.Len() {
			w.value(n.At(i), name, code, child, indexed(path, i))
		}
	case fhir.String:
		w.text(n, name, code, path)
	}
}

func (w *rewriter) text(n *fhir.Node, name, code, path string) {
	switch {
	case name == "reference":
		w.reference(n, path)
	case name == "div":
		w.narrative(n)
	case code == "uri" || code == "url" || code == "oid" || code == "uuid" ||
		name == "valueUri" || name == "valueUrl" || name == "valueOid" || name == "valueUuid":
		w.uri(n)
	case code == "canonical" || name == "valueCanonical":
		// A canonical names a definition by its business URL; only a urn can
		// mean an entry.
		if strings.HasPrefix(n.Text(), "urn:") {
			w.uri(n)
		}
	}
}

// uri replaces a whole fullUrl.
func (w *rewriter) uri(n *fhir.Node) {
	if e := w.plan.targets[canonicalURL(n.Text())]; e != nil {
		w.replace(n, e.Target())
	}
}

func (w *rewriter) replace(n *fhir.Node, s string) {
	old := *n
	*n = fhir.NewString(s)
	n.KeepName(&old)
}

// reference handles Reference.reference: a fullUrl, with or without fragment or
// version; a relative reference beside an entry with a RESTful fullUrl (R4
// bundle.html#references); a conditional reference.
func (w *rewriter) reference(n *fhir.Node, path string) {
	s := n.Text()
	if target := w.link(s); target != "" {
		w.replace(n, target)
		return
	}
	if url, version, ok := strings.Cut(s, "/_history/"); ok {
		w.versioned(n, url, version)
		return
	}
	if typ, query, ok := strings.Cut(s, "?"); ok && validType(typ) && query != "" {
		w.conditional(n, typ, query, path)
	}
}

// link is what a reference to a fullUrl becomes, empty when it is none.
func (w *rewriter) link(s string) string {
	url, fragment, hasFragment := strings.Cut(s, "#")
	e := w.entryAt(url)
	if e == nil {
		return ""
	}
	target := e.Target()
	if hasFragment {
		target += "#" + fragment
	}
	if target == s {
		return ""
	}
	return target
}

// entryAt is the entry with the fullUrl, also for a relative reference.
func (w *rewriter) entryAt(url string) *Entry {
	if url == "" {
		return nil
	}
	if e := w.plan.targets[canonicalURL(url)]; e != nil {
		return e
	}
	return w.plan.targets[w.absolute(url)]
}

// versioned replaces a reference to the very version that an entry holds by one
// to the version that the transaction makes of it. Others mean versions that
// are not in the Bundle, and stay.
func (w *rewriter) versioned(n *fhir.Node, url, version string) {
	e := w.entryAt(url)
	if e == nil || e.Resource == nil || e.Resource.Root().Member("meta").Member("versionId").Text() != version || w.err != nil {
		return
	}
	next, err := w.plan.resolver.Next(e)
	if err != nil {
		w.err = err
		return
	}
	w.replace(n, e.Target()+"/_history/"+next)
}

// absolute completes a relative reference by the base of the entry's fullUrl.
func (w *rewriter) absolute(s string) string {
	r, ok := fhir.ParseReference(s)
	if !ok || r.Base != "" || r.Type == "" || r.Version != "" {
		return ""
	}
	own, ok := fhir.ParseReference(w.entry.FullURL)
	if !ok || own.Base == "" {
		return ""
	}
	return own.Base + "/" + s
}

func (w *rewriter) conditional(n *fhir.Node, typ, query, path string) {
	if w.err != nil {
		return
	}
	targets, err := w.plan.referenced(typ, query)
	switch {
	case err != nil:
		w.err = err
	case len(targets) == 0:
		w.issues = append(w.issues, issue("not-found", path, "the conditional reference matches nothing"))
	case len(targets) > 1:
		w.issues = append(w.issues, issue("multiple-matches", path, "the conditional reference matches several resources"))
	default:
		w.replace(n, targets[0])
	}
}
