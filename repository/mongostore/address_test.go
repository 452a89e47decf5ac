package mongostore_test

import (
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/repository/mongostore"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		uri                        string
		database                   string
		hosts                      int
		tls, credentials, loopback bool
	}{
		"bare":                {"mongodb://127.0.0.1", "", 1, false, false, true},
		"replica set":         {"mongodb://u:p@a:1,b:2,c:3/fs?replicaSet=rs0&tls=true", "fs", 3, true, true, false},
		"one host elsewhere":  {"mongodb://localhost:1,h:2/fs", "fs", 2, false, false, false},
		"IPv6":                {"mongodb://[::1]:27017/fs", "fs", 1, false, false, true},
		"a name that may go":  {"mongodb://localhost.example/fs", "fs", 1, false, false, false},
		"TLS of anyone":       {"mongodb://h/fs?tls=true&tlsInsecure=true", "fs", 1, false, false, false},
		"SRV":                 {"mongodb+srv://u:p@cluster.example/fs?srvMaxHosts=2&retryWrites=true", "fs", 1, true, true, false},
		"SRV on a loopback":   {"mongodb+srv://localhost/fs", "fs", 1, true, false, false},
		"SRV without TLS":     {"mongodb+srv://u:p@cluster.example/?tls=false", "", 1, false, true, false},
		"X.509 from a file":   {"mongodb://h/fs?tls=true&tlsCertificateKeyFile=/c.pem&authMechanism=MONGODB-X509&authSource=$external", "fs", 1, true, true, false},
		"a slash in password": {"mongodb://u:p%2Fq@h/fs", "fs", 1, false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := mongostore.ParseAddress(tt.uri)
			if err != nil {
				t.Fatal(err)
			}
			if a.Database != tt.database || len(a.Hosts) != tt.hosts || a.TLS != tt.tls || a.Credentials != tt.credentials || a.Loopback != tt.loopback {
				t.Errorf("got %+v", a)
			}
		})
	}
}

func TestParseAddressRefusesWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"", "mongodb://", "http://h", "mongodb://user:hunter2@", "mongodb://user:hunter2@h:x/fs",
		"mongodb://user:hunter2@h/fs?tls=perhaps", "mongodb://user:hun/ter2@h/fs"} {
		if _, err := mongostore.ParseAddress(uri); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d bytes: %v", len(uri), err)
		}
	}
}

func TestSameDatabase(t *testing.T) {
	t.Parallel()
	parse := func(uri string) mongostore.Address {
		a, err := mongostore.ParseAddress(uri)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := parse("mongodb://a:1,b:2,[::1]/fs")
	for uri, want := range map[string]bool{"mongodb://b:2/fs": true, "mongodb://b:2/keys": false, "mongodb://b:3/fs": false, "mongodb://[::1]:27017/fs": true} {
		if got := a.SameDatabase(parse(uri)); got != want {
			t.Errorf("%s: %t", uri, got)
		}
	}
}
