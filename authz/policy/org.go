package policy

import "slices"

var org = predicate{
	name:  "org",
	doc:   "the subject acts for one of the organizations the resource belongs to",
	needs: hasOrgs,
	holds: func(in input) bool {
		for _, o := range in.facts.Orgs {
			if slices.Contains(in.orgs, o) {
				return true
			}
		}
		return false
	},
}
