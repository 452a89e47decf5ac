package redacttest

import (
	"encoding/json"
	"regexp"
	"strings"
)

var (
	logicalID = regexp.MustCompile(`^[A-Za-z0-9\-.]{1,64}$`)
	reference = regexp.MustCompile(`^(/?)([A-Za-z]+)/([A-Za-z0-9\-.]{1,64})((?:/_history/[^/#?]+)?)((?:#.*)?)$`)
)

// Named is a view with other names for all ids in it: of resources, contained
// ones and elements, in references to this server's resources, to what is
// contained, and in what was never resolved (urn:uuid). Types reports whether a
// name is that of a resource type.
func Named(view []byte, base string, types func(string) bool, name func(id string) string) []byte {
	root := parse(view)
	rename(root, base, types, name)
	return root.append(nil)
}

func rename(n *node, base string, types func(string) bool, name func(string) string) {
	for _, kid := range n.kids {
		if n.kind == '[' {
			kid.name = n.name
		}
		rename(kid, base, types, name)
	}
	if n.kind != 0 || len(n.raw) == 0 || n.raw[0] != '"' {
		return
	}
	was := n.string()
	is := renamed(was, base, types, name)
	if n.name == "id" && logicalID.MatchString(was) {
		is = name(was)
	}
	if is != was {
		n.raw, _ = json.Marshal(is)
	}
}

// renamed is a text that may refer to something.
func renamed(text, base string, types func(string) bool, name func(string) string) string {
	if id, ok := strings.CutPrefix(text, "#"); ok && logicalID.MatchString(id) {
		return "#" + name(id)
	}
	if strings.HasPrefix(text, "urn:uuid:") {
		return name(text)
	}
	rest, absolute := strings.CutPrefix(text, base+"/")
	m := reference.FindStringSubmatch(rest)
	if m == nil || !types(m[2]) {
		return text
	}
	if id, ok := strings.CutPrefix(m[5], "#"); ok && logicalID.MatchString(id) {
		m[5] = "#" + name(id)
	}
	rest = m[1] + m[2] + "/" + name(m[3]) + m[4] + m[5]
	if absolute {
		return base + "/" + rest
	}
	return rest
}
