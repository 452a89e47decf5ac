// Package demo holds the synthetic patients that `fieldseal serve --demo`
// loads: 15 transaction bundles made by Synthea, one patient each with all of
// that patient's resources, embedded compressed. No person in them is real.
//
// Every bundle loads by itself: its references are urn:uuid references to its
// own entries. data/SOURCE.txt says where the bundles come from; the program
// in generate chose and packed them.
package demo

import (
	"archive/tar"
	"bytes"
	_ "embed" // the bundles and their index
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/klauspost/compress/zstd"
)

//go:generate go run ./generate -source ../../../synthea

//go:embed data/bundles.tar.zst
var archive []byte

// index names the bundles of the archive, one a line, in its order.
//
//go:embed data/index.txt
var index string

// Count returns the number of bundles, which is the number of patients.
func Count() int { return strings.Count(index, "\n") }

// Bundles yields each bundle's name and its JSON, a transaction Bundle, in an
// order that does not change between runs. The bytes belong to the caller.
// Bundles are unpacked one at a time as the loop asks for them. It panics when
// the embedded archive is damaged, which only a broken build can cause.
func Bundles() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		z, err := zstd.NewReader(bytes.NewReader(archive), zstd.WithDecoderConcurrency(1))
		if err != nil {
			panic(fmt.Sprintf("demo: opening the embedded archive: %v", err))
		}
		defer z.Close()
		for r := tar.NewReader(z); ; {
			header, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				panic(fmt.Sprintf("demo: reading the embedded archive: %v", err))
			}
			data := make([]byte, header.Size)
			if _, err := io.ReadFull(r, data); err != nil {
				panic(fmt.Sprintf("demo: reading %s: %v", header.Name, err))
			}
			if !yield(header.Name, data) {
				return
			}
		}
	}
}
