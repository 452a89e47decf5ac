package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/internal/config"
)

func onMongoDB(o *config.Options) {
	o.Store, o.KEKFile = "mongodb://u:hunter2@db1.example,db2.example/fs?replicaSet=rs0&tls=true", "/etc/fieldseal/kek"
}

func TestValidateDatabases(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*config.Options)
		want   string // "" when it is accepted
	}{
		"replica set":              {func(*config.Options) {}, ""},
		"production":               {func(o *config.Options) { *o = production(t); onMongoDB(o) }, ""},
		"keystore elsewhere":       {func(o *config.Options) { o.Keystore = "mongodb+srv://u:hunter2@keys.example" }, ""},
		"keystore beside":          {func(o *config.Options) { o.Keystore = "mongodb://u:hunter2@db1.example/keys?tls=true" }, ""},
		"loopback without TLS":     {func(o *config.Options) { o.Store = "mongodb://127.0.0.1:1,[::1]:2/fs" }, ""},
		"named node":               {func(o *config.Options) { o.Node = "eu1" }, ""},
		"vault":                    {onVault, ""},
		"no root key in common":    {func(o *config.Options) { o.KEKFile = "" }, "kek-file: every node on a database"},
		"keystore folder":          {func(o *config.Options) { o.Keystore = "/srv/keystore" }, "keystore: nodes share their keys"},
		"keystore without a store": {func(o *config.Options) { o.Keystore, o.Store = o.Store, config.StoreEmbedded }, "keystore: a database of keys needs"},
		"keys among the data":      {func(o *config.Options) { o.Keystore = "mongodb://u:hunter2@db2.example:27017/fs?tls=true" }, "keystore: it must be another database"},
		"no TLS":                   {func(o *config.Options) { o.Store = "mongodb://u:hunter2@db1.example/fs" }, "store: the connection needs TLS"},
		"TLS of anyone":            {func(o *config.Options) { o.Store += "&tlsInsecure=true" }, "store: the connection needs TLS"},
		"keys without TLS":         {func(o *config.Options) { o.Keystore = "mongodb://u:hunter2@k.example" }, "keystore: the connection needs TLS"},
		"production without TLS": {func(o *config.Options) {
			*o = production(t)
			onMongoDB(o)
			o.Store = "mongodb://u:hunter2@127.0.0.1/fs"
		}, "store: the connection needs TLS"},
		"production without a user": {func(o *config.Options) {
			*o = production(t)
			onMongoDB(o)
			o.Store = "mongodb://db1.example/fs?tls=true"
		}, "store: profile production wants credentials"},
		"malformed":    {func(o *config.Options) { o.Store = "mongodb://u:hunter2@h:port/fs" }, "store: not a valid mongodb://"},
		"node's name":  {func(o *config.Options) { o.Node = "EU-1" }, "node: want 1 to 32"},
		"long name":    {func(o *config.Options) { o.Node = strings.Repeat("a", 33) }, "node: want 1 to 32"},
		"keys of none": {func(o *config.Options) { o.Keystore = "mongodb://u:hunter2@h?tls=perhaps" }, "keystore: not a valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := valid(t)
			onMongoDB(&o)
			tt.change(&o)
			err := o.Validate()
			switch {
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Error("a problem repeats a password")
			case tt.want == "" && err != nil, tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestDatabaseNames(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ store, keystore, data, keys string }{
		"defaults":        {"mongodb://h", "", "fieldseal", "fieldseal_keystore"},
		"beside the data": {"mongodb://h/ward", "", "ward", "ward_keystore"},
		"keys elsewhere":  {"mongodb://h/ward", "mongodb://k", "ward", "fieldseal_keystore"},
		"both named":      {"mongodb://h/ward", "mongodb://k/keys", "ward", "keys"},
	} {
		o := config.Options{Store: tt.store, Keystore: tt.keystore}
		if o.StoreDatabase().Name != tt.data || o.KeystoreDatabase().Name != tt.keys {
			t.Errorf("%s: %q and %q", name, o.StoreDatabase().Name, o.KeystoreDatabase().Name)
		}
	}
}

func TestURIFromFile(t *testing.T) {
	t.Parallel()
	file := func(text string, mode os.FileMode) string {
		path := filepath.Join(t.TempDir(), "uri")
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const uri = "mongodb://u:hunter2@h/fs?tls=true"
	o, err := config.New().Load([]string{"FIELDSEAL_STORE_URI_FILE=" + file(uri+"\n", 0o600), "FIELDSEAL_KEYSTORE_URI_FILE=" + file(uri, 0o400)})
	if err != nil || o.Store != uri || o.Keystore != uri {
		t.Fatalf("%v; store read: %t, keystore read: %t", err, o.Store == uri, o.Keystore == uri)
	}
	for want, environ := range map[string][]string{
		"its mode must be 0600":             {"FIELDSEAL_STORE_URI_FILE=" + file(uri, 0o644)},
		"store-uri-file: the file cannot":   {"FIELDSEAL_STORE_URI_FILE=" + filepath.Join(t.TempDir(), "none")},
		"keystore-uri-file: the file holds": {"FIELDSEAL_KEYSTORE_URI_FILE=" + file("hunter2", 0o600)},
		"give one of them":                  {"FIELDSEAL_STORE_URI_FILE=" + file(uri, 0o600), "FIELDSEAL_STORE=" + uri},
		"too large":                         {"FIELDSEAL_STORE_URI_FILE=" + file(uri+strings.Repeat(" ", 1<<15), 0o600)},
	} {
		_, err := config.New().Load(environ)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestNodeName(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	if err != nil {
		t.Skip("this machine does not tell its name")
	}
	o := config.Options{Store: config.StoreEmbedded}
	if got := o.NodeName(); got != "n1" {
		t.Errorf("the embedded engine's node is %q: chains of earlier releases could not go on", got)
	}
	onMongoDB(&o)
	if got, again := o.NodeName(), o.NodeName(); got != again || len(got) > 32 || !strings.HasPrefix(strings.ToLower(host), got[:1]) && len(host) <= 32 {
		t.Errorf("%q of a host whose name has %d bytes", got, len(host))
	}
	o.Node = "eu1"
	if got := o.NodeName(); got != "eu1" {
		t.Error(got)
	}
}
