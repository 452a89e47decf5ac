package policy

var adult = predicate{
	name: "adult",
	doc:  "every patient whose compartment holds the resource is known to have completed the 18th year of life",
	ask:  func(in input) (bool, error) { return in.facts.More.Adult() },
}
