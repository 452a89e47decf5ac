package validation

import (
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// container is the resource that local references (#id) resolve in: the
// outermost one, or an entry of a Bundle or Parameters.
type container struct {
	contained *fhir.Node // an array, or nil
	index     map[string]int
	used      []bool // by position in contained: something refers to it
	self      bool   // the current contained resource refers to the container by "#"
}

// indexedFrom is the number of contained resources from which a map pays. The
// map keeps a hostile resource with 100,000 of them linear.
const indexedFrom = 16

// open points c at the contained resources of n.
func (c *container) open(n *fhir.Node) {
	m := n.Member("contained")
	if m == nil || m.Kind() != fhir.Array {
		return
	}
	c.contained = m
	c.used = make([]bool, m.Len())
	if m.Len() < indexedFrom {
		return
	}
	c.index = make(map[string]int, m.Len())
	for i := m.Len() - 1; i >= 0; i-- { // the first of equal ids wins
		c.index[m.At(i).Member("id").Text()] = i
	}
}

// find returns the position of the contained resource with the id, or -1.
func (c *container) find(id string) int {
	switch {
	case c.contained == nil || id == "":
	case c.index != nil:
		if i, ok := c.index[id]; ok {
			return i
		}
	default:
		for i := range c.contained.Len() {
			if c.contained.At(i).Member("id").Text() == id {
				return i
			}
		}
	}
	return -1
}

// use notes a local reference or canonical and returns the contained resource
// that it names, or nil; "" stands for the container.
func (c *container) use(id string) *fhir.Node {
	if id == "" {
		c.self = true
		return nil
	}
	i := c.find(id)
	if i < 0 {
		return nil
	}
	c.used[i] = true
	return c.contained.At(i)
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
		x.container.use(n.Member("id").Text())
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
	x.container = &container{}
	x.container.open(n)
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
	c := x.container
	if c.contained == nil {
		return
	}
	x.push("contained")
	defer x.pop()
	for i := range c.used {
		id := c.contained.At(i).Member("id").Text()
		if id == "" {
			continue
		}
		x.at(i)
		if c.find(id) != i {
			x.faultAt("id", codeDuplicate, "contained resources must have different ids")
		} else if !c.used[i] {
			x.fault(codeInvariant, "dom-3: a contained resource must be referred to")
		}
	}
}
