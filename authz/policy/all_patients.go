package policy

var allPatients = predicate{
	name:  "all_patients",
	doc:   "always holds: the rule covers every resource of its types",
	holds: func(input) bool { return true },
}
