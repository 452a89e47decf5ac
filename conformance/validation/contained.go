package validation

import (
	"slices"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// container is the resource that local references (#id) resolve in: the
// outermost one, or an entry of a Bundle or Parameters.
type container struct {
	contained *fhir.Node
	used      []string // local ids that something refers to
	self      bool     // the current contained resource refers to the container by "#"
}

// use notes a local reference or canonical; "" stands for the container.
func (x *run) use(id string) {
	if id == "" {
		x.container.self = true
	} else if !slices.Contains(x.container.used, id) {
		x.container.used = append(x.container.used, id)
	}
}

// find returns the contained resource with the id, or nil.
func (c *container) find(id string) *fhir.Node {
	if c.contained == nil || c.contained.Kind() != fhir.Array {
		return nil
	}
	for i := range c.contained.Len() {
		if r := c.contained.At(i); r.Member("id").Text() == id {
			return r
		}
	}
	return nil
}

// nestedResource checks a resource inside a resource. The one in contained
// shares the container's ids; every other is a container of its own.
func (x *run) nestedResource(n *fhir.Node, e *definition.Element) {
	if e.Name != "contained" {
		x.resourceObject(n, nil)
		return
	}
	x.container.self = false
	x.resourceObject(n, x.container)
	if x.container.self { // dom-3: referring to the container is enough
		x.use(n.Member("id").Text())
	}
}

// resourceObject checks a resource whose type is not known yet. c is the
// container of a contained resource, nil for one that stands alone.
func (x *run) resourceObject(n *fhir.Node, c *container) {
	name := n.Member("resourceType").Text()
	if !x.v.reg.IsResource(name) {
		x.faultAt("resourceType", codeStructure, "resourceType must name a resource type of R4")
		return
	}
	t := x.v.reg.Type(name)
	if c != nil {
		x.containedRules(n)
		x.object(n, t)
		return
	}
	outer := x.container
	if outer == nil {
		x.container = &x.spare // used by the outermost resource only
	} else {
		x.container = &container{}
	}
	x.container.contained = n.Member("contained")
	x.object(n, t)
	x.containedIDs()
	x.container = outer
}

// containedRules checks dom-2, dom-4 and dom-5.
func (x *run) containedRules(n *fhir.Node) {
	if n.Member("contained") != nil {
		x.faultAt("contained", codeInvariant, "dom-2: a contained resource must not contain resources")
	}
	meta := n.Member("meta")
	if meta.Member("versionId") != nil || meta.Member("lastUpdated") != nil {
		x.faultAt("meta", codeInvariant, "dom-4: a contained resource must not have a version or lastUpdated")
	}
	if meta.Member("security") != nil {
		x.faultAt("meta", codeInvariant, "dom-5: a contained resource must not have security labels")
	}
}

// containedIDs checks that ids are unique and each contained resource is
// referred to, or refers to its container (dom-3).
func (x *run) containedIDs() {
	list := x.container.contained
	if list == nil || list.Kind() != fhir.Array {
		return
	}
	x.push("contained")
	defer x.pop()
	for i := range list.Len() {
		id := list.At(i).Member("id").Text()
		if id == "" {
			continue
		}
		x.at(i)
		if x.container.find(id) != list.At(i) {
			x.faultAt("id", codeDuplicate, "contained resources must have different ids")
		}
		if id == "" {
			x.container.self = true
		} else if !slices.Contains(x.container.used, id) {
			x.fault(codeInvariant, "dom-3: a contained resource must be referred to")
		}
	}
}
