package policy

import "github.com/fieldseal/fieldseal/authz/label"

var clearance = predicate{
	name: "label",
	doc:  "the labels of the resource lie within the clearance: label(R+HIV+PSY) is confidentiality up to R and two sensitivity categories, label(V+*) everything",
	with: func(argument string) (func(input) bool, error) {
		c, err := label.ParseClearance(argument)
		return func(in input) bool { return c.Covers(in.facts.Security, in.unlabelled) }, err
	},
}
