package model

import (
	"strconv"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
)

// Types of the Bundles that the server answers with (R4
// valueset-bundle-type.html).
const (
	Searchset           = "searchset"
	History             = "history"
	BatchResponse       = "batch-response"
	TransactionResponse = "transaction-response"
	Document            = "document"
)

// Envelope is what surrounds the entries of a Bundle. Empty fields are left
// out; Total is left out when nil.
type Envelope struct {
	Type        string
	ID          string
	LastUpdated time.Time
	UUID        string    // of the identifier that a document needs
	Timestamp   time.Time // when the Bundle was assembled, of documents
	Total       *int
	Links       []Link
}

// Link is a page link, such as self and next.
type Link struct{ Relation, URL string }

// Entry is one Bundle entry. Resource and Response.Outcome are JSON that is
// copied byte for byte and not looked at.
type Entry struct {
	FullURL  string
	Resource []byte
	Search   string // mode: match, include, outcome
	Request  *Request
	Response *Response
}

// Request is Bundle.entry.request as history shows it.
type Request struct{ Method, URL string }

// Response is Bundle.entry.response. ETag is the whole field, such as W/"3".
type Response struct {
	Status       string
	Location     string
	ETag         string
	LastModified time.Time
	Outcome      []byte
}

// BundleWriter builds a Bundle by appending. The zero value is not usable.
type BundleWriter struct {
	b       []byte
	entries int
	labels  []byte // codings of meta.security
}

// NewBundle begins a Bundle in dst, which may be a buffer to reuse.
func NewBundle(dst []byte, e Envelope) *BundleWriter {
	dst = append(dst, `{"resourceType":"Bundle"`...)
	dst = member(dst, "id", e.ID)
	if !e.LastUpdated.IsZero() {
		dst = append(append(append(dst, `,"meta":{"lastUpdated":"`...), fhir.FormatInstant(e.LastUpdated)...), `"}`...)
	}
	if e.UUID != "" {
		dst = append(append(append(dst, `,"identifier":{"system":"urn:ietf:rfc:3986","value":"urn:uuid:`...), e.UUID...), `"}`...)
	}
	dst = member(dst, "type", e.Type)
	if !e.Timestamp.IsZero() {
		dst = member(dst, "timestamp", fhir.FormatInstant(e.Timestamp))
	}
	if e.Total != nil {
		dst = strconv.AppendInt(append(dst, `,"total":`...), int64(*e.Total), 10)
	}
	return &BundleWriter{b: links(dst, e.Links)}
}

func links(dst []byte, all []Link) []byte {
	for i, l := range all {
		dst = append(dst, [2]string{`,"link":[{`, `,{`}[min(i, 1)]...)
		dst = append(text(append(dst, `"relation":`...), l.Relation), `,"url":`...)
		dst = append(text(dst, l.URL), '}')
	}
	if len(all) > 0 {
		dst = append(dst, ']')
	}
	return dst
}

// Add appends one entry.
func (w *BundleWriter) Add(e Entry) {
	w.b = append(w.b, [2]string{`,"entry":[`, `,`}[min(w.entries, 1)]...)
	w.entries++
	mark := len(w.b)
	w.b = member(w.b, "fullUrl", e.FullURL)
	w.b = raw(w.b, "resource", e.Resource)
	if e.Search != "" {
		w.b = append(text(append(w.b, `,"search":{"mode":`...), e.Search), '}')
	}
	if e.Request != nil {
		w.b = append(text(append(w.b, `,"request":{"method":`...), e.Request.Method), `,"url":`...)
		w.b = append(text(w.b, e.Request.URL), '}')
	}
	if e.Response != nil {
		w.b = e.Response.append(w.b)
	}
	if len(w.b) == mark { // an empty entry is an empty object
		w.b = append(w.b, '{', '}')
		return
	}
	w.b[mark] = '{' // instead of the comma of the first member
	w.b = append(w.b, '}')
}

func (r *Response) append(dst []byte) []byte {
	dst = text(append(dst, `,"response":{"status":`...), r.Status)
	dst = member(dst, "location", r.Location)
	dst = member(dst, "etag", r.ETag)
	if !r.LastModified.IsZero() {
		dst = member(dst, "lastModified", fhir.FormatInstant(r.LastModified))
	}
	return append(raw(dst, "outcome", r.Outcome), '}')
}

// Len is the number of bytes so far, for bounding an answer.
func (w *BundleWriter) Len() int { return len(w.b) }

// Take returns the bytes so far and goes on behind them, for writing a Bundle
// in parts. The result is the caller's.
func (w *BundleWriter) Take() []byte {
	b := w.b
	w.b = make([]byte, 0, len(b))
	return b
}

// FinishWith is Finish with links that are known only at the end.
func (w *BundleWriter) FinishWith(all []Link) []byte {
	w.b = links(w.closed(), all)
	return append(w.b, '}')
}

// Finish closes the Bundle and returns it. The writer must not be used again.
func (w *BundleWriter) Finish() []byte {
	return append(w.closed(), '}')
}

// Label adds a security label to the meta of the Bundle, which must have none
// besides. Like links it may be known only at the end.
func (w *BundleWriter) Label(system, code string) {
	w.labels = append(w.labels, [2]string{`{`, `,{`}[min(len(w.labels), 1)]...)
	w.labels = text(append(w.labels, `"system":`...), system)
	w.labels = append(text(append(w.labels, `,"code":`...), code), '}')
}

// closed ends the entries.
func (w *BundleWriter) closed() []byte {
	if w.entries > 0 {
		w.b = append(w.b, ']')
	}
	if len(w.labels) > 0 {
		w.b = append(append(append(w.b, `,"meta":{"security":[`...), w.labels...), `]}`...)
	}
	return w.b
}

func member(dst []byte, name, s string) []byte {
	if s == "" {
		return dst
	}
	dst = append(append(append(dst, ',', '"'), name...), '"', ':')
	return text(dst, s)
}

func raw(dst []byte, name string, json []byte) []byte {
	if len(json) == 0 {
		return dst
	}
	dst = append(append(append(dst, ',', '"'), name...), '"', ':')
	return append(dst, json...)
}

func text(dst []byte, s string) []byte {
	n := fhir.NewString(s)
	return n.AppendJSON(dst)
}
