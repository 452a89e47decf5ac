package terminology

import (
	"bytes"
	"errors"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
)

// Every embedded resource decodes, compiles, and is the one that its entry
// names.
func TestEmbeddedResources(t *testing.T) {
	t.Parallel()
	if len(embedded) > 1_500_000 {
		t.Errorf("%d bytes are embedded", len(embedded))
	}
	x := embeddedIndex()
	if n := len(x.entries[codeSystemType]); n < 1000 {
		t.Errorf("%d code systems", n)
	}
	if n := len(x.entries[valueSetType]); n < 1200 {
		t.Errorf("%d value sets", n)
	}
	concepts := 0
	for url, e := range x.entries[codeSystemType] {
		cs := compiled(t, x, &e, compileCodeSystem)
		if cs.url != url || cs.version != e.version || cs.absent {
			t.Errorf("%s: %s|%s", url, cs.url, cs.version)
		}
		concepts += len(cs.concepts)
	}
	for url, e := range x.entries[valueSetType] {
		if v := compiled(t, x, &e, compileValueSet); v.url != url || v.version != e.version {
			t.Errorf("%s: %s|%s", url, v.url, v.version)
		}
	}
	for url, e := range x.entries[allOfSystemType] {
		if cs := compiled(t, x, &e, compileCodeSystem); cs.valueSet != url && cs.valueSet != url+"|"+e.version {
			t.Errorf("%s: %s", url, cs.valueSet)
		}
	}
	if concepts < 20_000 {
		t.Errorf("%d concepts", concepts)
	}
}

// Every embedded value set is either answered whole or says what is missing:
// none is wrong in itself. The counts stand in docs/terminology.md.
func TestEmbeddedValueSetsAreAnsweredOrNotSupported(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	whole, missing := 0, map[string]int{}
	for url := range embeddedIndex().entries[valueSetType] {
		list, err := s.Enumerate(t.Context(), url, 0)
		var f *failure
		switch {
		case err == nil:
			whole++
			for _, c := range list[:min(len(list), 3)] {
				if in, err := s.Contains(t.Context(), url, c.System, c.Code); err != nil || !in {
					t.Errorf("%s: a listed code is no member: %v", url, err)
				}
			}
		case errors.As(err, &f) && open(err):
			missing[f.canonical]++
		default:
			t.Errorf("%s: %v", url, err)
		}
	}
	t.Log(missing)
	if whole != 1218 {
		t.Errorf("%d value sets are answered whole, want 1218", whole)
	}
}

func TestDamagedBlobIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := readIndex(embedded); err != nil {
		t.Fatal(err)
	}
	cut := bytes.Clone(embedded[:len(embedded)-1])
	version := bytes.Clone(embedded)
	version[6]++
	flipped := bytes.Clone(embedded)
	for i := 200; i < 400; i++ {
		flipped[i] ^= 0xff // inside the lengths and the index
	}
	for name, b := range map[string][]byte{
		"empty": nil, "magic only": []byte(magic), "no frames": []byte(magic + "\x00"),
		"cut off": cut, "longer": append(bytes.Clone(embedded), 0), "another version": version,
		"flipped": flipped, "huge count": []byte(magic + "\xff\xff\xff\xff\x0f"),
	} {
		if _, err := readIndex(b); err == nil {
			t.Errorf("%s was read", name)
		}
	}
	for _, line := range []string{"c\tu\tv\t1\t2", "z\tu\tv\t1\t2\t3", "c\tu\tv\t0\t2\t3", "c\tu\tv\t1\t-2\t3", "c\tu\tv\tx\t2\t3", "c\tu\tv\t9999\t2\t3"} {
		if err := embeddedIndex().addLine(line); err == nil {
			t.Errorf("%q was read", line)
		}
	}
}

// compiled loads an entry past the cache.
func compiled[T any](t testing.TB, x *index, e *entry, compile func(*fhir.Node) (T, int, error)) T {
	t.Helper()
	r, err := x.load(e)
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := compile(r.Root())
	if err != nil {
		t.Fatal(err)
	}
	return v
}
