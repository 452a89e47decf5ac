package config

import (
	"errors"
	"os"
	"strings"

	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// keystoreSuffix follows the store's database in the name of the keystore's,
// when no keystore is named.
const keystoreSuffix = "_keystore"

// DefaultKeystoreDatabase is used when the keystore's URI names no database.
const DefaultKeystoreDatabase = mongostore.DefaultDatabase + keystoreSuffix

// Database is where a database is. The URI may hold a password: it is for the
// driver alone.
type Database struct{ URI, Name string }

// OnMongoDB reports whether the data lies in MongoDB, where other nodes may
// work on it too.
func (o Options) OnMongoDB() bool { return mongostore.IsAddress(o.Store) }

// StoreDatabase is the database of the data.
func (o Options) StoreDatabase() Database { return databaseOf(o.Store, mongostore.DefaultDatabase) }

// KeystoreDatabase is the database of the keystore: one beside the store's
// unless another is named.
func (o Options) KeystoreDatabase() Database {
	if o.Keystore == "" {
		d := o.StoreDatabase()
		return Database{d.URI, d.Name + keystoreSuffix}
	}
	return databaseOf(o.Keystore, DefaultKeystoreDatabase)
}

func databaseOf(uri, otherwise string) Database {
	a, err := mongostore.ParseAddress(uri)
	if err == nil && a.Database != "" {
		otherwise = a.Database
	}
	return Database{uri, otherwise}
}

// maxURIFile bounds a file that holds one URI.
const maxURIFile = 16 << 10

// readURIs takes the URIs from their files.
func (o *Options) readURIs() (problems Problems) {
	for _, f := range []struct {
		name, path string
		into       *string
		given      bool
	}{
		{"store", o.StoreURIFile, &o.Store, o.Store != StoreEmbedded},
		{"keystore", o.KeystoreURIFile, &o.Keystore, o.Keystore != ""},
	} {
		switch {
		case f.path == "":
		case f.given:
			problems = append(problems, f.name+", "+f.name+"-uri-file: give one of them")
		default:
			uri, problem := readURI(f.path)
			if problem != "" {
				problems = append(problems, f.name+"-uri-file: "+problem)
				continue
			}
			*f.into = uri
		}
	}
	return problems
}

// ValidateDatabases reports what is wrong with the URIs of store and keystore,
// for commands that need nothing else of a server's settings.
func (o Options) ValidateDatabases() error {
	c := &check{}
	if o.OnMongoDB() {
		o.checkDatabases(c)
	}
	return c.problems.orNil()
}

// ReadURI reads a file that holds the URI of a database and nothing else.
func ReadURI(path string) (string, error) {
	uri, problem := readURI(path)
	if problem != "" {
		return "", errors.New(problem)
	}
	return uri, nil
}

func readURI(path string) (uri, problem string) {
	info, err := os.Stat(path)
	switch {
	case err != nil || !info.Mode().IsRegular():
		return "", "the file cannot be read"
	case info.Mode().Perm()&0o077 != 0:
		return "", "the file may be read by others; its mode must be 0600"
	case info.Size() > maxURIFile:
		return "", "the file is too large for one URI"
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", "the file cannot be read"
	}
	if uri = strings.TrimSpace(string(b)); !mongostore.IsAddress(uri) {
		return "", "the file holds no mongodb:// URI"
	}
	return uri, ""
}

// checkStorage refuses what would leave keys beside data, passwords in clear on
// the network, or nodes without a common key. No problem repeats a URI.
func (o Options) checkStorage(c *check) {
	c.that(o.NodeName() != "", "node: needed, as the host's name has no letter or digit")
	c.that(o.Node == "" || validNode(o.Node), "node: want 1 to %d of a-z and 0-9", maxNode)
	if !o.OnMongoDB() {
		c.that(o.Store == StoreEmbedded, "store: want %s or a mongodb:// URI", StoreEmbedded)
		c.that(!mongostore.IsAddress(o.Keystore), "keystore: a database of keys needs a store in MongoDB too; the embedded engine has a folder")
		return
	}
	c.that(o.Keystore == "" || mongostore.IsAddress(o.Keystore), "keystore: nodes share their keys in a database: want a mongodb:// URI, or leave it away")
	c.that(o.KMS != KMSFile || o.KEKFile != "", "kek-file: every node on a database needs the same root key: make one with `fieldseal keys create FILE` and name it, or use a vault")
	o.checkDatabases(c)
}

// checkDatabases looks at where the two databases are and how they are reached.
func (o Options) checkDatabases(c *check) {
	data, ok := o.checkDatabase(c, "store", o.StoreDatabase())
	if !ok || o.Keystore == "" { // then the keystore is reached in the same way
		return
	}
	keys, ok := o.checkDatabase(c, "keystore", o.KeystoreDatabase())
	c.that(!ok || !keys.SameDatabase(data), "keystore: it must be another database than the store's, or a backup of the data carries its keys")
}

func (o Options) checkDatabase(c *check, name string, d Database) (a mongostore.Address, ok bool) {
	a, err := mongostore.ParseAddress(d.URI)
	if err != nil {
		c.that(false, "%s: not a valid mongodb:// or mongodb+srv:// URI", name)
		return a, false
	}
	c.that(a.TLS || a.Loopback && o.Profile == Development, "%s: the connection needs TLS that verifies the server (tls=true); without it only to loopback in profile development", name)
	c.that(a.Credentials || o.Profile != Production, "%s: profile production wants credentials in the URI (a user with SCRAM, or an X.509 certificate)", name)
	a.Database = d.Name
	return a, true
}
