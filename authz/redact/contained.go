package redact

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// dropOrphans removes contained resources to which nothing visible refers any
// more (R4 dom-3), until none is left.
func dropOrphans(root *fhir.Node) {
	list := root.Member("contained")
	if list == nil || list.Kind() != fhir.Array {
		return
	}
	for {
		used := localRefs(root, nil)
		before := list.Len()
		for i := 0; i < list.Len(); i++ {
			id := list.At(i).Member("id").Text()
			if id == "" || slices.Contains(used, id) || slices.Contains(localRefs(list.At(i), nil), "") {
				continue
			}
			list.RemoveAt(i)
			i--
		}
		if list.Len() == before {
			break
		}
	}
	if list.Len() == 0 {
		root.Remove("contained")
	}
}

// localRefs collects the ids of "#id" references and canonicals; "#" alone,
// the container, is the empty id.
func localRefs(n *fhir.Node, ids []string) []string {
	if n.Kind() == fhir.String && len(n.Raw()) > 2 && n.Raw()[1] == '#' {
		return append(ids, strings.TrimPrefix(n.Text(), "#"))
	}
	for i := range n.Len() {
		ids = localRefs(n.At(i), ids)
	}
	return ids
}
