package fhir

// Marks of a resource that is not shown completely (R4
// resource.html#security-labels, #simple-tags), codes of MarkSystem.
const (
	MarkSystem = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
	Redacted   = "REDACTED"  // in meta.security
	Subsetted  = "SUBSETTED" // in meta.tag
)

// AddMark adds a coding of MarkSystem to a list of meta ("security", "tag")
// unless it is there.
func AddMark(root *Node, list, code string) {
	meta := root.Member("meta")
	if meta == nil || meta.Kind() != Object {
		root.Insert(metaPosition(root), NewObject().Named("meta"))
		meta = root.Member("meta")
	}
	codings := meta.Member(list)
	if codings == nil || codings.Kind() != Array {
		meta.Set(list, NewArray())
		codings = meta.Member(list)
	}
	if findMark(codings, code) < 0 {
		codings.Append(NewObject(NewString(MarkSystem).Named("system"), NewString(code).Named("code")))
	}
}

// metaPosition is after resourceType and id, where they stand first.
func metaPosition(root *Node) int {
	i := 0
	for i < root.Len() && (root.At(i).Name() == "resourceType" || root.At(i).Name() == "id") {
		i++
	}
	return i
}

func findMark(codings *Node, code string) int {
	if codings == nil {
		return -1
	}
	for i := range codings.Len() {
		c := codings.At(i)
		if c.Member("code").Text() == code && c.Member("system").Text() == MarkSystem {
			return i
		}
	}
	return -1
}

// HasMark reports whether the list of meta has the coding.
func HasMark(root *Node, list, code string) bool {
	return findMark(root.Member("meta").Member(list), code) >= 0
}

// DropMark removes the coding, as often as it is there, and a list that it
// leaves empty.
func DropMark(root *Node, list, code string) {
	meta := root.Member("meta")
	codings := meta.Member(list)
	for i := findMark(codings, code); i >= 0; i = findMark(codings, code) {
		if codings.RemoveAt(i); codings.Len() == 0 {
			meta.Remove(list)
		}
	}
}
