package keyset

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestOnlyPublicAddressesAreReachable(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{"8.8.8.8": true, "2606:4700::1111": true, "127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false,
		"192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false,
		"198.18.0.1": false, "::1": false, "::": false, "fe80::1": false, "fd00::1": false, "ff02::1": false, "64:ff9b::7f00:1": false,
		"2002:7f00:1::": false, "::7f00:1": false, "192.88.99.1": false, "2001:db8::1": false, "::ffff:10.0.0.1": false} {
		if got := Public(netip.MustParseAddr(address).Unmap()); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

// TestWhyNothingIsFetched: an operator learns the class of a failure, and a log
// learns no URL.
func TestWhyNothingIsFetched(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gone":
			w.WriteHeader(http.StatusNotFound)
		case "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case "/hang-up":
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(make([]byte, maxBytes+1))
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	trusted := s.Client().Transport.(*http.Transport)
	anywhere := func(netip.Addr) bool { return true }
	for _, c := range []struct {
		want    string
		fetcher *Fetcher
		url     string
	}{
		{"may be called", NewFetcher(nil, trusted), s.URL},
		{"not trusted", NewFetcher(anywhere, nil), s.URL},
		{"no connection", NewFetcher(anywhere, trusted), s.URL + "/hang-up"},
		{"not https", NewFetcher(anywhere, trusted), strings.Replace(s.URL, "https", "http", 1)},
		{"status is 404", NewFetcher(anywhere, trusted), s.URL + "/gone"},
		{"status is 302", NewFetcher(anywhere, trusted), s.URL + "/moved"},
		{"larger than", NewFetcher(anywhere, trusted), s.URL},
	} {
		_, _, err := c.fetcher.Document(t.Context(), c.url)
		if !errors.Is(err, ErrFetch) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: %v", c.want, err)
		}
	}
}
