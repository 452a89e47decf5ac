package redact

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/authz/redact/redacttest"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// reference is what a view is compared with.
var reference = sync.OnceValue(func() *redacttest.Reference {
	reviewed, err := os.ReadFile("../../crypto/field/testdata/classes.golden")
	if err != nil {
		panic(err)
	}
	rules, err := os.ReadFile("../../crypto/field/classes.yaml")
	if err != nil {
		panic(err)
	}
	r, err := redacttest.New(definition.Default(), reviewed, rules)
	if err != nil {
		panic(err)
	}
	return r
})

// set is a mask in the words of the product.
func set(t testing.TB, m redacttest.Mask) (s field.ClassSet) {
	t.Helper()
	for name, has := range m {
		c, err := field.ParseClass(name)
		if err != nil {
			t.Fatal(err)
		}
		if has {
			s |= field.Set(c)
		}
	}
	return s
}

// viewer shows a resource under a mask; nil when it is withheld.
type viewer func(r *fhir.Resource, visible field.ClassSet) []byte

// sealing is the viewer of the product: it seals a resource, opens what is
// visible and finishes it.
func sealing(t testing.TB) viewer {
	t.Helper()
	cipher, err := field.NewCipher(field.Options{Table: table(), Suite: field.SuiteDerived, Tenant: [16]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyringtest.NewRing(t).EnsureOwner(t.Context(), [16]byte{7})
	if err != nil {
		t.Fatal(err)
	}
	return func(r *fhir.Resource, visible field.ClassSet) []byte { return sealedView(t, cipher, keys, r, visible) }
}

func sealedView(t testing.TB, cipher *field.Cipher, keys *keyring.OwnerKeys, r *fhir.Resource, visible field.ClassSet) []byte {
	t.Helper()
	r = r.Clone()
	r.SetMeta("1", fhirTime)
	b := field.Binding{Tenant: [16]byte{1}, Type: r.Type(), Key: [16]byte{2}, Version: 1}
	h := field.Head{ID: r.ID(), Updated: fhirTime.UnixMicro()}
	body, err := cipher.Seal(nil, b, keys, &h, r)
	if err != nil {
		t.Fatal(err)
	}
	head, err := cipher.OpenHead(b, keys, body)
	if err != nil {
		t.Fatal(err)
	}
	if Withheld(head, visible) {
		return nil
	}
	opened, err := cipher.Open(b, keys, &head, body, visible)
	if err != nil {
		t.Fatal(err)
	}
	redactor().Apply(opened, visible)
	return opened.AppendJSON(nil)
}

// differ compares a viewer with the reference over n resources of every type, or
// until it is enough, and returns every difference by type and path.
func differ(t testing.TB, see viewer, seed uint64, n int, enough func(*redacttest.Differences) bool) (d redacttest.Differences) {
	t.Helper()
	g := reference().NewGenerator(seed)
	for _, typ := range definition.Default().ResourceTypes() {
		for i := range n {
			if enough(&d) {
				return d
			}
			if definition.Default().Type(typ).Abstract {
				continue
			}
			r := parse(t, string(g.Resource(typ, fmt.Sprint("r", i))))
			r.SetMeta("1", fhirTime)
			for range 3 {
				mask := g.Mask()
				d.Compare(fmt.Sprintf("%s under %v", typ, set(t, mask)), see(r, set(t, mask)), reference().View(r.AppendJSON(nil), mask, false))
			}
		}
	}
	return d
}

// TestEveryViewEqualsTheReference: what the cipher opens and Apply finishes is,
// byte for byte, what a reading of the rules that shares no code with them says,
// for resources of every type with extensions, siblings, contained resources and
// all datatypes everywhere.
func TestEveryViewEqualsTheReference(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it compares views one after the other: nothing for the race detector")
	}
	n := 6
	if os.Getenv("FIELDSEAL_LONG") == "1" {
		n = 200
	}
	d := differ(t, sealing(t), 1, n, func(*redacttest.Differences) bool { return false })
	t.Logf("%d views compared, %d of them withheld", d.Compared, d.Withheld)
	for _, line := range d.Lines(40) {
		t.Error(line)
	}
	if d.Compared < 2000 || d.Withheld > d.Compared/2 {
		t.Error("the test proves little")
	}
}
