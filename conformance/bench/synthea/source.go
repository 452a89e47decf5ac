package synthea

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/internal/demo"
)

// bundle is one file of the source.
type bundle struct {
	entries []entry
	patient *entry // nil in a bundle of what everybody shares
}

type entry struct {
	id       string // the uuid of its fullUrl
	resource *fhir.Resource
	common   bool // the bundle has no Patient
}

// source is archives, read from the start each time, or the demo patients.
type source []string

// open finds the archives of a folder.
func open(folder string) (source, error) {
	if folder == "" {
		return nil, nil
	}
	return filepath.Glob(filepath.Join(folder, "*.tar.zst"))
}

func (s source) names() []string {
	if len(s) == 0 {
		return []string{"the demo patients"}
	}
	out := make([]string, len(s))
	for i, path := range s {
		out[i] = filepath.Base(path)
	}
	return out
}

// bundles yields every bundle, in turn from each archive by its share of the
// bytes, so that a small number of resources has something of every archive.
func (s source) bundles() iter.Seq2[*bundle, error] {
	return func(yield func(*bundle, error) bool) {
		if len(s) == 0 {
			for name, data := range demo.Bundles() {
				if b, err := parse(name, data); !yield(b, err) || err != nil {
					return
				}
			}
			return
		}
		readers := make([]*archive, len(s))
		for i, path := range s {
			a, err := openArchive(path)
			if err != nil {
				yield(nil, err)
				return
			}
			defer a.close()
			readers[i] = a
		}
		for {
			var next *archive
			for _, a := range readers {
				if !a.ended && (next == nil || a.progress() < next.progress()) {
					next = a
				}
			}
			if next == nil {
				return
			}
			b, err := next.next()
			if errors.Is(err, io.EOF) {
				continue
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// archive reads a tar.zst of Bundles.
type archive struct {
	path  string
	file  *os.File
	size  int64
	read  int64 // compressed
	zstd  *zstd.Decoder
	tar   *tar.Reader
	ended bool
}

func openArchive(path string) (*archive, error) {
	f, err := os.Open(path) // #nosec G304 -- the folder is the caller's own argument
	if err != nil {
		return nil, err
	}
	a := &archive{path: path, file: f}
	info, err := f.Stat()
	if err == nil {
		a.size = info.Size()
		a.zstd, err = zstd.NewReader(a, zstd.WithDecoderMaxWindow(1<<27), zstd.WithDecoderConcurrency(1))
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	a.tar = tar.NewReader(a.zstd)
	return a, nil
}

// Read counts what the decompressor takes.
func (a *archive) Read(p []byte) (int, error) {
	n, err := a.file.Read(p)
	a.read += int64(n)
	return n, err
}

func (a *archive) progress() float64 { return float64(a.read) / float64(max(a.size, 1)) }

func (a *archive) close() {
	a.zstd.Close()
	_ = a.file.Close()
}

// next is the next Bundle, or io.EOF.
func (a *archive) next() (*bundle, error) {
	for {
		h, err := a.tar.Next()
		if err != nil {
			a.ended = true
			if errors.Is(err, io.EOF) {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("reading %s: %w", a.path, err)
		}
		if !strings.HasSuffix(h.Name, ".json") {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(a.tar, int64(limits.MaxBytes)))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", h.Name, err)
		}
		return parse(h.Name, data)
	}
}

func parse(name string, data []byte) (*bundle, error) {
	doc, err := fhir.Parse(data, limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	list := doc.Root().Member("entry")
	if list == nil {
		return nil, fmt.Errorf("%s: no entry", name)
	}
	b := &bundle{entries: make([]entry, 0, list.Len())}
	patient := -1
	for i := range list.Len() {
		id, isUUID := strings.CutPrefix(list.At(i).Member("fullUrl").Text(), "urn:uuid:")
		node := list.At(i).Member("resource")
		if node == nil || !isUUID {
			return nil, fmt.Errorf("%s: entry %d has no resource with a urn:uuid", name, i)
		}
		r, err := fhir.NewResource(*node)
		if err != nil {
			return nil, fmt.Errorf("%s: entry %d: %w", name, i, err)
		}
		if r.Type() == "Patient" && patient < 0 {
			patient = i
		}
		b.entries = append(b.entries, entry{id: id, resource: r})
	}
	if patient >= 0 {
		b.patient = &b.entries[patient]
	}
	for i := range b.entries {
		b.entries[i].common = patient < 0
	}
	return b, nil
}
