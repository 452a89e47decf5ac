package terminology

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/fieldseal/fieldseal/fhir"
)

//go:generate go run ./generate -src $FHIR_R4_DEFINITIONS -out embedded.bin -expansions testdata/expansions.tsv.zst

// embedded holds the official definitions (docs/format/terminology.md). It is
// read from the program file, not from the heap.
//
//go:embed embedded.bin
var embedded []byte

// magic opens the blob; its last digit is the format version.
const magic = "FSTERM1\n"

// maxBlock bounds a decoded block.
const maxBlock = 8 << 20

// kind is the type of an entry as the index writes it.
type kind string

const (
	codeSystemType  kind = "c"
	valueSetType    kind = "v"
	allOfSystemType kind = "a" // a CodeSystem by its valueSet element
)

// entry says where an embedded resource stands.
type entry struct {
	version        string
	block          int
	offset, length int
}

// index finds embedded resources.
type index struct {
	entries map[kind]map[string]entry
	blocks  [][]byte // compressed; slices of the blob
}

// embeddedIndex is decoded at the first question: about 2,000 small entries.
var embeddedIndex = sync.OnceValue(func() *index {
	x, err := readIndex(embedded)
	if err != nil {
		panic(fmt.Sprintf("terminology: embedded definitions: %v", err)) // a broken build
	}
	return x
})

// has reports whether the URL is that of an entry, of any version.
func (x *index) has(k kind, url string) bool {
	_, ok := x.entries[k][url]
	return ok
}

// find returns the entry with the url, of that version if one is named.
func (x *index) find(k kind, url, version string) *entry {
	e, ok := x.entries[k][url]
	if !ok || version != "" && version != e.version {
		return nil
	}
	return &e
}

// stored presents an entry as a resource of a Source.
func (e *entry) stored() *Stored {
	return &Stored{
		Tag:  "\x00" + strconv.Itoa(e.block) + ":" + strconv.Itoa(e.offset),
		Load: func(context.Context) (*fhir.Resource, error) { return embeddedIndex().load(e) },
	}
}

func (x *index) load(e *entry) (*fhir.Resource, error) {
	b, err := decompress(x.blocks[e.block])
	if err != nil || e.offset+e.length > len(b) {
		return nil, fmt.Errorf("embedded definitions: %w", errors.Join(errFormat, err))
	}
	// A copy, so that a kept string does not keep the block.
	return fhir.Parse(append([]byte(nil), b[e.offset:e.offset+e.length]...), fhir.DefaultLimits)
}

var errFormat = errors.New("damaged or of another format version")

func decompress(b []byte) ([]byte, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.DecodeAll(b, nil)
}

// readIndex reads magic, the lengths of the frames and the first frame, which
// is the index.
func readIndex(blob []byte) (*index, error) {
	rest, ok := strings.CutPrefix(string(blob[:min(len(blob), len(magic))]), magic)
	if !ok || rest != "" {
		return nil, errFormat
	}
	b := blob[len(magic):]
	next := func() int {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > uint64(len(b)) {
			b = nil
			return 0
		}
		b = b[n:]
		return int(v)
	}
	lengths := make([]int, next())
	for i := range lengths {
		lengths[i] = next()
	}
	x := &index{entries: map[kind]map[string]entry{codeSystemType: {}, valueSetType: {}, allOfSystemType: {}}}
	for _, n := range lengths {
		if n > len(b) {
			return nil, errFormat
		}
		x.blocks = append(x.blocks, b[:n])
		b = b[n:]
	}
	if len(x.blocks) == 0 || len(b) != 0 {
		return nil, errFormat
	}
	table, err := decompress(x.blocks[0])
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(table)) {
		if err := x.addLine(strings.TrimSuffix(line, "\n")); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// addLine reads kind, url, version, block, offset and length, tab-separated.
func (x *index) addLine(line string) error {
	f := strings.Split(line, "\t")
	if len(f) != 6 || x.entries[kind(f[0])] == nil {
		return errFormat
	}
	e := entry{version: f[2]}
	for i, to := range []*int{&e.block, &e.offset, &e.length} {
		n, err := strconv.Atoi(f[3+i])
		if err != nil || n < 0 {
			return errFormat
		}
		*to = n
	}
	if e.block == 0 || e.block >= len(x.blocks) {
		return errFormat
	}
	x.entries[kind(f[0])][f[1]] = e
	return nil
}
