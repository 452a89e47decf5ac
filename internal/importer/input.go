package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// form is how a source is to be read.
type form uint8

const (
	document form = iota // one JSON document
	lines                // ndjson
	sniffed              // standard input: the first line decides
)

// source is one input.
type source struct {
	name string
	form form
	size int64 // bytes; -1 when unknown
	// place identifies a file by absolute path, size and time of change; empty
	// for what cannot be resumed.
	place string
	open  func() (io.ReadCloser, error)
}

// Inputs that others refer to conditionally go first (Synthea writes them).
var firstNames = []string{"hospitalInformation", "practitionerInformation"}

// discover lists all sources, grouped by phase, before anything is sent, so
// that a missing file is found at once.
func discover(o Options) ([][]source, error) {
	phases := make([][]source, len(firstNames)+1)
	var problems []error
	add := func(s source) {
		base := filepath.Base(s.name)
		at := slices.IndexFunc(firstNames, func(n string) bool { return strings.Contains(base, n) })
		if at < 0 {
			at = len(firstNames)
		}
		phases[at] = append(phases[at], s)
	}
	for _, path := range o.Paths {
		if path == "-" {
			add(source{name: "-", form: sniffed, size: -1, open: func() (io.ReadCloser, error) { return io.NopCloser(o.Stdin), nil }})
			continue
		}
		if err := walk(path, add); err != nil {
			problems = append(problems, err)
		}
	}
	return phases, errors.Join(problems...)
}

// walk adds a file, or the files of a folder in lexical order. In a folder
// files of other kinds are passed over; a file that was named must be one.
func walk(root string, add func(source)) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("finding inputs: %w", err)
		}
		if d.IsDir() {
			return nil
		}
		s, ok, err := file(path)
		if err != nil {
			return fmt.Errorf("finding inputs: %w", err)
		}
		switch {
		case ok:
			add(s)
		case path == root:
			return fmt.Errorf("%s: not a .json or .ndjson file", path)
		}
		return nil
	})
}

func file(path string) (source, bool, error) {
	s := source{name: path}
	plain := strings.TrimSuffix(path, ".gz")
	switch {
	case strings.HasSuffix(plain, ".json"):
	case strings.HasSuffix(plain, ".ndjson"):
		s.form = lines
	default:
		return s, false, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return s, false, err
	}
	if !info.Mode().IsRegular() {
		return s, false, nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return s, false, err
	}
	s.size = info.Size()
	s.place = fmt.Sprintf("%s\x00%d\x00%d", abs, info.Size(), info.ModTime().UnixNano())
	s.open = func() (io.ReadCloser, error) { return openFile(path) }
	return s, true, nil
}

type unzipped struct {
	io.Reader
	file *os.File
}

func (u unzipped) Close() error { return u.file.Close() }

func openFile(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return f, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return unzipped{z, f}, nil
}

// feed turns the sources into units, in order.
func (r *run) feed(ctx context.Context, sources []source, out chan<- *unit) error {
	for _, s := range sources {
		r.mu.Lock()
		r.summary.Inputs++
		r.mu.Unlock()
		if err := r.feedSource(ctx, s, out); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) feedSource(ctx context.Context, s source, out chan<- *unit) error {
	if s.form != document {
		return r.feedLines(ctx, s, out)
	}
	u := &unit{source: s, key: r.state.key(s.place), bytes: s.size, load: func() ([]byte, error) { return readAll(s) }}
	if done, ok := r.state.done(u.key, 0); ok {
		if len(done.Redo) == 0 {
			r.skip()
			r.bar.add(s.size)
			return nil
		}
		u.only = done.Redo
	}
	return hand(ctx, out, u)
}

// skip counts an input that an earlier run completed.
func (r *run) skip() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.summary.Skipped++
}

var errDocumentTooLarge = fmt.Errorf("larger than %d MiB", maxDocumentBytes>>20)

func readAll(s source) ([]byte, error) {
	in, err := s.open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, maxDocumentBytes+1))
	if err == nil && len(b) > maxDocumentBytes {
		err = errDocumentTooLarge
	}
	return b, err
}
