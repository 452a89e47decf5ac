package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/internal/config"
	"github.com/fieldseal/fieldseal/internal/migrate"
	"github.com/fieldseal/fieldseal/internal/node"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// Place is where a deployment keeps its records and keys: a data folder or the
// URI of a database, and the keystore's, empty for the usual one beside it.
type Place struct{ Data, Keystore string }

// Migration says what is moved where.
type Migration struct {
	From, To   Place
	VerifyOnly bool // compare, change nothing
	Progress   migrate.Progress
}

// MigrationReport says what both sides hold.
type MigrationReport struct {
	Keystore migrate.Report `json:"keystore"`
	Data     migrate.Report `json:"data"`
	Trail    []trail.Report `json:"trail"` // one for each chain
	Seconds  float64        `json:"seconds"`
}

// source is a store that is read out.
type source interface {
	repository.Exporter
	Close() error
}

// Migrate moves keystore, trail and data, the keystore first, since keys without
// data are harmless, and the data last, since it is what a start needs. Neither side may be in use. It goes on where an earlier call
// was interrupted, and opens nothing: it has no key.
func Migrate(ctx context.Context, m Migration) (r MigrationReport, err error) {
	began := time.Now()
	from, err := m.From.options()
	if err != nil {
		return r, fmt.Errorf("source: %w", err)
	}
	to, err := m.To.options()
	if err != nil {
		return r, fmt.Errorf("target: %w", err)
	}
	if !m.VerifyOnly && from.OnMongoDB() == to.OnMongoDB() {
		return r, errors.New("source and target have the same engine: copy folders, or use MongoDB's own tools (docs/operations/backup.md)")
	}
	var parts []source
	defer func() {
		for _, s := range parts {
			err = errors.Join(err, s.Unfence(context.WithoutCancel(ctx)), s.Close())
		}
	}()
	for _, part := range []string{partData, partKeys} { // refuse both before the first is copied
		s, err := openSource(ctx, from, part)
		if err != nil {
			return r, fmt.Errorf("opening the source's %s: %w", part, err)
		}
		parts = append(parts, s)
		if err := s.Fence(ctx); err != nil {
			return r, fmt.Errorf("the source's %s: %w", part, err)
		}
	}
	if r.Keystore, err = m.part(ctx, parts[1], to, partKeys); err != nil {
		return r, err
	}
	m.Progress("trail: moving", 0, 0)
	if r.Trail, err = m.moveTrail(ctx, from, to); err != nil {
		return r, err
	}
	r.Data, err = m.part(ctx, parts[0], to, partData)
	r.Seconds = time.Since(began).Seconds()
	return r, err
}

// Unfence lets servers use a database again whose move was given up.
func Unfence(ctx context.Context, p Place) (err error) {
	o, err := p.options()
	if err != nil {
		return err
	}
	for _, part := range []string{partData, partKeys} {
		s, err := openSource(ctx, o, part)
		if err != nil {
			return fmt.Errorf("opening the %s: %w", part, err)
		}
		if err := errors.Join(s.Unfence(ctx), s.Close()); err != nil {
			return err
		}
	}
	return nil
}

// The two parts of a deployment that are engines.
const (
	partData = "data"
	partKeys = "keystore"
)

func (m *Migration) part(ctx context.Context, from source, to config.Options, part string) (migrate.Report, error) {
	p := func(step string, done, total uint64) { m.Progress(part+": "+step, done, total) }
	r, err := m.run(ctx, from, to, part, p)
	if err != nil {
		return r, fmt.Errorf("%s: %w", part, err)
	}
	return r, nil
}

func (m *Migration) run(ctx context.Context, from source, to config.Options, part string, p migrate.Progress) (r migrate.Report, err error) {
	if !m.VerifyOnly {
		return migrate.Run(ctx, from, func(ctx context.Context, source []byte) (migrate.Target, error) {
			return openTarget(ctx, to, part, source)
		}, p)
	}
	other, err := openSource(ctx, to, part)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, other.Close()) }()
	return migrate.Verify(ctx, from, other, p)
}

// options are the settings by which a server finds the place.
func (p Place) options() (config.Options, error) {
	o := config.Options{Profile: config.Development, Store: config.StoreEmbedded, Data: p.Data, Keystore: p.Keystore}
	if mongostore.IsAddress(p.Data) {
		o.Store = p.Data
	}
	switch {
	case p.Data == "":
		return o, errors.New("name a data folder or a mongodb:// URI")
	case p.Keystore != "" && o.OnMongoDB() != mongostore.IsAddress(p.Keystore):
		return o, errors.New("data and keystore are both folders, or both in MongoDB")
	}
	return o, o.ValidateDatabases()
}

func database(o config.Options, part string) mongostore.Options {
	d := o.StoreDatabase()
	if part == partKeys {
		d = o.KeystoreDatabase()
	}
	return mongostore.Options{URI: d.URI, Database: d.Name}
}

// folder is the database of a part of a data folder.
func folder(o config.Options, part string) localstore.Options {
	dir := filepath.Join(o.Data, "store")
	if part == partKeys {
		dir = o.KeystoreDir()
	}
	return localstore.Options{Dir: dir, MinFree: config.DefaultStoreMinFree}
}

func openSource(ctx context.Context, o config.Options, part string) (source, error) {
	if o.OnMongoDB() {
		s, err := mongostore.OpenSource(ctx, database(o, part))
		if err == nil && part == partData {
			err = alone(ctx, s)
		}
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	f := folder(o, part)
	if _, err := os.Stat(f.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no folder %s", f.Dir)
	}
	return localstore.Open(ctx, f)
}

// alone refuses a database on which nodes are at work, whoever's connections the
// server shows us. It closes the store on an error.
func alone(ctx context.Context, s *mongostore.Store) error {
	names, err := node.Beating(ctx, s.Table(nodesTable))
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("%w (node %s)", repository.ErrInUse, names[0])
	}
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

func openTarget(ctx context.Context, o config.Options, part string, source []byte) (migrate.Target, error) {
	if o.OnMongoDB() {
		return mongostore.OpenImport(ctx, database(o, part), source)
	}
	f := folder(o, part)
	if err := os.MkdirAll(filepath.Dir(f.Dir), 0o700); err != nil {
		return nil, err
	}
	return localstore.OpenImport(ctx, f, source)
}
