package main

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/fieldseal/fieldseal/fhir"
)

// readExpansions returns the official expansions by the URL of the value set.
func readExpansions(src string) (map[string]*fhir.Node, error) {
	list, err := readBundle(filepath.Join(src, "expansions.json"))
	if err != nil {
		return nil, err
	}
	out := map[string]*fhir.Node{}
	for _, r := range list {
		if wanted(r) {
			out[r.Member("url").Text()] = r.Member("expansion")
		}
	}
	return out, nil
}

// writeExpansions digests the official expansions for the tests: one line per
// value set with its URL, the number of codes and the hash of the sorted
// "system|code" lines. Expansions that the publisher cut off are left out.
func writeExpansions(official map[string]*fhir.Node, out string) error {
	var lines []string
	for url, expansion := range official {
		if limited(expansion) {
			continue
		}
		codes := map[string]bool{}
		collect(expansion.Member("contains"), codes)
		sorted := slices.Sorted(maps.Keys(codes))
		sum := sha256.Sum256([]byte(strings.Join(sorted, "\n")))
		lines = append(lines, fmt.Sprintf("%s\t%d\t%x\n", url, len(codes), sum[:6]))
	}
	slices.Sort(lines)
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return err
	}
	defer z.Close()
	return os.WriteFile(out, z.EncodeAll([]byte(strings.Join(lines, "")), nil), 0o644)
}

func collect(list *fhir.Node, into map[string]bool) {
	if list == nil {
		return
	}
	for i := range list.Len() {
		n := list.At(i)
		if code := n.Member("code").Text(); code != "" {
			into[n.Member("system").Text()+"|"+code] = true
		}
		collect(n.Member("contains"), into)
	}
}

// limited expansions were cut off by the publisher or can never be whole.
func limited(expansion *fhir.Node) bool {
	list := expansion.Member("extension")
	if list == nil {
		return false
	}
	for i := range list.Len() {
		url := list.At(i).Member("url").Text()
		if strings.HasSuffix(url, "valueset-toocostly") || strings.HasSuffix(url, "valueset-unclosed") {
			return true
		}
	}
	return false
}

// expand replaces the definition of a value set that includes nothing but whole
// foreign code systems, whose content the release does not have, by its
// official expansion: currencies, IHE format codes, vaccine codes. SNOMED CT,
// LOINC, UCUM and media types are too large for theirs to be whole.
func expand(r *fhir.Node, official map[string]*fhir.Node, systems map[string]bool) {
	expansion := official[r.Member("url").Text()]
	compose := r.Member("compose")
	if expansion == nil || limited(expansion) || compose == nil || compose.Len() != 1 {
		return
	}
	list := compose.Member("include")
	for i := range list.Len() {
		n := list.At(i)
		system := n.Member("system").Text()
		if n.Len() != 1 || system == "" || systems[system] || large[system] {
			return
		}
	}
	r.Remove("compose")
	r.Set("expansion", *expansion)
}

var large = map[string]bool{"http://snomed.info/sct": true, "http://loinc.org": true, "http://unitsofmeasure.org": true, "urn:ietf:bcp:13": true}
