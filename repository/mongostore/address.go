package mongostore

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/connstring"
)

// Schemes of addresses.
const (
	scheme    = "mongodb://"
	schemeSRV = "mongodb+srv://"
)

// IsAddress reports whether a text claims to be an address of MongoDB.
func IsAddress(text string) bool {
	return strings.HasPrefix(text, scheme) || strings.HasPrefix(text, schemeSRV)
}

// Address is what a URI says about the server, without its secrets.
type Address struct {
	Hosts    []string // host:port, or the name that DNS resolves to them
	Database string   // "" when the URI names none
	// TLS: the connection is encrypted and the server's certificate verified.
	TLS bool
	// Credentials: the URI names a user or a certificate of the client.
	Credentials bool
	// Loopback: every host is an address of this machine.
	Loopback bool
}

// errAddress never repeats the URI, which may hold a password.
var errAddress = errors.New("mongostore: the address is no valid mongodb:// or mongodb+srv:// URI")

// ParseAddress reads a URI without asking the network, not even DNS.
func ParseAddress(uri string) (Address, error) {
	srv := strings.HasPrefix(uri, schemeSRV)
	if srv {
		uri = withoutSRV(uri)
	}
	cs, err := connstring.Parse(uri)
	if err != nil || cs.Validate() != nil || len(cs.Hosts) == 0 {
		return Address{}, errAddress
	}
	for i, h := range cs.Hosts {
		cs.Hosts[i] = withPort(h)
	}
	encrypted := cs.SSL || srv && !cs.SSLSet // SRV turns TLS on
	a := Address{Hosts: cs.Hosts, Database: cs.Database, TLS: encrypted && !cs.SSLInsecure,
		Credentials: cs.Username != "" || cs.AuthMechanism != ""}
	a.Loopback = !slices.ContainsFunc(cs.Hosts, func(h string) bool { return srv || !isLoopback(h) })
	return a, nil
}

// withoutSRV is the URI in the other scheme, without the options that only the
// look-up in DNS has.
func withoutSRV(uri string) string {
	before, query, found := strings.Cut(strings.TrimPrefix(uri, schemeSRV), "?")
	if !found {
		return scheme + before
	}
	kept := slices.DeleteFunc(strings.Split(query, "&"), func(option string) bool {
		return strings.HasPrefix(strings.ToLower(option), "srv")
	})
	return scheme + before + "?" + strings.Join(kept, "&")
}

// withPort adds the port that MongoDB has when none is named.
func withPort(host string) string {
	if (&url.URL{Host: host}).Port() != "" || strings.HasSuffix(host, ".sock") {
		return host
	}
	return host + ":27017"
}

// isLoopback is false for a name other than localhost, whose address may
// change, and true for a unix socket.
func isLoopback(host string) bool {
	if strings.HasSuffix(host, ".sock") {
		return true
	}
	name := (&url.URL{Host: host}).Hostname()
	ip, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// SameDatabase reports whether two addresses share a host and lead to the same
// database. Different names of one host are not noticed.
func (a Address) SameDatabase(b Address) bool {
	return a.Database == b.Database &&
		slices.ContainsFunc(a.Hosts, func(h string) bool { return slices.Contains(b.Hosts, h) })
}
