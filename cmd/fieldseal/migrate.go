package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/internal/app"
	"github.com/fieldseal/fieldseal/internal/config"
	"github.com/fieldseal/fieldseal/internal/migrate"
)

func newMigrate() *cobra.Command {
	var m app.Migration
	var unfence, asJSON bool
	c := &cobra.Command{Use: "migrate --from PLACE --to PLACE", Short: "Move records and keys between the embedded engine and MongoDB",
		Long: `Move all records with their versions, the tables beside them, the keystore and
the audit trail from a data folder to a database, named by its mongodb:// URI,
or back.
Write @FILE for a URI in a file of mode 0600; a command line is seen by every
user of the machine.

Nothing is opened and no key is needed; the root key (--kek-file or the vault)
stays where it is. Stop every server first: a move of a source in use is
refused, and a MongoDB source takes no commit until the move has ended. The
target must be empty. Killed, it goes on when the command is given again. At the
end both sides are read and compared by counts and one checksum, and only then
the target opens.`,
		Example: `  fieldseal migrate --from /var/lib/fieldseal --to @/etc/fieldseal/store-uri --keystore-to @/etc/fieldseal/keystore-uri
  fieldseal migrate --from mongodb://127.0.0.1/ward --to /srv/back
  fieldseal migrate --from /var/lib/fieldseal --to @/etc/fieldseal/store-uri --verify-only
  fieldseal migrate --from @/etc/fieldseal/store-uri --unfence`,
		Args: cobra.NoArgs}
	c.Flags().StringVar(&m.From.Data, "from", "", "where records are: a data `folder`, a mongodb:// URI or @FILE")
	c.Flags().StringVar(&m.To.Data, "to", "", "where they shall be: an empty or new `folder`, a mongodb:// URI or @FILE")
	c.Flags().StringVar(&m.From.Keystore, "keystore-from", "", "the source's keystore, if it is not `where` a server expects it by default")
	c.Flags().StringVar(&m.To.Keystore, "keystore-to", "", "the target's keystore, if it shall not be `where` a server expects it by default")
	c.Flags().BoolVar(&m.VerifyOnly, "verify-only", false, "compare both sides and change nothing; neither may be in use")
	c.Flags().BoolVar(&unfence, "unfence", false, "give up a move that was interrupted: let servers use the MongoDB source again")
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	c.RunE = func(c *cobra.Command, _ []string) error {
		for _, place := range []*string{&m.From.Data, &m.To.Data, &m.From.Keystore, &m.To.Keystore} {
			if err := fromFile(place); err != nil {
				return usage(c, err)
			}
		}
		if m.From.Data == "" || (m.To.Data == "") != unfence {
			return usage(c, errors.New("--from and --to are needed, or --from and --unfence"))
		}
		if unfence {
			return app.Unfence(c.Context(), m.From)
		}
		m.Progress = moveBar(os.Stderr)
		r, err := app.Migrate(c.Context(), m)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), r)
		}
		printMigration(c.OutOrStdout(), m, r)
		return nil
	}
	return c
}

// fromFile replaces @FILE by the URI in the file.
func fromFile(place *string) error {
	path, ok := strings.CutPrefix(*place, "@")
	if !ok {
		return nil
	}
	uri, err := config.ReadURI(path)
	if err != nil {
		return fmt.Errorf("%s: %w", *place, err)
	}
	*place = uri
	return nil
}

// moveBar shows what is done of the feed, and the rate.
func moveBar(f *os.File) migrate.Progress {
	w := terminal(f)
	var b *progressbar.ProgressBar
	var step string
	return func(name string, done, total uint64) {
		if b == nil || name != step {
			step = name
			b = progressbar.NewOptions64(int64(max(total, 1)), progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(step),
				progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("versions"), progressbar.OptionClearOnFinish())
		}
		_ = b.Set64(int64(done)) // a bar that cannot be drawn stops nothing
	}
}

func printMigration(w io.Writer, m app.Migration, r app.MigrationReport) {
	for _, part := range []struct {
		name string
		r    migrate.Report
	}{{"keystore", r.Keystore}, {"data", r.Data}} {
		rows := uint64(0)
		for _, n := range part.r.Rows {
			rows += n
		}
		fmt.Fprintf(w, "%s: %d versions (%d current, %d of them deleted; %d purged keys), %d tokens, %d rows, checksum %s on both sides\n",
			part.name, part.r.Versions, part.r.Current, part.r.Tombstones, part.r.Purged, part.r.Tokens, rows, part.r.Checksum)
	}
	for _, c := range r.Trail {
		fmt.Fprintf(w, "trail: chain %s, %d events, verified on both sides\n", c.Origin, c.Events)
	}
	done := "moved and compared"
	if m.VerifyOnly {
		done = "compared"
	}
	fmt.Fprintf(w, "%s in %.1f s (%.0f versions/s)\n", done, r.Seconds, float64(r.Data.Versions)/max(r.Seconds, 0.001))
}
