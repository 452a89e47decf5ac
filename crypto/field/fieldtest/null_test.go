package fieldtest_test

import (
	"errors"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/field/fieldtest"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

const doc = `{"resourceType":"Patient","id":"a","name":[{"family":"Lee"}],"active":true}`

func TestNullCipherIsUnknownToTheProduct(t *testing.T) {
	t.Parallel()
	table, err := field.DefaultTable(definition.Default())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyringtest.NewRing(t).EnsureOwner(t.Context(), [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	r, err := fhir.Parse([]byte(doc), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	null := fieldtest.NewInsecureNull(table)
	b, h := field.Binding{Type: "Patient", Version: 1}, field.Head{ID: "a"}
	body, err := null.Seal(nil, b, keys, &h, r)
	if err != nil || h.Present != field.Set(field.Identifier, field.Administrative) {
		t.Fatal(err, h.Present)
	}
	head, err := null.OpenHead(b, keys, body)
	if err != nil || head.ID != "a" {
		t.Fatal(err, head.ID)
	}
	if got, err := null.AppendOpen(nil, b, keys, &head, body); err != nil || string(got) != doc {
		t.Errorf("%v %s", err, got)
	}
	if got, _ := null.AppendVisible(nil, b, keys, &head, body, field.Set(field.Administrative)); string(got) != `{"resourceType":"Patient","id":"a","active":true}` {
		t.Errorf("masked: %s", got)
	}
	product, err := field.NewCipher(field.Options{Table: table, Suite: field.SuiteDerived})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := product.OpenHead(b, keys, body); !errors.Is(err, field.ErrFormat) {
		t.Errorf("the product reads a null record: %v", err)
	}
}
