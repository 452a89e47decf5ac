package definition

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// magic opens the blob; its last digit is the format version.
const magic = "FSDEF1\n"

var errFormat = errors.New("damaged or of another format version")

// decoder reads the format of docs/format/definitions.md. After an error every
// read answers zero values, so that only the end has to look at err.
type decoder struct {
	b       []byte
	strings []string
	types   []*Type
	err     error
}

func decode(blob []byte) (*Registry, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	raw, err := z.DecodeAll(blob, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFormat, err)
	}
	d := &decoder{}
	d.open(raw)
	r := &Registry{byName: map[string]*Type{}}
	d.readTypes()
	r.types = d.types
	r.params = list(d, d.param)
	r.compartments = list(d, d.compartment)
	r.operations = list(d, d.operation)
	sets := list(d, d.valueSet)
	if len(d.b) != 0 {
		d.fail()
	}
	if d.err != nil {
		return nil, d.err
	}
	r.valueSets = make(map[string]*ValueSet, len(sets))
	for _, v := range sets {
		r.valueSets[v.URL] = v
	}
	r.finish()
	return r, nil
}

// finish builds what is derived: indexes by name, lookups, bindings.
func (r *Registry) finish() {
	for i, t := range r.types {
		t.Index = i
		r.byName[t.Name] = t
		if t.Kind == Resource && !t.Abstract {
			r.resources = append(r.resources, t.Name)
		}
		for _, e := range t.Elements {
			if e.Binding != nil && e.Binding.Strength == "required" {
				e.Binding.Codes = r.ValueSet(e.Binding.ValueSet)
			}
		}
		t.finish()
	}
	r.indexParams()
}

func (d *decoder) fail() {
	d.err, d.b = errFormat, nil
}

// open reads magic and string table. The strings are views of one copy.
func (d *decoder) open(raw []byte) {
	if len(raw) < len(magic) || string(raw[:len(magic)]) != magic {
		d.fail()
		return
	}
	d.b = raw[len(magic):]
	lengths := list(d, d.num)
	total := 0
	for _, n := range lengths {
		total += n
	}
	if total > len(d.b) {
		d.fail()
		return
	}
	body := string(d.b[:total])
	d.b = d.b[total:]
	d.strings = make([]string, len(lengths))
	for i, n := range lengths {
		d.strings[i], body = body[:n], body[n:]
	}
}

func (d *decoder) num() int {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > 1<<30 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return int(v)
}

func (d *decoder) str() string {
	i := d.num()
	if i >= len(d.strings) {
		d.fail()
		return ""
	}
	return d.strings[i]
}

// list reads a count and that many items, nil for none.
func list[T any](d *decoder, read func() T) []T {
	n := d.num()
	if n > len(d.b) { // each item takes a byte at least
		d.fail()
		n = 0
	}
	if n == 0 {
		return nil
	}
	out := make([]T, n)
	for i := range out {
		out[i] = read()
	}
	return out
}

func bit(flags, i int) bool { return flags>>i&1 == 1 }
