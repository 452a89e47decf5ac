package field

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const smallPatient = `{"resourceType":"Patient","id":"p1","name":[{"family":"Lee"}],"gender":"female","birthDate":"1980-05-01"}`

func sealed(t testing.TB, c *Cipher, k Keys, b Binding, doc string) []byte {
	t.Helper()
	h := Head{ID: "p1"}
	body, err := c.Seal(nil, b, k, &h, parse(t, doc))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// openAs opens head and visible classes, as a vault does.
func openAs(c *Cipher, k Keys, b Binding, body []byte, visible ClassSet) ([]byte, error) {
	h, err := c.OpenHead(b, k, body)
	if err != nil {
		return nil, err
	}
	return c.AppendVisible(nil, b, k, &h, body, visible)
}

func refuse(t *testing.T, c *Cipher, k Keys, b Binding, body []byte, what string) {
	t.Helper()
	if out, err := openAs(c, k, b, body, AllClasses); err == nil || len(out) > 0 {
		t.Errorf("%s: opened", what)
	}
}

func TestEveryFlippedBitIsRefused(t *testing.T) {
	t.Parallel()
	keys := ownerKeys(t, newRing(t), [16]byte{1})
	for _, suite := range []Suite{SuiteDerived, SuiteDrawn} {
		c := newCipher(t, suite)
		body := sealed(t, c, keys, binding("Patient"), smallPatient)
		for i := range len(body) * 8 {
			bad := slices.Clone(body)
			bad[i/8] ^= 1 << (i % 8)
			refuse(t, c, keys, binding("Patient"), bad, fmt.Sprintf("suite %d bit %d", suite, i))
		}
	}
}

func TestCutAndExtendedRecordsAreRefused(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	body := sealed(t, c, keys, binding("Patient"), smallPatient)
	for n := range body {
		refuse(t, c, keys, binding("Patient"), body[:n], fmt.Sprintf("cut to %d", n))
		// Group 0 must notice too: it decides before any class is opened.
		if _, err := c.OpenHead(binding("Patient"), keys, body[:n]); err == nil {
			t.Errorf("head of a record cut to %d opened", n)
		}
	}
	refuse(t, c, keys, binding("Patient"), append(slices.Clone(body), 0), "a byte more")
	if _, err := c.OpenHead(binding("Patient"), keys, append(slices.Clone(body), 0)); err == nil {
		t.Error("head of an extended record opened")
	}
}

func TestRecordMovedElsewhereDoesNotOpen(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	keys, other, c := ownerKeys(t, ring, [16]byte{1}), ownerKeys(t, ring, [16]byte{2}), newCipher(t, SuiteDerived)
	good := binding("Patient")
	body := sealed(t, c, keys, good, smallPatient)
	for name, change := range map[string]func(*Binding){
		"type":        func(b *Binding) { b.Type = "Person" },
		"storage key": func(b *Binding) { b.Key[15] ^= 1 },
		"version":     func(b *Binding) { b.Version++ },
		"tenant":      func(b *Binding) { b.Tenant[0]++ },
	} {
		b := good
		change(&b)
		refuse(t, c, keys, b, body, name)
	}
	refuse(t, c, other, good, body, "patient")
	// A cipher of the other tenant that shares keys by mistake.
	foreign := good
	foreign.Tenant[0]++
	ct, err := NewCipher(Options{Table: table(), Suite: SuiteDerived, Tenant: foreign.Tenant})
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, ct, keys, foreign, body, "tenant with its own cipher")
}

