package main

import (
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// resource is one embedded resource.
type resource struct {
	kind     string // c or v
	url      string
	version  string
	valueSet string // of a code system: the value set of all its codes
	json     []byte
}

// wanted leaves out other types, the examples of the specification, and code
// systems without any content.
func wanted(r *fhir.Node) bool {
	url := r.Member("url").Text()
	if name := url[strings.LastIndexByte(url, '/')+1:]; name == "example" || strings.HasPrefix(name, "example-") {
		return false
	}
	switch r.Member("resourceType").Text() {
	case "ValueSet":
		return true
	case "CodeSystem":
		return r.Member("content").Text() != "not-present"
	}
	return false
}

// kept are the members that decide membership, hierarchy and display, by the
// name of the member that holds them. What is not listed is dropped.
var kept = map[string][]string{
	"CodeSystem": {"resourceType", "url", "version", "caseSensitive", "valueSet", "hierarchyMeaning", "content", "property", "concept"},
	"ValueSet":   {"resourceType", "extension", "url", "version", "compose", "expansion"},
	"property":   {"code", "uri", "valueCode", "valueString", "valueBoolean", "valueInteger", "valueDateTime", "valueDecimal", "valueCoding"},
	"concept":    {"code", "display", "property", "concept"},
	"compose":    {"inactive", "include", "exclude"},
	"include":    {"system", "version", "concept", "filter", "valueSet"},
	"exclude":    {"system", "version", "concept", "filter", "valueSet"},
	"filter":     {"property", "op", "value"},
	"expansion":  {"total", "extension", "contains"},
	"contains":   {"system", "version", "code", "display", "abstract", "inactive", "contains"},
}

func strip(r *fhir.Node) resource {
	out := resource{url: r.Member("url").Text(), version: r.Member("version").Text(), kind: "v"}
	if r.Member("resourceType").Text() == "CodeSystem" {
		out.kind, out.valueSet = "c", r.Member("valueSet").Text()
	}
	n := prune(r, r.Member("resourceType").Text())
	if ext := n.Member("extension"); ext != nil && !strings.Contains(string(ext.AppendJSON(nil)), "valueset-supplement") {
		n.Remove("extension")
	}
	out.json = n.AppendJSON(nil)
	return out
}

// prune copies a value with the kept members only.
func prune(n *fhir.Node, name string) fhir.Node {
	switch n.Kind() {
	case fhir.Array:
		out := fhir.NewArray()
		for i := range n.Len() {
			out.Append(prune(n.At(i), name))
		}
		return out.Named(n.Name())
	case fhir.Object:
		members, ok := kept[name]
		if !ok {
			return n.Clone()
		}
		out := fhir.NewObject()
		for _, m := range members {
			if v := n.Member(m); v != nil && !dated(n, m) {
				p := prune(v, m)
				out.Append(p.Named(m))
			}
		}
		return out.Named(n.Name())
	}
	return n.Clone()
}

// dated is a property that says when a concept was deprecated, which nothing
// selects by. It stays declared.
func dated(n *fhir.Node, member string) bool {
	return member == "valueDateTime" && n.Member("code").Text() == "deprecationDate"
}
