package archive

import (
	"crypto/sha256"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

var types = []string{"Patient", "Observation", "AuditEvent", "Practitioner", "Encounter", "Condition", "Organization",
	"PractitionerRole", "Location", "HealthcareService", "Medication", "Consent", "DocumentReference", "DiagnosticReport", "RelatedPerson", "Binary"}

// prf stands for the keyring's keyed function.
func prf(purpose, value string) repository.StorageID {
	h := sha256.Sum256([]byte("key\x00" + purpose + "\x00" + value))
	return repository.StorageID(h[:16])
}

// node is an archive with the troubles that it told of.
type node struct {
	*Archive
	mu       sync.Mutex
	troubles []error
}

func newNode(t *testing.T, table *keyringtest.Table) *node {
	t.Helper()
	n := &node{}
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a, err := New(Options{Table: table, PRF: prf, Now: func() time.Time { return clock },
		Policy:    policy.Options{Types: types, PatientType: func(s string) bool { return s == "Patient" || s == "Observation" }},
		OnTrouble: func(err error) { n.mu.Lock(); n.troubles = append(n.troubles, err); n.mu.Unlock() }})
	if err != nil {
		t.Fatal(err)
	}
	n.Archive = a
	return n
}

func (n *node) told() []error {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.troubles
	n.troubles = nil
	return out
}

// bootstrapped is a node on a table with the built-in policy.
func bootstrapped(t *testing.T) (*node, *keyringtest.Table) {
	t.Helper()
	table := keyringtest.NewTable()
	n := newNode(t, table)
	if err := n.Bootstrap(t.Context(), string(policy.Default()), "setup", "first start"); err != nil {
		t.Fatal(err)
	}
	return n, table
}

// second differs from the built-in policy by one role.
var second = string(policy.Default()) + "role, role:extra, reads conditions\np, role:extra, Condition, read, clinical, TREAT, all_patients, allow\n"

// change proposes and activates a text.
func (n *node) change(t *testing.T, text string) Version {
	t.Helper()
	p, err := n.Propose(t.Context(), Proposal{Text: text, Author: "user:ann", Reason: "a reason"})
	if err != nil {
		t.Fatal(err)
	}
	v, err := n.Activate(t.Context(), p.ID, "user:bob")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// extra reports whether the role of the second policy may read.
func (n *node) extra(t *testing.T) bool {
	t.Helper()
	_, d, err := n.Active()
	if err != nil {
		t.Fatal(err)
	}
	return d.Judge(policy.Question{Claims: authz.SubjectClaims{ID: "user:x", Roles: []string{"role:extra"}, Scopes: []string{"user/*.cruds"}, Purpose: "TREAT"},
		Request: authz.Request{Action: authz.Read, Type: "Condition"}}) != 0
}

func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || (want == nil && err != nil) {
		t.Errorf("error %v, want %v", err, want)
	}
}