// TestSwappedGroupsDoNotOpen swaps between two sealings of one place and
// between two classes.
func TestSwappedGroupsDoNotOpen(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	b := binding("Patient")
	one := sealed(t, c, keys, b, `{"resourceType":"Patient","id":"p1","birthDate":"1980-05-01","maritalStatus":{"text":"abc"}}`)
	two := sealed(t, c, keys, b, `{"resourceType":"Patient","id":"p1","birthDate":"1981-05-01","maritalStatus":{"text":"xyz"}}`)
	if len(one) != len(two) {
		t.Fatal("rows must be of one length")
	}
	head, err := c.OpenHead(b, keys, one)
	if err != nil {
		t.Fatal(err)
	}
	g := head.outline.groups[0]
	if g.class != Demographic || g.slots != 2 {
		t.Fatalf("unexpected outline %+v", g)
	}
	start := len(one)
	for _, g := range head.outline.groups[:head.outline.count] {
		start -= int(g.length)
	}
	// The same group of another sealing of the same place.
	bad := slices.Clone(one)
	copy(bad[start:start+int(g.length)], two[start:])
	refuse(t, c, keys, b, bad, "group of another record")
	// The head of one with the groups of the other.
	refuse(t, c, keys, b, append(slices.Clone(one[:start]), two[start:]...), "head of another record")
	// Groups of one length in each other's place.
	three := sealed(t, c, keys, b, `{"resourceType":"Patient","id":"p1","telecom":[{"value":"1"}],"maritalStatus":{"text":"a"}}`)
	head, err = c.OpenHead(b, keys, three)
	if err != nil {
		t.Fatal(err)
	}
	n := int(head.outline.groups[0].length)
	if head.outline.count != 2 || int(head.outline.groups[1].length) != n {
		t.Fatalf("unexpected outline %+v", head.outline.groups)
	}
	start = len(three) - 2*n
	bad = append(append(slices.Clone(three[:start]), three[start+n:]...), three[start:start+n]...)
	refuse(t, c, keys, b, bad, "classes exchanged")
}

// TestHeadOpensNoOtherBody: an opened head lets nothing in that another head
// speaks of, nor does a head that was never opened.
func TestHeadOpensNoOtherBody(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	b := binding("Patient")
	one, two := sealed(t, c, keys, b, smallPatient), sealed(t, c, keys, b, smallPatient)
	h, err := c.OpenHead(b, keys, one)
	if err != nil {
		t.Fatal(err)
	}
	moved := b
	moved.Version++
	for name, row := range map[string]struct {
		head Head
		at   Binding
		body []byte
	}{
		"another record":  {h, b, two},
		"another version": {h, moved, one},
		"cut":             {h, b, one[:len(one)-1]},
		"no body":         {h, b, nil},
		"a made-up head":  {Head{ID: "p1"}, b, one},
		"a tombstone's":   {Head{Deleted: true}, b, one},
	} {
		if out, err := c.AppendVisible(nil, row.at, keys, &row.head, row.body, AllClasses); err == nil || len(out) > 0 {
			t.Errorf("%s: opened", name)
		}
	}
}

// TestLengthPrefixesKeepBindingsApart: ("acme","Patient") is not
// ("acmeP","atient").
func TestLengthPrefixesKeepBindingsApart(t *testing.T) {
	t.Parallel()
	b := binding("Patient")
	var infos [2]string
	for i, typ := range []string{"Patient", "atient"} {
		b.Type = typ
		if i == 1 {
			b.Tenant[15] = 'P'
		}
		ct, err := NewCipher(Options{Table: table(), Suite: SuiteDerived, Tenant: b.Tenant})
		if err != nil {
			t.Fatal(err)
		}
		w, err := ct.begin(&b)
		if err != nil {
			t.Fatal(err)
		}
		w.bindHeader()
		infos[i] = string(w.info)
	}
	if infos[0] == infos[1] || strings.Contains(infos[0], infos[1]) {
		t.Error("bindings run into each other")
	}
}

// TestKeyIDMismatchIsAnError: a version that does not exist must not give a
// resource with fields missing.
func TestKeyIDMismatchIsAnError(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	body := sealed(t, c, keys, binding("Patient"), smallPatient)
	body[6]++ // last byte of group 0's DEK version
	refuse(t, c, keys, binding("Patient"), body, "unknown DEK version")
}

func TestHiddenClassesAreNeitherDerivedNorOpened(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	body := sealed(t, c, keys, binding("Patient"), patientJSON)
	for set := ClassSet(0); set <= AllClasses; set += 2 {
		var touched ClassSet
		c.watch = func(_ operation, class Class) { touched |= Set(class) }
		if _, err := openAs(c, keys, binding("Patient"), body, set); err != nil {
			t.Fatal(err)
		}
		if !set.Contains(touched) {
			t.Fatalf("visible %s, touched %s", set, touched)
		}
	}
}

