// Command generate packs the bundles that internal/demo embeds. It takes the
// folder of unpacked Synthea bundles (see ../data/SOURCE.txt), drops
// insignificant whitespace, and writes data/bundles.tar.zst and data/index.txt.
// The same source gives the same bytes.
//
//	go run ./internal/demo/generate -source FOLDER -out internal/demo/data
package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxArchiveBytes keeps the binary and the repository small.
const maxArchiveBytes = 600_000

// chosen are small and middle-sized records that differ in age, sex, life
// status, name spelling and kinds of resources.
var chosen = []string{
	"Clemente_Kreiger_1484a42d-0eaf-4654-9cbf-6b050a5cd73b.json",
	"Liz_Conn_27c911c6-f045-4ffa-af5d-6eba57ac94b2.json",
	"Gustavo_Mejía_59a8543c-e24f-4a01-b28b-47ccde6bc11d.json",
	"Dannie_Schmitt_22d6efc6-2dc7-4f36-9d27-84fc6609c469.json",
	"Chet_Thompson_eda17701-070d-4fae-9f7d-c8cd6263b63a.json",
	"Shavonne_Schaefer_e37f11b3-2f8f-4cba-bda7-d93091348d14.json",
	"Louis_Erdman_55bbe118-e08d-4408-86e5-6084457500d4.json",
	"Marcos_Delagarza_4acb6705-25a7-430a-b799-a4ad8d7fbb38.json",
	"Rachael_McDermott_e9e965ba-8c43-4020-b728-f8e28d507661.json",
	"Rudolf_Weber_a4b93263-c55f-4d39-8c4e-31dfba932181.json",
	"Patria_Schimmel_d2f8f862-3856-490d-b56f-98e0ed984b1e.json",
	"Bethany_Hauck_36ab2c13-d59e-4f1f-913c-9260ef647da8.json",
	"Yi_Weissnat_0edbf0a2-10d4-4ccd-a522-6aaeb41f2b41.json",
	"María_Eugenia_Medina_54ed4123-8908-4d62-aef5-0ef79230ec73.json",
	"José_María_Casares_35f4e907-09d2-4a9d-8888-b9f8d860ce05.json",
}

func main() {
	source := flag.String("source", "", "folder of unpacked Synthea bundles")
	out := flag.String("out", "data", "folder to write to")
	flag.Parse()
	if *source == "" || flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*source, *out); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(source, out string) error {
	var packed bytes.Buffer
	z, err := zstd.NewWriter(&packed, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
		zstd.WithWindowSize(8<<20), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	for _, name := range chosen {
		if err := add(w, filepath.Join(source, name), name); err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return err
	}
	if packed.Len() > maxArchiveBytes {
		return fmt.Errorf("the archive has %d bytes, more than %d", packed.Len(), maxArchiveBytes)
	}
	index := strings.Join(chosen, "\n") + "\n"
	return errors.Join(
		os.WriteFile(filepath.Join(out, "bundles.tar.zst"), packed.Bytes(), 0o600),
		os.WriteFile(filepath.Join(out, "index.txt"), []byte(index), 0o600))
}

func add(w *tar.Writer, path, name string) error {
	raw, err := os.ReadFile(path) // #nosec G304 -- the folder is the developer's own argument
	if err != nil {
		return err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: 0o644, Size: int64(compact.Len()), Format: tar.FormatPAX}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = w.Write(compact.Bytes())
	return err
}
