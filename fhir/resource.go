package fhir

import "time"

// Resource is a tree whose root is an object with a resourceType. It is not
// safe for concurrent mutation; concurrent reading is fine.
type Resource struct {
	typ  string
	root Node
}

// NewResource takes the tree over. It returns a *SyntaxError when root is not
// an object or its resourceType is not the name of a type. Whether R4 knows
// the type is the validator's question.
func NewResource(root Node) (*Resource, error) {
	if root.kind != Object {
		return nil, &SyntaxError{Reason: "a resource must be an object"}
	}
	t := root.Member("resourceType")
	switch {
	case t == nil:
		return nil, &SyntaxError{Path: "resourceType", Reason: "missing"}
	case t.kind != String:
		return nil, &SyntaxError{Path: "resourceType", Reason: "must be a string"}
	case !isName(t.Text()):
		return nil, &SyntaxError{Path: "resourceType", Reason: "not the name of a type"}
	}
	return &Resource{typ: t.Text(), root: root}, nil
}

// Type is the resourceType.
func (r *Resource) Type() string { return r.typ }

// ID is the logical id, empty when there is none. It may be any string; see
// ValidID.
func (r *Resource) ID() string { return r.root.Member("id").Text() }

// Root is the tree itself, for reading and editing. The resourceType must not
// be changed through it.
func (r *Resource) Root() *Node { return &r.root }

// AppendJSON appends the resource without insignificant whitespace; all
// literals and escapes are those the client sent.
func (r *Resource) AppendJSON(dst []byte) []byte { return r.root.AppendJSON(dst) }

// Clone returns a copy whose structure can be edited on its own. Literals are
// shared; they are never modified.
func (r *Resource) Clone() *Resource { return &Resource{typ: r.typ, root: r.root.Clone()} }

// SetID sets the logical id, in its place or after the resourceType.
func (r *Resource) SetID(id string) {
	if r.root.Member("id") != nil {
		r.root.Set("id", NewString(id))
		return
	}
	r.root.Insert(r.root.index("resourceType")+1, NewString(id).Named("id"))
}

// SetMeta sets meta.versionId and meta.lastUpdated. The other members of meta
// and their order stay; a missing meta is inserted after id, or after
// resourceType (R4 resource.html#Meta).
func (r *Resource) SetMeta(versionID string, lastUpdated time.Time) {
	m := r.root.Member("meta")
	if m == nil || m.kind != Object {
		r.root.Remove("meta")
		at := max(r.root.index("resourceType"), r.root.index("id")) + 1
		r.root.Insert(at, NewObject().Named("meta"))
		m = r.root.Member("meta")
	}
	m.putFirst(0, "versionId", NewString(versionID))
	m.putFirst(m.index("versionId")+1, "lastUpdated", NewString(FormatInstant(lastUpdated)))
}

// putFirst replaces the member in its place or inserts it at i.
func (n *Node) putFirst(i int, name string, v Node) {
	if n.Member(name) != nil {
		n.Set(name, v)
		return
	}
	n.Insert(i, v.Named(name))
}

// index is the position of the member, -1 when there is none.
func (n *Node) index(name string) int {
	for i := range n.nodes {
		if n.nodes[i].name == name {
			return i
		}
	}
	return -1
}

// instantLayout has microseconds, the precision that the feed and history
// order by.
const instantLayout = "2006-01-02T15:04:05.000000Z"

// FormatInstant renders t as a FHIR instant in UTC with microseconds.
func FormatInstant(t time.Time) string { return t.UTC().Format(instantLayout) }

// AppendInstant appends what FormatInstant returns.
func AppendInstant(dst []byte, t time.Time) []byte { return t.UTC().AppendFormat(dst, instantLayout) }

// ParseInstant reads a FHIR instant (R4 datatypes.html#instant). It needs
// seconds and a zone; an hour of 24 and a leap second are refused.
func ParseInstant(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || s[10] != 'T' || s[19] == ',' {
		return time.Time{}, false
	}
	return t, true
}

// ValidID reports whether s is a FHIR id (R4 datatypes.html#id).
func ValidID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
