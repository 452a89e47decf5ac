// Package synthea multiplies synthetic patients to as many resources as a
// measurement needs.
//
// Start with New and Multiplier.People. The patients are those of the two
// Synthea archives in a folder, or the demo patients that the binary carries
// (source.go). Every person that comes out has new ids, names, birth date,
// dates and identifiers (identity.go, rewrite.go); organizations,
// practitioners and locations are shared by everybody, as in a real hospital
// (shared.go). The same options give the same bytes, and a larger number of
// resources begins with what a smaller one has.
//
// One bundle is in memory at a time. No person in the data is real. The package
// serves measurements only; nothing of it is kept compatible.
package synthea

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/fieldseal/fieldseal/fhir"
)

// Options say what to make.
type Options struct {
	// Folder holds the archives (*.tar.zst of Bundles). Empty, or without an
	// archive, means the demo patients.
	Folder    string
	Seed      uint64
	Resources int // at least one
}

// Resource is a resource with an id of its own; its references are Type/id.
type Resource struct {
	Type, ID string
	JSON     []byte
}

// Group is one person's record, the Patient first, or what everybody shares.
type Group struct {
	Shared    bool
	Resources []Resource
}

// Multiplier makes groups.
type Multiplier struct {
	source source
	seed   uint64
	wanted int
	shared shared
	names  names
}

// New reads the source once for what everybody shares and for the names.
func New(o Options) (*Multiplier, error) {
	if o.Resources < 1 {
		return nil, errors.New("synthea: fewer than one resource is wanted")
	}
	src, err := open(o.Folder)
	if err != nil {
		return nil, err
	}
	m := &Multiplier{source: src, seed: o.Seed, wanted: o.Resources, shared: newShared(o.Seed)}
	for b, err := range m.source.bundles() {
		if err != nil {
			return nil, err
		}
		m.shared.collect(b)
		m.names.collect(b)
	}
	if !m.names.complete() {
		return nil, errors.New("synthea: the source has no Patient of each sex with a name")
	}
	return m, nil
}

// Archives names where the patients come from.
func (m *Multiplier) Archives() []string { return m.source.names() }

// Groups yields what everybody shares, then one person after the other, until
// there are as many resources as wanted; the last person's record is cut.
func (m *Multiplier) Groups() iter.Seq2[Group, error] {
	return func(yield func(Group, error) bool) {
		left := m.wanted
		emit := func(g Group) bool {
			g.Resources = g.Resources[:min(len(g.Resources), left)]
			left -= len(g.Resources)
			return yield(g, nil) && left > 0
		}
		if !emit(Group{Shared: true, Resources: m.shared.list}) {
			return
		}
		for copied := uint64(1); ; copied++ {
			for b, err := range m.source.bundles() {
				if err != nil {
					yield(Group{}, err)
					return
				}
				if b.patient == nil {
					continue
				}
				g, err := m.person(b, copied)
				if err != nil {
					yield(Group{}, err)
					return
				}
				if !emit(g) {
					return
				}
			}
		}
	}
}

// person makes a new person out of a bundle.
func (m *Multiplier) person(b *bundle, copied uint64) (Group, error) {
	d := draw{seed: m.seed, copied: copied, of: b.patient.id}
	w := rewriter{draw: d, shared: &m.shared, targets: map[string]target{}, days: d.between("days", -maxShift, maxShift)}
	for i := range b.entries {
		e := &b.entries[i]
		if e.isShared() {
			w.targets[e.id] = target{e.resource.Type(), m.shared.id(e)}
		} else {
			w.targets[e.id] = target{e.resource.Type(), d.uuid(e.id)}
		}
	}
	w.oldName, w.newName = m.names.rename(b.patient.resource, d)
	g := Group{Resources: make([]Resource, 0, len(b.entries))}
	for i := range b.entries {
		e := &b.entries[i]
		if e.isShared() {
			continue
		}
		t := w.targets[e.id]
		e.resource.SetID(e.id) // which becomes the new one with all others
		r := Resource{t.typ, t.id, w.rewrite(e.resource.AppendJSON(nil))}
		if e == b.patient {
			g.Resources = append([]Resource{r}, g.Resources...)
		} else {
			g.Resources = append(g.Resources, r)
		}
	}
	return g, nil
}

// draw is the source of everything that varies: a hash, so that one value never
// depends on how many were drawn before.
type draw struct {
	seed, copied uint64
	of           string
}

func (d draw) sum(what string) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d %d %s %s", d.seed, d.copied, d.of, what))
}

// fraction is at least 0 and less than 1.
func (d draw) fraction(what string) float64 {
	s := d.sum(what)
	return float64(binary.BigEndian.Uint64(s[:])>>11) / (1 << 53)
}

func (d draw) between(what string, low, high int) int {
	return low + int(d.fraction(what)*float64(high-low+1))
}

// uuid is a new uuid for an old one.
func (d draw) uuid(old string) string {
	s := d.sum(old)
	s[6], s[8] = s[6]&0x0f|0x40, s[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", s[:4], s[4:6], s[6:8], s[8:10], s[10:16])
}

// limits fit the largest Synthea bundle.
var limits = fhir.Limits{MaxBytes: 64 << 20}
