package policy

var notRestrictedLabel = predicate{
	name:    "not_restricted_label",
	doc:     "meta.security carries neither confidentiality R nor V",
	negates: restrictedLabel.name,
	holds:   func(in input) bool { return !labelledRestricted(in.facts) },
}
