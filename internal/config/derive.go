package config

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// The methods below give the settings that follow from others when they are
// not set. They are meaningful for options that Validate accepts.

// Base is the FHIR base URL without a slash at the end. addr is the address
// that the listener really has, which differs from Listen for port 0.
func (o Options) Base(addr net.Addr) string {
	if o.BaseURL != "" {
		return o.BaseURL
	}
	hostport := o.Listen
	if host, port, err := net.SplitHostPort(o.Listen); err == nil && addr != nil && port == "0" {
		if _, bound, err := net.SplitHostPort(addr.String()); err == nil {
			hostport = net.JoinHostPort(host, bound)
		}
	}
	if o.TLSCert != "" {
		return "https://" + hostport + "/fhir"
	}
	return "http://" + hostport + "/fhir"
}

// KeystoreDir is the folder of the keystore.
func (o Options) KeystoreDir() string {
	if o.Keystore != "" {
		return o.Keystore
	}
	return filepath.Join(o.Data, "keystore")
}

// KEKPath is the file of the local key encryption key, and whether it may be
// created when it is missing: a development key is, a named key never.
func (o Options) KEKPath() (path string, create bool) {
	if o.KEKFile != "" {
		return o.KEKFile, false
	}
	return filepath.Join(o.Data, "kek"), o.Profile == Development && !o.OnMongoDB()
}

// soleNode is the only node of an embedded engine.
const soleNode = "n1"

// maxNode bounds a node's name, which names its chain of audit events.
const maxNode = 32

func validNode(s string) bool {
	return s != "" && len(s) <= maxNode && nodeName(s) == s
}

// NodeName is the name of this node, which must stay the same through its life:
// the one that is set, or what is left of the host's name. It is empty when
// that leaves nothing.
func (o Options) NodeName() string {
	switch {
	case o.Node != "":
		return o.Node
	case !o.OnMongoDB():
		return soleNode
	}
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	return nodeName(host)
}

// nodeName keeps the letters and digits of a host's name, of a long one the
// end, where orchestrators put what tells hosts apart.
func nodeName(host string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(host))
	return name[max(0, len(name)-maxNode):]
}

// ProxyPrefixes are the trusted proxies; a single address is a prefix of its
// full length.
func (o Options) ProxyPrefixes() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range o.TrustedProxies {
		if p, err := netip.ParsePrefix(text); err == nil {
			all = append(all, p.Masked())
		} else if a, err := netip.ParseAddr(text); err == nil {
			all = append(all, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return all
}
