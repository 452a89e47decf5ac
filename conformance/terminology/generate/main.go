// Command generate writes the code systems and value sets that package
// terminology embeds, from the official FHIR R4 4.0.1 definition bundles.
//
// It is run by go:generate of package terminology; the folder of the bundles
// valuesets, v2-tables, v3-codesystems, expansions (.json or .json.gz) is given
// with -src.
// The output depends on the input bytes only. strip.go says what is kept of a
// resource, blob.go how it is written (docs/format/terminology.md).
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/fieldseal/fieldseal/fhir"
)

var bundles = []string{"valuesets", "v2-tables", "v3-codesystems"}

func main() {
	src := flag.String("src", "", "folder with the R4 definition bundles")
	out := flag.String("out", "embedded.bin", "file to write")
	expansions := flag.String("expansions", "", "also write the digest of the official expansions to this file")
	flag.Parse()
	if err := run(*src, *out, *expansions); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(src, out, expansions string) error {
	if src == "" {
		return fmt.Errorf("-src is required")
	}
	official, err := readExpansions(src)
	if err != nil {
		return err
	}
	all, err := readAll(src, official)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b resource) int {
		return strings.Compare(a.kind+a.url, b.kind+b.url)
	})
	for i := range all[1:] {
		if all[i].kind == all[i+1].kind && all[i].url == all[i+1].url {
			return fmt.Errorf("%s is defined twice", all[i].url)
		}
	}
	blob, err := encode(all)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d resources, %d bytes\n", len(all), len(blob))
	if err := os.WriteFile(out, blob, 0o644); err != nil || expansions == "" {
		return err
	}
	return writeExpansions(official, expansions)
}

// readAll returns the stripped code systems and value sets of the bundles.
func readAll(src string, official map[string]*fhir.Node) ([]resource, error) {
	var list []*fhir.Node
	systems := map[string]bool{}
	for _, name := range bundles {
		part, err := readBundle(filepath.Join(src, name+".json"))
		if err != nil {
			return nil, err
		}
		for _, r := range part {
			if wanted(r) {
				list = append(list, r)
				if r.Member("resourceType").Text() == "CodeSystem" {
					systems[r.Member("url").Text()] = true
				}
			}
		}
	}
	var out []resource
	for _, r := range list {
		expand(r, official, systems)
		out = append(out, strip(r))
	}
	return out, nil
}

// readBundle returns the resources of a bundle.
func readBundle(name string) ([]*fhir.Node, error) {
	b, err := readFile(name)
	if err != nil {
		return nil, err
	}
	bundle, err := fhir.Parse(b, fhir.Limits{MaxBytes: 1 << 30})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var out []*fhir.Node
	entries := bundle.Root().Member("entry")
	for i := range entries.Len() {
		out = append(out, entries.At(i).Member("resource"))
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s is empty", name)
	}
	return out, nil
}

// readFile reads a file, or its .gz.
func readFile(name string) ([]byte, error) {
	if b, err := os.ReadFile(name); err == nil {
		return b, nil
	}
	f, err := os.Open(name + ".gz")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
