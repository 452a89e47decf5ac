package redact

import "github.com/fieldseal/fieldseal/fhir"

// R4 resource.html#security-labels and #simple-tags: the marks of a resource
// that is not shown completely.
const (
	markSystem = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
	redacted   = "REDACTED"
	subsetted  = "SUBSETTED"
	security   = "security" // member of meta for redacted
	tag        = "tag"      // member of meta for subsetted
)

// addMark adds a coding to a list of meta unless it is there.
func addMark(root *fhir.Node, list, code string) {
	meta := root.Member("meta")
	if meta == nil || meta.Kind() != fhir.Object {
		root.Insert(metaPosition(root), fhir.NewObject().Named("meta"))
		meta = root.Member("meta")
	}
	codings := meta.Member(list)
	if codings == nil || codings.Kind() != fhir.Array {
		meta.Set(list, fhir.NewArray())
		codings = meta.Member(list)
	}
	if findMark(codings, code) < 0 {
		codings.Append(fhir.NewObject(fhir.NewString(markSystem).Named("system"), fhir.NewString(code).Named("code")))
	}
}

// metaPosition is after resourceType and id, where they stand first.
func metaPosition(root *fhir.Node) int {
	i := 0
	for i < root.Len() && (root.At(i).Name() == "resourceType" || root.At(i).Name() == "id") {
		i++
	}
	return i
}

func findMark(codings *fhir.Node, code string) int {
	if codings == nil {
		return -1
	}
	for i := range codings.Len() {
		c := codings.At(i)
		if c.Member("code").Text() == code && c.Member("system").Text() == markSystem {
			return i
		}
	}
	return -1
}

// dropMark removes the coding, and lists that it leaves empty.
func dropMark(root *fhir.Node, list, code string) {
	meta := root.Member("meta")
	codings := meta.Member(list)
	i := findMark(codings, code)
	if i < 0 {
		return
	}
	if codings.RemoveAt(i); codings.Len() == 0 {
		meta.Remove(list)
	}
}
