package token

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

// prf stands for the keyring's keyed function.
func prf(resourceType, id string) repository.StorageID {
	h := sha256.Sum256([]byte(resourceType + "\x00" + id))
	return repository.StorageID(h[:16])
}

type node struct {
	*Issuer
	clock *keyringtest.Clock
	table *keyringtest.Table
}

func newNode(t testing.TB, table *keyringtest.Table, clock *keyringtest.Clock) node {
	t.Helper()
	i, err := New(Options{Table: table, StorageID: prf, AllowDemo: true, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return node{i, clock, table}
}

func fresh(t testing.TB) node {
	t.Helper()
	return newNode(t, keyringtest.NewTable(), keyringtest.NewClock())
}

func claims() Claims {
	return Claims{Account: "user:dr-who", Client: "app", Roles: []string{"role:clinician"}, Scopes: []string{"user/*.rs"},
		Who: "Practitioner/p1", Patient: "mrn-4711", Orgs: []string{"o1"}, AMR: []string{"pwd"}}
}

func (n node) issue(t testing.TB, c Claims) string {
	t.Helper()
	s, err := n.Issue(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (n node) verify(t testing.TB, bearer string, want error) authz.Subject {
	t.Helper()
	s, err := n.Verify(t.Context(), bearer, "127.0.0.1:5")
	if !errors.Is(err, want) || (want == nil && err != nil) {
		t.Fatalf("error %v, want %v", err, want)
	}
	if s.Valid() != (want == nil) {
		t.Fatalf("subject valid %v with error %v", s.Valid(), err)
	}
	return s
}

const minute = time.Minute
