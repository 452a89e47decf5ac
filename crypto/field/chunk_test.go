package field

import (
	"slices"
	"testing"
)

// Two names, each with an extension that only who sees names may see: the last
// two slots of the record, each for itself.
const extended = `{"resourceType":"Patient","id":"p1","name":[{"family":"Lee","extension":[{"url":"urn:x","valueString":"abc"}]},{"family":"Kin","extension":[{"url":"urn:x","valueString":"xyz"}]}]}`

const extendedSlot = 1 + 48 + 16

func TestSwappedSlotsDoNotOpen(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	b := binding("Patient")
	one, two := sealed(t, c, keys, b, extended), sealed(t, c, keys, b, extended)
	end := len(one)
	if one[end-extendedSlot] != extendedSlot-1 || one[end-2*extendedSlot] != extendedSlot-1 {
		t.Fatal("the slots are not where they are looked for")
	}
	bad := slices.Clone(one)
	copy(bad[end-extendedSlot:], two[end-extendedSlot:])
	refuse(t, c, keys, b, bad, "slot of another record")
	bad = append(slices.Clone(one[:end-2*extendedSlot]), one[end-extendedSlot:]...)
	bad = append(bad, one[end-2*extendedSlot:end-extendedSlot]...)
	refuse(t, c, keys, b, bad, "slots exchanged")
}

// TestSlotThatNeedsAHiddenClassStaysSealed: seeing its own class is not enough.
func TestSlotThatNeedsAHiddenClassStaysSealed(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	body := sealed(t, c, keys, binding("Patient"), extended)
	for _, row := range []struct {
		visible ClassSet
		opens   int
	}{
		{Set(Restricted), 1}, // what tells that they are there
		{Set(Restricted, Identifier), 1 + 2},
	} {
		opens := 0
		c.watch = func(op operation, class Class) {
			if op == opOpen && class == Restricted {
				opens++
			}
		}
		if _, err := openAs(c, keys, binding("Patient"), body, row.visible); err != nil || opens != row.opens {
			t.Errorf("visible %s: %d opened, %v", row.visible, opens, err)
		}
	}
}

// TestNoTwoRecordsShareANonce: it differs for each class and each sealing, and
// for each place even when the random source repeats itself.
func TestNoTwoRecordsShareANonce(t *testing.T) {
	t.Parallel()
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	a := sealed(t, c, keys, binding("Patient"), smallPatient)
	b := sealed(t, c, keys, binding("Patient"), smallPatient)
	if string(a[7:23]) == string(b[7:23]) || string(a[23:39]) == string(b[23:39]) {
		t.Error("salt or commitment repeats")
	}
	seen := map[[12]byte]string{}
	for name, change := range map[string]func(*Binding){
		"as it is":    func(*Binding) {},
		"type":        func(b *Binding) { b.Type = "Person" },
		"storage key": func(b *Binding) { b.Key[15] ^= 1 },
		"version":     func(b *Binding) { b.Version++ },
	} {
		at := binding("Patient")
		change(&at)
		for class := Group0; class < numClasses; class++ {
			w, err := c.begin(&at)
			if err != nil {
				t.Fatal(err)
			}
			c.random = &counting{}
			if err := c.newHead(w, keys); err != nil {
				t.Fatal(err)
			}
			if _, err := c.group(w, keys, class); err != nil {
				t.Fatal(err)
			}
			if at, ok := seen[w.base]; ok {
				t.Errorf("%s, class %s: nonce of %s", name, class, at)
			}
			seen[w.base] = name + ", class " + class.String()
		}
	}
}

// TestOlderSuitesSealNothing: what they sealed is opened and no more.
func TestOlderSuitesSealNothing(t *testing.T) {
	t.Parallel()
	for _, s := range []Suite{0, SuiteCounter, SuiteRandom, SuiteDrawn + 1} {
		if _, err := NewCipher(Options{Table: table(), Suite: s, Tenant: testTenant}); err == nil {
			t.Errorf("a cipher of suite %d", s)
		}
	}
}
