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
	e.readTime(req.Member("ifModifiedSince"))
	if strings.Contains(e.FullURL, "/_history/") { // R4 bundle.html#bdl-8
		e.fault("fullUrl", "must not name a version")
	}
	if e.IfNoneExist != "" && e.Method != "POST" {
		e.fault("request.ifNoneExist", "only for POST")
	}
	if methodRank(e.Method) < 0 {
		e.fault("request.method", "not a method of R4")
		return e
	}
	if e.IfMatch != "" && (e.Method == "POST" || !e.writes()) { // a condition that is passed over would be none
		e.fault("request.ifMatch", "only for PUT, PATCH and DELETE")
	}
	e.readResource(n.Member("resource"))
	if e.readURL(base) {
		e.checkIdentity()
	}
	return e
}

func (e *Entry) readTime(n *fhir.Node) {
	if n == nil {
		return
	}
	var ok bool
	if e.IfModifiedSince, ok = fhir.ParseInstant(n.Text()); !ok {
		e.fault("request.ifModifiedSince", "not an instant")
	}
}

func (e *Entry) fault(member, text string) { e.add(invalid(e.path(member), text)) }

func (e *Entry) readResource(n *fhir.Node) {
	wanted := e.Method == "POST" || e.Method == "PUT" || e.Method == "PATCH"
	switch {
	case wanted && n == nil:
		e.fault("resource", "missing")
		return
	case !wanted && n != nil:
		e.fault("resource", "not allowed for this method")
		return
	case !wanted:
		return
	}
	r, err := fhir.NewResource(n.Named(""))
	if err != nil {
		e.fault("resource", "not a resource: resourceType is missing or malformed")
		return
	}
	e.Resource = r
}

// readURL splits the URL of a write and reports whether it is sound. Reads
// keep theirs for the search parser.
func (e *Entry) readURL(base string) bool {
	if rest, ok := strings.CutPrefix(e.URL, base+"/"); ok && base != "" {
		e.URL = rest
	}
	e.URL = strings.TrimPrefix(e.URL, "/")
	path, query, conditional := strings.Cut(e.URL, "?")
	typ, id, hasID := strings.Cut(path, "/")
	fault := ""
	switch {
	case e.URL == "":
		fault = "missing"
	case strings.Contains(path, "://"):
		fault = "not on this server"
	case !e.writes():
		return true
	case !validType(typ):
		fault = "must start with a resource type"
	case e.Method == "POST" && (hasID || conditional):
		fault = "must be a resource type"
	case hasID && (conditional || !fhir.ValidID(id)):
		fault = "not Type/id"
	case e.Method != "POST" && !hasID && query == "":
		fault = "needs an id or criteria"
	default:
		e.Type, e.ID, e.Query = typ, id, query
		return true
	}
	e.fault("request.url", fault)
	return false
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
