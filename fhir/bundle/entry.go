package bundle

import (
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// readEntry collects all problems of one entry in its Issues.
func readEntry(index int, n *fhir.Node, base string) *Entry {
	e := &Entry{Index: index, FullURL: n.Member("fullUrl").Text()}
	req := n.Member("request")
	if req == nil || req.Kind() != fhir.Object {
		e.fault("request", "missing")
		return e
	}
	e.Method = req.Member("method").Text()
	e.URL = req.Member("url").Text()
	e.IfNoneExist = strings.TrimPrefix(req.Member("ifNoneExist").Text(), "?")
	e.IfMatch = req.Member("ifMatch").Text()
	e.IfNoneMatch = req.Member("ifNoneMatch").Text()
	e.IfModifiedSince = req.Member("ifModifiedSince").Text()
	if strings.Contains(e.FullURL, "/_history/") { // R4 bundle.html#bdl-8
		e.fault("fullUrl", "must not name a version")
	}
	if e.IfNoneExist != "" && e.Method != "POST" {
		e.fault("request.ifNoneExist", "only for POST")
	}
	e.readResource(n.Member("resource"))
	e.readURL(base)
	return e
}

func (e *Entry) fault(member, text string) { e.add(invalid(e.path(member), text)) }

func (e *Entry) readResource(n *fhir.Node) {
	wanted := false
	switch e.Method {
	case "POST", "PUT", "PATCH":
		wanted = true
	case "DELETE", "GET", "HEAD":
	default:
		e.fault("request.method", "not a method of R4")
		return
	}
	if n == nil || !wanted {
		if wanted != (n != nil) {
			e.fault("resource", map[bool]string{true: "missing", false: "not allowed for this method"}[wanted])
		}
		return
	}
	r, err := fhir.NewResource(n.Named(""))
	if err != nil {
		e.fault("resource", "not a resource: resourceType is missing or malformed")
		return
	}
	e.Resource = r
}

// readURL splits the URL of a write. Reads keep theirs for the search parser.
func (e *Entry) readURL(base string) {
	if rest, ok := strings.CutPrefix(e.URL, base+"/"); ok && base != "" {
		e.URL = rest
	}
	switch {
	case e.URL == "":
		e.fault("request.url", "missing")
		return
	case strings.Contains(e.URL, "://") && !strings.Contains(strings.SplitN(e.URL, "://", 2)[0], "?"):
		e.fault("request.url", "not on this server")
		return
	case !e.writes():
		return
	}
	path, query, conditional := strings.Cut(e.URL, "?")
	typ, id, hasID := strings.Cut(path, "/")
	if !validType(typ) {
		e.fault("request.url", "must start with a resource type")
		return
	}
	e.Type, e.ID, e.Query = typ, id, query
	switch {
	case hasID && (conditional || !fhir.ValidID(id)):
		e.fault("request.url", "not Type/id")
	case e.Method == "POST" && (hasID || conditional):
		e.fault("request.url", "must be a resource type")
	case e.Method != "POST" && !hasID && query == "":
		e.fault("request.url", "needs an id or criteria")
	}
	e.checkIdentity()
}

// checkIdentity compares the resource with the URL (R4 http.html#update).
func (e *Entry) checkIdentity() {
	if e.Resource == nil || e.Method == "PATCH" {
		return
	}
	if e.Resource.Type() != e.Type {
		e.fault("resource", "another type than the URL")
		return
	}
	if e.Method == "PUT" && e.ID != "" && e.Resource.ID() != e.ID {
		e.fault("resource.id", "must be the id in the URL")
	}
}

func validType(s string) bool {
	r, ok := fhir.ParseReference(s + "/1")
	return ok && r.Base == "" && r.Type == s
}
