package config

import (
	"net"
	"net/netip"
	"path/filepath"
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
	return filepath.Join(o.Data, "kek"), o.Profile == Development
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
