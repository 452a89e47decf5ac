package policy

import (
	"errors"
	"slices"
	"strings"
)

var client = predicate{
	name: "client",
	doc:  "the token was issued to one of the OAuth clients: client(ward-tablet+kiosk)",
	with: func(argument string) (func(input) bool, error) {
		ids := strings.Split(argument, "+")
		if slices.Contains(ids, "") {
			return nil, errors.New("a client id is empty")
		}
		return func(in input) bool { return slices.Contains(ids, in.client) }, nil
	},
}
