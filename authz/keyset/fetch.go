package keyset

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Limits of what is fetched.
const (
	maxBytes = 64 << 10
	timeout  = 5 * time.Second
	// Life is how long a document is kept without Cache-Control, and at most.
	Life = 5 * time.Minute
)

// ErrFetch means that a document cannot be fetched. What is said besides is of a
// class: it names neither the URL nor what was answered.
var ErrFetch = errors.New("the document cannot be fetched")

var errAddress = fmt.Errorf("%w: its address is none that may be called", ErrFetch)

// reason classifies the failure of a call.
func reason(err error) error {
	var untrusted *tls.CertificateVerificationError
	var slow net.Error
	switch {
	case errors.Is(err, errAddress):
		return errAddress
	case errors.As(err, &untrusted):
		return fmt.Errorf("%w: its certificate is not trusted", ErrFetch)
	case errors.As(err, &slow) && slow.Timeout():
		return fmt.Errorf("%w: there is no answer in time", ErrFetch)
	}
	return fmt.Errorf("%w: there is no connection", ErrFetch)
}

// Fetcher fetches small documents over https. It is safe for concurrent use.
type Fetcher struct{ http *http.Client }

// NewFetcher returns a Fetcher that reaches the addresses that the function
// allows, Public ones when it is nil. The transport brings its TLS settings;
// nil means the system's roots.
func NewFetcher(reachable func(netip.Addr) bool, transport *http.Transport) *Fetcher {
	if reachable == nil {
		reachable = Public
	}
	t := &http.Transport{}
	if transport != nil {
		t = transport.Clone()
	}
	// The check is made on the address that is dialled, after the name was
	// resolved: a name that resolves to something else later gets no further.
	dialer := &net.Dialer{Timeout: timeout, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil || !reachable(a.Addr().Unmap()) {
			return errAddress
		}
		return nil
	}}
	t.DialContext, t.Proxy, t.DisableKeepAlives = dialer.DialContext, nil, true
	t.MaxResponseHeaderBytes = 16 << 10
	return &Fetcher{&http.Client{Transport: t, Timeout: timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Client is for other calls under the same rules. Its user bounds what it reads
// and asks https URLs only.
func (f *Fetcher) Client() *http.Client { return f.http }

// Document fetches a document and says how long it may be kept.
func (f *Fetcher) Document(ctx context.Context, url string) (body []byte, life time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil || req.URL.Scheme != "https" {
		return nil, 0, fmt.Errorf("%w: its URL is not https", ErrFetch)
	}
	req.Header.Set("Accept", "application/json")
	resp, err := f.http.Do(req)
	if err != nil {
		return nil, 0, reason(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxBytes+1))
	switch {
	case err != nil:
		return nil, 0, reason(err)
	case resp.StatusCode != http.StatusOK:
		return nil, 0, fmt.Errorf("%w: the status is %d", ErrFetch, resp.StatusCode)
	case len(body) > maxBytes:
		return nil, 0, fmt.Errorf("%w: it is larger than %d bytes", ErrFetch, maxBytes)
	}
	return body, cacheLife(resp.Header.Get("Cache-Control")), nil
}

// Keys fetches a key set and says how long it may be kept.
func (f *Fetcher) Keys(ctx context.Context, url string) (set jose.JSONWebKeySet, life time.Duration, err error) {
	body, life, err := f.Document(ctx, url)
	if err != nil {
		return set, 0, err
	}
	if set, err = Parse(body); err != nil {
		return set, 0, fmt.Errorf("%w: %w", ErrFetch, err)
	}
	return set, life, nil
}

// Public reports whether an address is one of the Internet (RFC 6890): no
// loopback, private, link-local or multicast one, and none of the ranges that
// lead there.
func Public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !special(a)
}

var specialRanges = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

func special(a netip.Addr) bool {
	for _, p := range specialRanges {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// cacheLife reads Cache-Control (RFC 9111 §5.2): what must not be kept lives
// for the one request.
func cacheLife(header string) time.Duration {
	for directive := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			seconds, err := strconv.Atoi(strings.Trim(value, `"`))
			if err != nil || seconds < 0 {
				return 0
			}
			return min(time.Duration(min(seconds, 3600))*time.Second, Life)
		}
	}
	return Life
}
