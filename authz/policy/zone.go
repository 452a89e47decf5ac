package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// The address is the peer's, or what a trusted proxy says it is; one that is no
// IP address lies in no zone.
var zone = predicate{
	name: "zone",
	doc:  "the request comes from one of the networks: zone(10.20.0.0/16+2001:db8::/32)",
	with: func(argument string) (func(input) bool, error) {
		var networks []netip.Prefix
		for text := range strings.SplitSeq(argument, "+") {
			n, err := netip.ParsePrefix(text)
			if err != nil || n != n.Masked() {
				return nil, fmt.Errorf("%q is no network such as 10.20.0.0/16", text)
			}
			networks = append(networks, n)
		}
		return func(in input) bool {
			a, err := netip.ParseAddr(in.address)
			return err == nil && slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a.Unmap()) })
		}, nil
	},
}
