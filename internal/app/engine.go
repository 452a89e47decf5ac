package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/fieldseal/fieldseal/internal/config"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// engine is what holds the data. Abilities that an engine may lack are asked
// for where they are used.
type engine interface {
	repository.Store
	repository.Feeder
	repository.Purger
	repository.Census
	repository.Counter
	repository.Indexer
	keystore
}

// keystore is what holds the keys, and the tables of an engine.
type keystore interface {
	Table(name string) repository.Table
	Close() error
}

// Sizes of the keystore's engine: it is small and read through caches.
const (
	keystoreCache    = 8 << 20
	keystoreMemTable = 4 << 20
)

// fresh reports whether there is no data yet, so that keys may be made, and
// whether there is no keystore either, so that a KEK may be. On MongoDB it
// opens the store to find out; the KEK of several nodes is never made here.
func (a *App) fresh(ctx context.Context) (noData, virgin bool, err error) {
	if a.cfg.OnMongoDB() {
		if err := a.openStoreEngine(ctx); err != nil {
			return false, false, err
		}
		_, err := a.store.Table("meta").Get(ctx, tenantRow)
		if err != nil && !errors.Is(err, repository.ErrNotFound) {
			return false, false, err
		}
		return err != nil, false, nil
	}
	_, dataErr := os.Stat(a.path("store"))
	_, keysErr := os.Stat(a.cfg.KeystoreDir())
	for _, err := range []error{dataErr, keysErr} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, false, err
		}
	}
	if dataErr == nil && keysErr != nil {
		return false, false, errors.New("the keystore folder is missing beside existing data: restore it from its backup; nothing was changed")
	}
	return dataErr != nil, dataErr != nil && keysErr != nil, nil
}

func (a *App) openKeystoreEngine(ctx context.Context) error {
	if a.cfg.OnMongoDB() {
		s, err := a.openDatabase(ctx, a.cfg.KeystoreDatabase(), "keystore")
		if err == nil {
			a.keystore = s
			s.OnReach(nudge(a.node)) // it reads the keys anew before it serves
		}
		return err
	}
	s, err := localstore.Open(ctx, localstore.Options{Dir: a.cfg.KeystoreDir(), MinFree: uint64(a.cfg.StoreMinFree),
		BlockCache: keystoreCache, MemTable: keystoreMemTable, OnFatal: a.fail("keystore"), OnError: a.trouble("keystore")})
	if err != nil {
		return err
	}
	a.onClose(s.Close)
	a.keystore = s
	return nil
}

// openStoreEngine opens the store unless fresh did.
func (a *App) openStoreEngine(ctx context.Context) error {
	if a.store != nil {
		return nil
	}
	if a.cfg.OnMongoDB() {
		s, err := a.openDatabase(ctx, a.cfg.StoreDatabase(), "store")
		if err != nil {
			return err
		}
		if err := a.join(ctx, s); err != nil {
			return err
		}
		a.database, a.store = s, fenced{s, s, a.node.Valid}
		return nil
	}
	s, err := localstore.Open(ctx, localstore.Options{Dir: a.path("store"), MinFree: uint64(a.cfg.StoreMinFree),
		OnFatal: a.fail("store"), OnError: a.trouble("store")})
	if err != nil {
		return err
	}
	a.onClose(s.Close)
	a.store = s
	return nil
}

// roleRow says whether a database holds data or keys.
var roleRow = []byte("role")

// openDatabase opens a database of MongoDB and refuses one that serves the
// other purpose: two names may lead to one host, and keys must not lie in the
// backups of data.
func (a *App) openDatabase(ctx context.Context, d config.Database, role string) (*mongostore.Store, error) {
	s, err := mongostore.Open(ctx, mongostore.Options{URI: d.URI, Database: d.Name,
		Progress: func(what string) { a.log.Info(what, "component", role) },
		Advise:   func(advice string) { a.log.Warn(advice, "component", role) }})
	if err != nil {
		return nil, err
	}
	a.onClose(s.Close)
	if err := a.watch(s, role); err != nil {
		return nil, err
	}
	found, err := claim(ctx, s.Table("meta"), roleRow, []byte(role))
	if err != nil {
		return nil, err
	}
	if string(found) != role {
		return nil, fmt.Errorf("the database of the %s is in use as the %s: name another one; nothing was changed", role, found)
	}
	return s, nil
}

// claim writes a row that only the first writes, and returns what it says.
func claim(ctx context.Context, t repository.Table, key, value []byte) ([]byte, error) {
	for {
		row, err := t.Get(ctx, key)
		if !errors.Is(err, repository.ErrNotFound) {
			return row.Value, err
		}
		_, err = t.PutIf(ctx, key, value, 0)
		if err == nil {
			return value, nil
		}
		if !errors.Is(err, repository.ErrConflict) {
			return nil, err
		}
	}
}

// scrub makes bytes that were overwritten leave the keystore's files. MongoDB
// has no such call: its log keeps them until it is overwritten.
func (a *App) scrub(ctx context.Context) error {
	if s, ok := a.keystore.(interface{ Scrub(context.Context) error }); ok {
		return s.Scrub(ctx)
	}
	return nil
}

// sizes are what an engine takes.
func sizes(ctx context.Context, of keystore) (any, error) {
	if f, ok := of.(fenced); ok {
		of = f.engine
	}
	switch s := of.(type) {
	case *localstore.Store:
		return s.Stats(ctx)
	case *mongostore.Store:
		return s.Stats(ctx)
	}
	return nil, errors.New("the engine does not tell its size")
}
