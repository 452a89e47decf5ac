// Package bundle plans batch and transaction Bundles (R4 http.html#transaction).
// It is pure: it opens no store and decides nothing about access. Start at New,
// then Plan.Resolve, then run the entries in Plan.Order.
//
// Security notes: every problem names the entry's index and never a value; the
// number of entries is bounded before any of them is looked at; two entries
// that write the same resource are refused, because their order would decide
// silently, and so are conditions that what another entry writes would fulfil.
// Resolve asks its Resolver about conditional references, so the Resolver must
// answer as a search by the same caller would, or a transaction becomes an
// oracle.
//
// Kept compatible: the processing order, and that the bytes of an entry's
// resource change only where a reference is rewritten.
package bundle

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
)

// DefaultMaxEntries bounds a Bundle: five times what the largest patients of
// Synthea need, and small enough to hold one transaction in memory.
const DefaultMaxEntries = 5000

// Entry is one entry of a batch or transaction.
type Entry struct {
	Index   int    // position in the Bundle
	FullURL string // "" when absent
	Method  string // GET, HEAD, POST, PUT, PATCH, DELETE
	URL     string // request.url as sent, own base removed

	// Type, ID and Query are the parts of the URL for writes and operations. A
	// conditional update or delete has a Query and no ID until Resolve has
	// matched it. For a POST, Resolve fills ID.
	Type, ID, Query string
	Operation       string // the code of the one that the URL invokes, without its $

	IfNoneExist, IfMatch, IfNoneMatch string
	IfModifiedSince                   time.Time

	Resource *fhir.Resource // nil for GET, HEAD and DELETE; an operation may do without
	Existing bool           // POST whose IfNoneExist matched: nothing is written
	Created  bool           // no stored resource matched: this one is to be new
	Assigned bool           // its id is the server's

	// Issues are the structural problems of an entry of a batch, where other
	// entries proceed. In a transaction New returns them instead.
	Issues fhir.Issues

	changes bool // an operation that changes what is stored
}

// Target is the resource of a write whose identity is known, as a relative
// reference.
func (e *Entry) Target() string { return e.Type + "/" + e.ID }

// Writes reports whether the entry changes what is stored.
func (e *Entry) Writes() bool {
	if e.Operation != "" {
		return e.changes
	}
	return e.Method != "GET" && e.Method != "HEAD"
}

// Options configure New.
type Options struct {
	Base       string              // own FHIR base without a slash at the end
	MaxEntries int                 // 0 means DefaultMaxEntries
	Types      Types               // nil: only references, narrative and value[x] are rewritten
	NewID      func(*Entry) string // the logical id of a new resource; for transactions
	Changes    func(string) bool   // whether the operation of a code changes the resource that it is invoked on; nil: none does
}

// Plan is a checked batch or transaction.
type Plan struct {
	transaction bool
	entries     []*Entry
	types       Types
	base        string
	newID       func(*Entry) string

	// Of Resolve.
	resolver Resolver
	targets  map[string]*Entry   // by fullUrl
	known    map[string][]string // conditional references that were resolved
	written  map[string]bool     // Type/id of what the transaction writes
	byType   map[string][]*Entry // that give a resource of the type new content
}

// New checks the Bundle and takes it over: the entries' resources are parts
// of r. It returns fhir.Issues for a Bundle that is malformed, and an error
// that wraps fhir.ErrTooLarge for one with too many entries.
func New(r *fhir.Resource, o Options) (*Plan, error) {
	kind := r.Root().Member("type").Text()
	if r.Type() != "Bundle" || kind != "transaction" && kind != "batch" {
		return nil, fhir.Issues{invalid("Bundle.type", "must be batch or transaction")}
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = DefaultMaxEntries
	}
	list := r.Root().Member("entry")
	p := &Plan{transaction: kind == "transaction", types: o.Types, base: o.Base, newID: o.NewID}
	if list == nil {
		return p, nil
	}
	if list.Kind() != fhir.Array {
		return nil, fhir.Issues{invalid("Bundle.entry", "must be an array")}
	}
	if list.Len() > o.MaxEntries {
		return nil, fmt.Errorf("bundle of %d entries, at most %d: %w", list.Len(), o.MaxEntries, fhir.ErrTooLarge)
	}
	var all fhir.Issues
	for i := range list.Len() {
		e := readEntry(i, list.At(i), o)
		p.entries = append(p.entries, e)
		all = append(all, e.Issues...)
	}
	all = append(all, p.duplicateURLs()...)
	all = append(all, p.duplicateTargets()...)
	if p.transaction && all.HasErrors() {
		return nil, all
	}
	return p, nil
}

