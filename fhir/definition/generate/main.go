// Command generate reads the official FHIR R4 4.0.1 definition bundles and
// writes the compact registry that package definition embeds.
//
// It is run by go:generate of package definition; the folder of the bundles
// (plain .json or .json.gz) is given with -src. The output depends on the input
// bytes only: no time, no map order, no environment. It stops on everything it
// does not understand, so a definition is never dropped silently.
//
// Start with main; structure.go, search.go, operation.go and terminology.go
// each turn one kind of definition into the model of model.go, and encode.go
// writes that model (docs/format/definitions.md).
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	src := flag.String("src", "", "folder with the R4 definition bundles")
	out := flag.String("out", "definitions.bin.zst", "file to write")
	flag.Parse()
	if err := run(*src, *out); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(src, out string) error {
	if src == "" {
		return fmt.Errorf("-src is required")
	}
	b, err := readBundles(src)
	if err != nil {
		return err
	}
	m := &model{}
	if m.types, err = buildTypes(b.structures); err != nil {
		return err
	}
	m.params = buildSearchParameters(b.parameters)
	m.compartments = buildCompartments(b.compartments)
	m.operations = buildOperations(b.operations)
	if m.valueSets, err = buildValueSets(m.types, b); err != nil {
		return err
	}
	blob, err := encode(m)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d types, %d search parameters, %d compartments, %d operations, %d value sets, %d bytes\n",
		len(m.types), len(m.params), len(m.compartments), len(m.operations), len(m.valueSets), len(blob))
	return os.WriteFile(out, blob, 0o644)
}
