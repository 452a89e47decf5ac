package policy

var systemScope = predicate{
	name:  "system_scope",
	doc:   "the account is a client of its own, to which system scopes apply, and no person",
	holds: func(in input) bool { return in.system },
}
