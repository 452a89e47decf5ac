package bundle

import (
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// readEntry collects all problems of one entry in its Issues.
func readEntry(index int, n *fhir.Node, o Options) *Entry {
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
	e.relative(o.Base)
	e.readOperation()
	e.changes = e.Operation != "" && e.Method == "POST" && o.Changes != nil && o.Changes(e.Operation)
	if e.IfMatch != "" && (!e.Writes() || e.Method == "POST" && e.Operation == "") { // a condition that is passed over would be none
		e.fault("request.ifMatch", "only for what changes a known resource")
	}
	e.readResource(n.Member("resource"))
	if e.Operation == "" && e.readURL() {
		e.checkIdentity()
	}
	return e
}

// relative takes our own base away from the URL.
func (e *Entry) relative(base string) {
	if rest, ok := strings.CutPrefix(e.URL, base+"/"); ok && base != "" {
		e.URL = rest
	}
	e.URL = strings.TrimPrefix(e.URL, "/")
}

// readOperation splits the URL of an entry that invokes an operation (R4
// operations.html#executing): $code, Type/$code or Type/id/$code.
func (e *Entry) readOperation() {
	path, query, _ := strings.Cut(e.URL, "?")
	seg := strings.Split(path, "/")
	code, ok := strings.CutPrefix(seg[len(seg)-1], "$")
	if !ok {
		return
	}
	e.Operation, e.Query = code, query
	sound := code != "" && len(seg) <= 3
	if len(seg) > 1 {
		e.Type = seg[0]
		sound = sound && validType(e.Type)
	}
	if len(seg) == 3 {
		e.ID = seg[1]
		sound = sound && fhir.ValidID(e.ID)
	}
	switch {
	case !sound:
		e.fault("request.url", "not $operation, Type/$operation or Type/id/$operation")
	case e.Method != "GET" && e.Method != "HEAD" && e.Method != "POST":
		e.fault("request.method", "an operation is invoked by GET or POST")
	}
	if e.IfNoneExist != "" {
		e.fault("request.ifNoneExist", "not for operations")
	}
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
	case n == nil && e.Operation != "":
		return
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
func (e *Entry) readURL() bool {
	path, query, conditional := strings.Cut(e.URL, "?")
	typ, id, hasID := strings.Cut(path, "/")
	fault := ""
	switch {
	case e.URL == "":
		fault = "missing"
	case strings.Contains(path, "://"):
		fault = "not on this server"
	case !e.Writes():
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
