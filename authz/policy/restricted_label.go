package policy

import (
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
)

// A label without a system counts, since a forgotten system must not lift the
// protection.

var restrictedLabel = predicate{
	name:  "restricted_label",
	doc:   "meta.security carries confidentiality R (restricted) or V (very restricted)",
	holds: func(in input) bool { return labelledRestricted(in.facts) },
}

func labelledRestricted(f authz.Facts) bool {
	for i := range f.Security {
		l := &f.Security[i]
		if (l.Code == "R" || l.Code == "V") && (l.System == label.Confidentiality || l.System == "") {
			return true
		}
	}
	return false
}
