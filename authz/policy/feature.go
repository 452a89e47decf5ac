package policy

import (
	"github.com/fieldseal/fieldseal/authz"
)

// feature is what a compiled program depends on beside roles, scopes and
// purpose: which kind of account it is and what its context holds.
type feature uint8

const (
	isUser          = feature(authz.IsUser)
	isClient        = feature(authz.IsClient)
	hasPatient      = feature(authz.HasPatient)
	hasOrgs         = feature(authz.HasOrgs)
	hasWho          = feature(authz.HasWho)
	hasPractitioner = feature(authz.HasPractitioner)
	hasGlass        = feature(authz.HasGlass)
)

func (f feature) has(o feature) bool { return f&o == o }

// Prefixes keep accounts and roles apart: an account that is called like a
// role never becomes the role (trap 4 of access.md).
const (
	userPrefix   = "user:"
	clientPrefix = "client:"
	rolePrefix   = "role:"
)

func featuresOf(s *authz.Subject) feature { return feature(s.Kind()) }
