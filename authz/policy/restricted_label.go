package policy

import "github.com/fieldseal/fieldseal/authz"

// Confidentiality codes of HL7 v3; a label without a system counts, since a
// forgotten system must not lift the protection.
const confidentialitySystem = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"

var restrictedLabel = predicate{
	name:  "restricted_label",
	doc:   "meta.security carries confidentiality R (restricted) or V (very restricted)",
	holds: func(in input) bool { return labelledRestricted(in.facts) },
}

func labelledRestricted(f authz.Facts) bool {
	for i := range f.Security {
		l := &f.Security[i]
		if (l.Code == "R" || l.Code == "V") && (l.System == confidentialitySystem || l.System == "") {
			return true
		}
	}
	return false
}
