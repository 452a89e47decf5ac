package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/internal/adminapi"
)

func newBackup() *cobra.Command {
	var r adminapi.BackupRequest
	c := &cobra.Command{Use: "backup --data DIR --to NEW", Short: "Copy the records, and the keystore apart, while the server runs",
		Long: `Copy the records of the embedded engine into a new folder, as they are at one
moment, while the server reads and writes; --keystore-to copies the keystore
after them into another one. Keep the two apart: copies of both in one place
bring erased patients back. A copy is whole when its folder has its name. The
trail is append-only and copied by rsync; MongoDB has tools of its own
(docs/operations/backup.md).`,
		Example: `  fieldseal backup --data /var/lib/fieldseal --to /backup/data/2026-11-25
  fieldseal backup --data /var/lib/fieldseal --to /backup/data/2026-11-25 --keystore-to /vault/keystore/2026-11-25`, Args: cobra.NoArgs}
	off := newOffline(c)
	c.Flags().StringVar(&r.Data, "to", "", "new `folder` for the records")
	c.Flags().StringVar(&r.Keystore, "keystore-to", "", "new `folder` for the keystore, not beside the records")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := apart(&r); err != nil {
			return usage(c, err)
		}
		err := off.backend(c.Context(), func(b adminapi.Backend) error { return b.Backup(c.Context(), r) })
		if err != nil {
			return err
		}
		for _, to := range []string{r.Data, r.Keystore} {
			if to != "" {
				fmt.Fprintln(c.OutOrStdout(), "copied to", to)
			}
		}
		return nil
	}
	return c
}

// apart makes the folders absolute, since the server has another working
// folder, and refuses keys beside the records.
func apart(r *adminapi.BackupRequest) error {
	if r.Data == "" && r.Keystore == "" {
		return errors.New("name a new folder: --to, --keystore-to or both")
	}
	for _, to := range []*string{&r.Data, &r.Keystore} {
		if *to == "" {
			continue
		}
		abs, err := filepath.Abs(*to)
		if err != nil {
			return err
		}
		*to = abs
	}
	if r.Data == "" || r.Keystore == "" {
		return nil
	}
	inside := func(a, b string) bool {
		rel, err := filepath.Rel(a, b)
		return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
	}
	if inside(filepath.Dir(r.Data), r.Keystore) || inside(filepath.Dir(r.Keystore), r.Data) {
		return errors.New("the keystore's copy must not lie beside the records': a backup of both brings erased patients back")
	}
	return nil
}
