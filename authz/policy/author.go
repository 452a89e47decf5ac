package policy

var author = predicate{
	name:  "author",
	doc:   "the resource names the subject as its author, recorder, performer or requester",
	needs: hasWho,
	ask:   func(in input) (bool, error) { return in.facts.More.Authored() },
}

// For denials: everybody is denied notes that are not their own.
var notAuthor = predicate{
	name:    "not_author",
	negates: author.name,
	doc:     "the resource does not name the subject as its author",
	ask: func(in input) (bool, error) {
		authored, err := in.facts.More.Authored()
		return !authored, err
	},
}
