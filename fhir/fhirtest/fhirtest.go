// Package fhirtest holds resources that tests of every room use: the official
// R4 examples and a few Synthea bundles, embedded compressed (about 1.5 MB).
//
// Import it from _test.go files only, so that the product never carries the
// data. data/SOURCE.txt says where each file comes from. All persons are
// synthetic.
package fhirtest

import (
	"archive/tar"
	"bytes"
	_ "embed" // the archives
	"errors"
	"io"
	"iter"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

//go:embed data/r4-examples.tar.zst
var examplesArchive []byte

//go:embed data/synthea.tar.zst
var syntheaArchive []byte

//go:embed data/synthea-information.tar.zst
var informationArchive []byte

type file struct {
	name string
	data []byte
}

var (
	examples    = sync.OnceValues(func() ([]file, error) { return unpack(examplesArchive) })
	synthea     = sync.OnceValues(func() ([]file, error) { return unpack(syntheaArchive) })
	information = sync.OnceValues(func() ([]file, error) { return unpack(informationArchive) })
)

// Examples yields 375 official R4 example resources as file name and JSON.
// Each call yields fresh copies, which the test may modify.
func Examples(t testing.TB) iter.Seq2[string, []byte] { return files(t, examples) }

// Synthea yields three transaction bundles of 92 to 166 resources, one
// patient each. The one named 9a174f9e… refers conditionally to resources of
// SyntheaInformation.
func Synthea(t testing.TB) iter.Seq2[string, []byte] { return files(t, synthea) }

// SyntheaInformation yields the two batch bundles (hospitals, practitioners)
// that must be loaded before a Synthea bundle with conditional references.
func SyntheaInformation(t testing.TB) iter.Seq2[string, []byte] { return files(t, information) }

func files(t testing.TB, load func() ([]file, error)) iter.Seq2[string, []byte] {
	t.Helper()
	list, err := load()
	if err != nil {
		t.Fatalf("fhirtest: %v", err)
	}
	return func(yield func(string, []byte) bool) {
		for _, f := range list {
			if !yield(f.name, bytes.Clone(f.data)) {
				return
			}
		}
	}
}

func unpack(archive []byte) ([]file, error) {
	z, err := zstd.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	var list []file
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		list = append(list, file{name: h.Name, data: data})
	}
}
