package node

import (
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
)

func TestBeatingSeesNodesAtWork(t *testing.T) {
	t.Parallel()
	shared := keyringtest.NewTable()
	if names, err := Beating(t.Context(), shared); err != nil || len(names) != 0 {
		t.Fatalf("an empty register: %v, %v", names, err)
	}
	p := join(t, shared, "a")
	if names, err := Beating(t.Context(), shared); err != nil || len(names) != 1 || names[0] != "a" {
		t.Fatalf("a node at work: %v, %v", names, err)
	}
	if err := p.Leave(); err != nil {
		t.Fatal(err)
	}
	if names, err := Beating(t.Context(), shared); err != nil || len(names) != 0 {
		t.Fatalf("a node that left: %v, %v", names, err)
	}
}