// Transaction reports whether all entries succeed or fail together.
func (p *Plan) Transaction() bool { return p.transaction }

// Entries are all entries in the order of the Bundle, which is also the order
// of the response.
func (p *Plan) Entries() []*Entry { return p.entries }

// Order returns the entries in processing order: DELETE, POST, PUT and PATCH,
// GET and HEAD, each in the order of the Bundle (R4 http.html#trules). An
// operation that changes nothing is a read, whatever its method. A batch has the
// same order, which the specification leaves open. Entries of a batch that have
// Issues are left out.
func (p *Plan) Order() []*Entry {
	out := make([]*Entry, 0, len(p.entries))
	for rank := range 4 {
		for _, e := range p.entries {
			if e.rank() == rank && len(e.Issues) == 0 {
				out = append(out, e)
			}
		}
	}
	return out
}

func (e *Entry) rank() int {
	if !e.Writes() {
		return methodRank("GET")
	}
	return methodRank(e.Method)
}

func methodRank(m string) int {
	switch m {
	case "DELETE":
		return 0
	case "POST":
		return 1
	case "PUT", "PATCH":
		return 2
	case "GET", "HEAD":
		return 3
	}
	return -1
}

// duplicateURLs finds entries with the same fullUrl (R4 bundle.html#bdl-7).
func (p *Plan) duplicateURLs() (all fhir.Issues) {
	seen := make(map[string]int, len(p.entries))
	for _, e := range p.entries {
		if e.FullURL == "" {
			continue
		}
		if first, dup := seen[canonicalURL(e.FullURL)]; dup {
			all = append(all, e.add(invalid(e.path("fullUrl"), "the same fullUrl as entry "+strconv.Itoa(first))))
			continue
		}
		seen[canonicalURL(e.FullURL)] = e.Index
	}
	return all
}

// canonicalURL is a fullUrl as it is compared: the hexadecimal digits of a UUID
// may be written either way (RFC 4122 §3).
func canonicalURL(s string) string {
	if len(s) == len("urn:uuid:")+36 && strings.EqualFold(s[:9], "urn:uuid:") {
		return strings.ToLower(s)
	}
	return s
}

// duplicateTargets finds writes of one resource by two entries. New calls it;
// Resolve calls it again when conditional targets are known.
func (p *Plan) duplicateTargets() (all fhir.Issues) {
	seen := make(map[string]int, len(p.entries))
	for _, e := range p.entries {
		if !e.Writes() || e.ID == "" || e.Existing || len(e.Issues) > 0 {
			continue
		}
		if first, dup := seen[e.Target()]; dup {
			all = append(all, e.add(invalid(e.path("request.url"), "the same resource is written by entry "+strconv.Itoa(first))))
			continue
		}
		seen[e.Target()] = e.Index
	}
	return all
}

func (e *Entry) path(member string) string {
	return "Bundle.entry[" + strconv.Itoa(e.Index) + "]." + member
}

func (e *Entry) add(i fhir.Issue) fhir.Issue {
	e.Issues = append(e.Issues, i)
	return i
}

func invalid(path, text string) fhir.Issue {
	return fhir.Issue{Severity: fhir.Error, Code: "invalid", Diagnostics: text, Expression: []string{path}}
}
