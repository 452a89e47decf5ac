package policy

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/authz"
)

// The traits that a role line may name. They only take away, so that with
// several roles each trait of each role is in force.
const (
	concealChanges  = "conceal_changes"
	pseudonymousIDs = "pseudonymous_ids"
)

var traitNames = []string{concealChanges, pseudonymousIDs}

func (d *document) traits(roles []string) (t authz.Traits) {
	var projects []string
	for _, name := range roles {
		t.ConcealChanges = t.ConcealChanges || slices.Contains(d.marks[name], concealChanges)
		if slices.Contains(d.marks[name], pseudonymousIDs) {
			projects = append(projects, name)
		}
	}
	slices.Sort(projects)
	t.Project = strings.Join(slices.Compact(projects), "|")
	return t
}
