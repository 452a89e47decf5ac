package app

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/internal/adminapi"
)

// copier is an engine that can copy itself while it is in use.
type copier interface {
	Backup(ctx context.Context, to string) error
}

// Backup implements adminapi.Backend. What left the server is recorded before
// the first byte is copied.
func (a *App) Backup(ctx context.Context, r adminapi.BackupRequest) error {
	data, ok := a.store.(copier)
	keys, both := a.keystore.(copier)
	if !ok || !both {
		return errors.New("the records lie in MongoDB, which has its own tools for backups: see docs/operations/backup.md")
	}
	for _, part := range []struct {
		of      copier
		to      string
		subtype string
	}{{data, r.Data, "backup-data"}, {keys, r.Keystore, "backup-keystore"}} {
		if part.to == "" {
			continue
		}
		if !filepath.IsAbs(part.to) {
			return errors.New("a backup goes into a folder with an absolute path")
		}
		if err := a.record(ctx, a.operatorEvent(audit.Security, part.subtype, audit.Execute)); err != nil {
			return err
		}
		if err := part.of.Backup(ctx, part.to); err != nil {
			return err
		}
	}
	return nil
}
