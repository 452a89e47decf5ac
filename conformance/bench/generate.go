package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/fieldseal/fieldseal/conformance/bench/synthea"
)

// Forms of -generate; fieldseal import takes both.
const (
	formBundles   = "bundles"   // a transaction Bundle a line
	formResources = "resources" // a resource a line
)

// transactionSize is how many resources go into one transaction of an import.
const transactionSize = 100

// writeSynthetic writes synthetic resources as lines.
func writeSynthetic(ctx context.Context, s settings, out io.Writer) error {
	if s.form != formBundles && s.form != formResources {
		return fmt.Errorf("-form is %s or %s", formBundles, formResources)
	}
	m, err := synthea.New(synthea.Options{Folder: s.synthea, Seed: s.seed, Resources: s.generate})
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(out, 1<<20)
	for g, err := range m.Groups() {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		for list := range transactions(g.Resources) {
			if s.form == formBundles {
				_, err = w.Write(append(transactionOf(list), '\n'))
			} else {
				for _, r := range list {
					_, err = w.Write(append(r.JSON, '\n'))
				}
			}
			if err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

// transactions cuts a group.
func transactions(list []synthea.Resource) iter.Seq[[]synthea.Resource] {
	return func(yield func([]synthea.Resource) bool) {
		for len(list) > 0 {
			n := min(len(list), transactionSize)
			if !yield(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
}

// transactionOf puts resources under their own ids.
func transactionOf(list []synthea.Resource) []byte {
	b := []byte(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	for i, r := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `{"resource":`...), r.JSON...)
		b = fmt.Appendf(b, `,"request":{"method":"PUT","url":"%s/%s"}}`, r.Type, r.ID)
	}
	return append(b, "]}"...)
}
