package policy

import (
	"errors"
	"time"

	"github.com/fieldseal/fieldseal/authz"
)

// A token that does not say when its user authenticated is never fresh.
var mfa = predicate{
	name: "mfa",
	doc:  "the user authenticated with a second factor, and no longer ago than: mfa(15m)",
	with: func(argument string) (func(input) bool, error) {
		most, err := time.ParseDuration(argument)
		if err != nil || most <= 0 {
			return nil, errors.New("the age is a duration such as 15m")
		}
		return func(in input) bool { return authz.Strong(in.amr, in.authTime, in.now(), most) }, nil
	},
}
