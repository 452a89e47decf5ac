package oauth

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/authz/keyset"
)

// internalDomains are names that no public one ends with (RFC 6761, RFC 6762,
// RFC 8375, and internal, which ICANN reserved).
var internalDomains = []string{"localhost", "local", "internal", "arpa"}

// CheckKeysURL refuses, at registration, a key set at a host that is visibly
// none of the Internet (abuse 40). What a name resolves to is checked whenever
// it is dialled.
func CheckKeysURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("the URL of the key set is not readable")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if a, err := netip.ParseAddr(host); err == nil {
		if !keyset.Public(a.Unmap()) {
			return errors.New("the key set lies at an address that is not public")
		}
		return nil
	}
	labels := strings.Split(host, ".")
	last := labels[len(labels)-1]
	// A last label that begins with a digit is a number: an address written in
	// another way (URL Standard, "ends in a number").
	if len(labels) < 2 || last == "" || last[0] >= '0' && last[0] <= '9' || slices.Contains(internalDomains, last) {
		return errors.New("the key set lies at a host that is not public")
	}
	return nil
}