func TestTombstoneHasNoClasses(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	want := Head{ID: "p1", Updated: 7, Deleted: true, Owner: StorageID{1}, Patients: []StorageID{{1}, {2}}, Orgs: []StorageID{{3}}, Security: []Label{{"s", "R"}}}
	body, err := c.Seal(nil, binding("Patient"), keys, &want, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.OpenHead(binding("Patient"), keys, body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Open(binding("Patient"), keys, &got, body, AllClasses)
	got.outline = outline{}
	if err != nil || r != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v %v %v", got, r, err)
	}
}

func TestForeignTenantIsRefused(t *testing.T) {
	t.Parallel()
	c := newCipher(t, SuiteDerived)
	b := binding("Patient")
	b.Tenant = [16]byte{}
	if _, err := c.Seal(nil, b, ownerKeys(t, newRing(t), [16]byte{1}), &Head{}, nil); !errors.Is(err, ErrBinding) {
		t.Error(err)
	}
}

func TestLengthTellsTheBucketOnly(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(0, 1500).Draw(r, "n")
		doc := func(n int) string {
			return `{"resourceType":"Patient","id":"p1","birthDate":"` + strings.Repeat("x", n) + `"}`
		}
		// The map: delta, steps, name, length; then the value.
		whole := func(n int) int { return 2 + 2 + len(binary.AppendUvarint(nil, uint64(n+2))) + n + 2 }
		top := n
		for padded(whole(top+1)) == padded(whole(n)) {
			top++
		}
		if len(sealed(t, c, keys, binding("Patient"), doc(n))) != len(sealed(t, c, keys, binding("Patient"), doc(top))) {
			r.Fatalf("length %d differs from its bucket %d", n, top)
		}
		if padded(n) > n+max(31, n/8) || padded(padded(n)) != padded(n) {
			r.Fatalf("step of %d", n)
		}
	})
}

// TestArbitraryJSONRoundTrip: what no type knows survives byte for byte.
func TestArbitraryJSONRoundTrip(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	names := rapid.SampledFrom([]string{"name", "_name", "given", "_given", "extension", "url", "address", "state", "contained", "resourceType", "id", "meta", "x", `\u0061`, "a.b", "[0]", "", "birthDate", "_birthDate", "deceasedBoolean", "gender", "text", "contact", "modifierExtension"})
	scalars := rapid.SampledFrom([]string{"null", "true", "1.00", "1e3", `"Patient"`, `"\u00e9\/"`, `"1980-05-01"`, `""`, "-0", "123456789012345678901234567890"})
	var value func(r *rapid.T, depth int) string
	object := func(r *rapid.T, depth int, first string) string {
		seen, parts := map[string]bool{`\u0061`: false}, []string{}
		if first != "" {
			parts, seen["resourceType"] = append(parts, first), true
		}
		for range rapid.IntRange(0, 6).Draw(r, "members") {
			n := names.Draw(r, "name")
			if !seen[n] {
				seen[n] = true
				parts = append(parts, `"`+n+`":`+value(r, depth-1))
			}
		}
		if first != "" && len(parts) > 1 && rapid.Bool().Draw(r, "last") {
			parts = append(parts[1:], first)
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	value = func(r *rapid.T, depth int) string {
		switch k := rapid.IntRange(0, 3).Draw(r, "kind"); {
		case depth == 0 || k < 1:
			return scalars.Draw(r, "scalar")
		case k == 1:
			var items []string
			for range rapid.IntRange(0, 4).Draw(r, "items") {
				items = append(items, value(r, depth-1))
			}
			return "[" + strings.Join(items, ",") + "]"
		}
		return object(r, depth, "")
	}
	rapid.Check(t, func(r *rapid.T) {
		doc := object(r, 4, `"resourceType":"Patient"`)
		body := sealed(t, c, keys, binding("Patient"), doc)
		if got, err := openAs(c, keys, binding("Patient"), body, AllClasses); err != nil || string(got) != doc {
			r.Fatalf("%v\n got %s\nwant %s", err, got, doc)
		}
		set := ClassSet(rapid.Uint16().Draw(r, "set")) & AllClasses
		if _, err := openAs(c, keys, binding("Patient"), body, set); err != nil {
			r.Fatalf("mask %s: %v\n%s", set, err, doc)
		}
	})
}
