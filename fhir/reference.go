package fhir

import "strings"

// Reference is a parsed Reference.reference (R4 references.html#literal). The
// forms are:
//
//	Type/id, Type/id/_history/version        relative
//	http(s)://base/Type/id[/_history/v]      absolute, with Base
//	urn:uuid:…, urn:oid:…                    URN
//	#fragment, #                             Fragment (# alone: all fields empty)
type Reference struct {
	Base     string // of an absolute reference, without a slash at the end
	Type     string
	ID       string
	Version  string
	Fragment string
	URN      string
}

// ParseReference parses the literal forms. It returns false for everything
// else, conditional references ("Patient?identifier=…") among it.
func ParseReference(s string) (Reference, bool) {
	if s == "" || len(s) > maxReferenceBytes {
		return Reference{}, false
	}
	if s[0] == '#' {
		return Reference{Fragment: s[1:]}, s == "#" || ValidID(s[1:])
	}
	if strings.HasPrefix(s, "urn:") {
		return Reference{URN: s}, validURN(s)
	}
	var r Reference
	if at := strings.IndexByte(s, '#'); at >= 0 {
		r.Fragment, s = s[at+1:], s[:at]
		if !ValidID(r.Fragment) {
			return Reference{}, false
		}
	}
	if strings.ContainsAny(s, "? \t\r\n") {
		return Reference{}, false
	}
	return r.parsePath(s)
}

// maxReferenceBytes bounds a reference: no base URL in use comes near it.
const maxReferenceBytes = 4096

// parsePath splits from the right: the version, the id, the type, the base.
func (r Reference) parsePath(s string) (Reference, bool) {
	rest, last, ok := cutLast(s)
	if !ok || !ValidID(last) {
		return Reference{}, false
	}
	if before, word, found := cutLast(rest); found && word == "_history" {
		r.Version = last
		if rest, last, ok = cutLast(before); !ok || !ValidID(last) {
			return Reference{}, false
		}
	}
	r.ID = last
	base, typ, _ := cutLast(rest)
	if !isName(typ) || typ[0] > 'Z' {
		return Reference{}, false
	}
	r.Type, r.Base = typ, base
	return r, base == "" && rest == typ || validBase(base)
}

func validBase(s string) bool {
	_, host, ok := strings.Cut(s, "://")
	return ok && host != "" && host[0] != '/' &&
		(strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://"))
}

// cutLast cuts around the last slash; without one, the whole is the last part.
func cutLast(s string) (before, last string, found bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// validURN accepts urn:uuid (RFC 4122 §3, any case of digits) and urn:oid.
func validURN(s string) bool {
	if oid, ok := strings.CutPrefix(s, "urn:oid:"); ok {
		return oid != "" && strings.Trim(oid, "0123456789.") == "" && oid[0] != '.' && !strings.Contains(oid, "..")
	}
	uuid, ok := strings.CutPrefix(s, "urn:uuid:")
	if !ok || len(uuid) != 36 {
		return false
	}
	for i := 0; i < len(uuid); i++ {
		c := uuid[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
			continue
		}
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// String is the literal form.
func (r Reference) String() string {
	if r.URN != "" {
		return r.URN
	}
	s := ""
	if r.Type != "" {
		s = r.Type + "/" + r.ID
		if r.Base != "" {
			s = r.Base + "/" + s
		}
		if r.Version != "" {
			s += "/_history/" + r.Version
		}
	}
	if r.Fragment != "" || s == "" {
		s += "#" + r.Fragment
	}
	return s
}

// WalkReferences calls visit for every string member named "reference" below
// root, in contained resources and extensions too. Canonical and uri elements
// are not references. visit may replace the node's value.
func WalkReferences(root *Node, visit func(ref *Node)) {
	for i := range root.nodes {
		n := &root.nodes[i]
		if n.kind == String && n.name == "reference" {
			visit(n)
			continue
		}
		WalkReferences(n, visit)
	}
}
