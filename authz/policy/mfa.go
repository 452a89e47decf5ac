package policy

import (
	"errors"
	"slices"
	"time"
)

// strongMethods are the amr values (RFC 8176 §2) that say of a second factor.
var strongMethods = []string{"mfa", "otp", "hwk", "sc"}

// A token that does not say when its user authenticated is never fresh. A time
// that lies more than a minute ahead is no time.
var mfa = predicate{
	name: "mfa",
	doc:  "the user authenticated with a second factor, and no longer ago than: mfa(15m)",
	with: func(argument string) (func(input) bool, error) {
		most, err := time.ParseDuration(argument)
		if err != nil || most <= 0 {
			return nil, errors.New("the age is a duration such as 15m")
		}
		return func(in input) bool {
			strong := slices.ContainsFunc(in.amr, func(m string) bool { return slices.Contains(strongMethods, m) })
			age := in.now().Sub(in.authTime)
			return strong && !in.authTime.IsZero() && age <= most && age >= -time.Minute
		}, nil
	},
}
