package field

import (
	"bytes"
	"testing"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// TestLeafSwitchSealsEachLeafAlone: under a leaf path every leaf has a
// ciphertext of its own.
func TestLeafSwitchSealsEachLeafAlone(t *testing.T) {
	t.Parallel()
	rules := bytes.Replace(defaultPolicy, []byte("leaf: []"), []byte("leaf: [Patient.name]"), 1)
	leafy, err := NewTable(definition.Default(), rules)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewCipher(Options{Table: leafy, Suite: SuiteDerived, Tenant: testTenant})
	if err != nil {
		t.Fatal(err)
	}
	keys := ownerKeys(t, newRing(t), [16]byte{1})
	const doc = `{"resourceType":"Patient","id":"p1","name":[{"family":"Lee","given":["Ann","Bo"]}]}`
	seals := 0
	c.watch = func(op operation, class Class) {
		if op == opSeal && class == Identifier {
			seals++
		}
	}
	body := sealed(t, c, keys, binding("Patient"), doc)
	if seals != 1+3 { // the map and three leaves
		t.Errorf("%d slots sealed", seals)
	}
	if got, err := openAs(c, keys, binding("Patient"), body, AllClasses); err != nil || string(got) != doc {
		t.Errorf("%v %s", err, got)
	}
}
