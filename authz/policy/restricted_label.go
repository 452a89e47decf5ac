package policy

import (
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
)

// A label without a system counts, since a forgotten system must not lift the
// protection; nor must a confidentiality that is not known, which counts as V.
var restrictedLabel = predicate{
	name:  "restricted_label",
	doc:   "meta.security carries confidentiality R (restricted), V (very restricted) or one that is not known",
	holds: func(in input) bool { return labelledRestricted(in.facts) },
}

func labelledRestricted(f authz.Facts) bool {
	return label.Of(f.Security, label.Normal) > label.Normal
}
