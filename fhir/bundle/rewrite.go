package bundle

import (
	"bytes"
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
	plan    *Plan
	entry   *Entry
	matches *matcher
	issues  fhir.Issues
	err     error
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
		w.replace(n, w.plan.targets[n.Text()])
	case code == "canonical" || name == "valueCanonical":
		// A canonical names a definition by its business URL; only a urn can
		// mean an entry.
		if s := n.Text(); strings.HasPrefix(s, "urn:") {
			w.replace(n, w.plan.targets[s])
		}
	}
}

func (w *rewriter) replace(n *fhir.Node, s string) {
	if s == "" {
		return
	}
	old := *n
	*n = fhir.NewString(s)
	n.KeepName(&old)
}

// reference handles Reference.reference: a fullUrl, with or without fragment;
// a relative reference beside an entry with a RESTful fullUrl (R4
// bundle.html#references); a conditional reference. Versioned references
// stay.
func (w *rewriter) reference(n *fhir.Node, path string) {
	s := n.Text()
	url, fragment, hasFragment := strings.Cut(s, "#")
	target := w.plan.targets[url]
	if target == "" && url != "" {
		target = w.plan.targets[w.absolute(url)]
	}
	if target != "" {
		if hasFragment {
			target += "#" + fragment
		}
		w.replace(n, target)
		return
	}
	if typ, query, ok := strings.Cut(s, "?"); ok && validType(typ) && query != "" {
		w.conditional(n, typ, query, path)
	}
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
	ids, err := w.matches.match(typ, query)
	switch {
	case err != nil:
		w.err = err
	case len(ids) == 0:
		w.issues = append(w.issues, issue("not-found", path, "the conditional reference matches nothing"))
	case len(ids) > 1:
		w.issues = append(w.issues, issue("multiple-matches", path, "the conditional reference matches several resources"))
	default:
		w.replace(n, typ+"/"+ids[0])
	}
}

// narrative replaces the targets of href and src attributes inside the JSON
// literal, so that all other bytes stay. Quotes may be ' or \"; a quote that
// was sent as \u0022 is not recognised and the link stays.
func (w *rewriter) narrative(n *fhir.Node) {
	raw := n.Raw()
	if !bytes.Contains(raw, []byte("href=")) && !bytes.Contains(raw, []byte("src=")) {
		return
	}
	var out []byte
	done := 0
	for i := 0; i < len(raw); {
		start, end := attribute(raw, i)
		if start < 0 {
			break
		}
		if target := w.plan.targets[string(raw[start:end])]; target != "" {
			out = append(append(out, raw[done:start]...), target...)
			done = end
		}
		i = end
	}
	if done > 0 {
		old := *n
		*n = fhir.NewLiteral(append(out, raw[done:]...))
		n.KeepName(&old)
	}
}

// attribute finds the value of the next href or src attribute from i on.
func attribute(raw []byte, i int) (start, end int) {
	for ; i < len(raw); i++ {
		rest := raw[i:]
		var size int
		switch {
		case bytes.HasPrefix(rest, []byte("href=")):
			size = len("href=")
		case bytes.HasPrefix(rest, []byte("src=")):
			size = len("src=")
		default:
			continue
		}
		quote := []byte(`\"`)
		if bytes.HasPrefix(rest[size:], []byte("'")) {
			quote = []byte("'")
		} else if !bytes.HasPrefix(rest[size:], quote) {
			continue
		}
		start = i + size + len(quote)
		if n := bytes.Index(raw[start:], quote); n >= 0 {
			return start, start + n
		}
	}
	return -1, -1
}
