package main

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// magic opens the blob; its last digit is the format version.
const magic = "FSDEF1\n"

// encoder writes the format of docs/format/definitions.md.
type encoder struct {
	body    []byte
	strings map[string]uint64
	order   []string
	types   map[string]int
	err     error
}

func encode(m *model) ([]byte, error) {
	e := &encoder{strings: map[string]uint64{}, types: map[string]int{}}
	for i, t := range m.types {
		e.types[t.name] = i
	}
	e.str("") // index 0 is the empty string
	e.body = nil
	list(e, m.types, e.typeDef)
	list(e, m.params, e.param)
	list(e, m.compartments, e.compartment)
	list(e, m.operations, e.operation)
	list(e, m.valueSets, e.valueSet)
	if e.err != nil {
		return nil, e.err
	}
	return compress(e.blob())
}

// blob is magic, string table, body.
func (e *encoder) blob() []byte {
	out := []byte(magic)
	out = binary.AppendUvarint(out, uint64(len(e.order)))
	for _, s := range e.order {
		out = binary.AppendUvarint(out, uint64(len(s)))
	}
	for _, s := range e.order {
		out = append(out, s...)
	}
	return append(out, e.body...)
}

func compress(b []byte) ([]byte, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return z.EncodeAll(b, nil), nil
}

func (e *encoder) num(n int) { e.body = binary.AppendUvarint(e.body, uint64(n)) }

func (e *encoder) str(s string) {
	i, ok := e.strings[s]
	if !ok {
		i = uint64(len(e.order))
		e.strings[s] = i
		e.order = append(e.order, s)
	}
	e.body = binary.AppendUvarint(e.body, i)
}

func (e *encoder) flags(bits ...bool) {
	n := 0
	for i, b := range bits {
		if b {
			n |= 1 << i
		}
	}
	e.num(n)
}

func list[T any](e *encoder, items []T, write func(T)) {
	e.num(len(items))
	for _, x := range items {
		write(x)
	}
}

func (e *encoder) typeDef(t *typeDef) {
	e.str(t.name)
	e.num(t.kind)
	e.str(t.base)
	e.flags(t.abstract)
	e.str(t.regex)
	e.str(t.security)
	list(e, t.elements, e.element)
}

func (e *encoder) element(el *elementDef) {
	e.str(el.path)
	e.str(el.name)
	e.flags(el.choice, el.modifier, el.summ)
	e.num(el.min)
	e.num(el.max + 1)
	list(e, el.types, func(r typeRefDef) {
		i, ok := e.types[r.typeName]
		if !ok {
			e.err = fmt.Errorf("%s: unknown type %q", el.path, r.typeName)
		}
		e.str(r.code)
		e.num(i)
		list(e, r.targets, e.str)
	})
	e.str(el.strength)
	e.str(el.valueSet)
	e.str(el.fiveWs)
}

func (e *encoder) param(p *paramDef) {
	for _, s := range []string{p.url, p.code, p.typ, p.expression} {
		e.str(s)
	}
	for _, l := range [][]string{p.base, p.target, p.modifiers, p.comparators, p.componentDefinition, p.componentExpression} {
		list(e, l, e.str)
	}
	e.flags(p.multipleOr, p.multipleAnd)
}

func (e *encoder) compartment(c *compartmentDef) {
	e.str(c.code)
	e.str(c.url)
	list(e, c.resources, e.str)
	list(e, c.params, func(p []string) { list(e, p, e.str) })
}

func (e *encoder) operation(o *operationDef) {
	e.str(o.name)
	e.str(o.url)
	e.str(o.code)
	e.flags(o.system, o.typ, o.instance, o.affects, o.query)
	list(e, o.resources, e.str)
	list(e, o.parameters, e.operationParam)
}

func (e *encoder) operationParam(p *operationParamDef) {
	for _, s := range []string{p.name, p.use, p.typ, p.searchType} {
		e.str(s)
	}
	e.num(p.min)
	e.num(p.max + 1)
	list(e, p.targets, e.str)
	list(e, p.parts, e.operationParam)
}

func (e *encoder) valueSet(v *valueSetDef) {
	e.str(v.url)
	list(e, v.systems, func(s systemDef) {
		e.str(s.url)
		list(e, s.codes, e.str)
	})
}
