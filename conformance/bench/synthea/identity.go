package synthea

import (
	"fmt"
	"strconv"

	"github.com/fieldseal/fieldseal/fhir"
)

// maxShift is by how many days a person's dates are moved at most: about four
// years, so that whole calendars do not coincide and nobody is born tomorrow.
const maxShift = 1500

// names are those of the source: surnames of patients and practitioners, given
// names by sex.
type names struct {
	family []string
	given  map[string][]string // by gender
	seen   map[string]bool
}

func (n *names) complete() bool {
	return len(n.family) > 0 && len(n.given["male"]) > 0 && len(n.given["female"]) > 0
}

func (n *names) collect(b *bundle) {
	if n.seen == nil {
		n.seen, n.given = map[string]bool{}, map[string][]string{}
	}
	for i := range b.entries {
		r := b.entries[i].resource
		if r.Type() != "Patient" && r.Type() != "Practitioner" {
			continue
		}
		for name := range items(r.Root().Member("name")) {
			n.add("family", name.Member("family").Text(), &n.family)
			gender := r.Root().Member("gender").Text()
			list := n.given[gender]
			for given := range items(name.Member("given")) {
				n.add(gender, given.Text(), &list)
			}
			n.given[gender] = list
		}
	}
}

func (n *names) add(kind, name string, list *[]string) {
	if key := kind + " " + name; name != "" && !n.seen[key] {
		n.seen[key] = true
		*list = append(*list, name)
	}
}

// pick prefers the names in front, so that some are common and most are rare.
func pick(list []string, d draw, what string) string {
	f := d.fraction(what)
	return list[int(f*f*float64(len(list)))]
}

// rename gives a Patient another name, other numbers and another telephone. It
// returns how displays spell the old name and how they spell the new one.
func (n *names) rename(patient *fhir.Resource, d draw) (from, to string) {
	root := patient.Root()
	given := n.given[root.Member("gender").Text()]
	if len(given) == 0 {
		given = n.given["female"]
	}
	i := 0
	for name := range items(root.Member("name")) {
		old := name.Member("family").Text()
		first := ""
		family := pick(n.family, d, "family "+strconv.Itoa(i))
		setText(name, "family", family)
		k := 0
		for g := range items(name.Member("given")) {
			if k == 0 {
				first = g.Text()
			}
			// The same for every name of the person: only the surname changes.
			fresh := fhir.NewString(pick(given, d, "given "+strconv.Itoa(k)))
			*g = fresh
			k++
		}
		if i == 0 && k > 0 {
			from, to = first+" "+old, pick(given, d, "given 0")+" "+family
		}
		i++
	}
	n.mother(root, d)
	for id := range items(root.Member("identifier")) {
		renumber(id, d)
	}
	for t := range items(root.Member("telecom")) {
		setText(t, "value", fmt.Sprintf("555-%03d-%04d", d.between("phone", 0, 999), d.between("line", 0, 9999)))
	}
	return from, to
}

// mother is the extension with the mother's maiden name.
func (n *names) mother(root *fhir.Node, d draw) {
	for e := range items(root.Member("extension")) {
		if e.Member("url").Text() == "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName" {
			setText(e, "valueString", pick(n.given["female"], d, "mother")+" "+pick(n.family, d, "maiden"))
		}
	}
}

// renumber draws the numbers of an identifier; those that are uuids become new
// with all others.
func renumber(id *fhir.Node, d draw) {
	codings := id.Member("type").Member("coding")
	if codings == nil || codings.Kind() != fhir.Array || codings.Len() == 0 {
		return
	}
	switch codings.At(0).Member("code").Text() {
	case "SS":
		setText(id, "value", fmt.Sprintf("999-%02d-%04d", d.between("ss", 10, 99), d.between("ssn", 0, 9999)))
	case "DL":
		setText(id, "value", fmt.Sprintf("S999%07d", d.between("licence", 0, 9_999_999)))
	case "PPN":
		setText(id, "value", fmt.Sprintf("X%08dX", d.between("passport", 0, 99_999_999)))
	}
}

func setText(n *fhir.Node, member, text string) {
	if n.Member(member) != nil {
		n.Set(member, fhir.NewString(text))
	}
}

// items yields the items of an array; of anything else, none.
func items(n *fhir.Node) func(func(*fhir.Node) bool) {
	return func(yield func(*fhir.Node) bool) {
		if n == nil || n.Kind() != fhir.Array {
			return
		}
		for i := range n.Len() {
			if !yield(n.At(i)) {
				return
			}
		}
	}
}
