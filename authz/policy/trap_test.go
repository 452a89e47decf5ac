package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// Trap 1: caching enforcers keep answering allow after the role or the rule
// is gone.
func TestRemovedRoleOrRuleIsNotAnsweredFromCache(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	c := user("clinician")
	for range 3 {
		if !ask(t, d, c, authz.Read, "Patient").Allowed() {
			t.Fatal("clinician cannot read")
		}
	}
	c.Roles = nil
	if ask(t, d, c, authz.Read, "Patient").Allowed() {
		t.Error("the removed role still reads")
	}
	without := strings.ReplaceAll(string(Default()), "p, role:clinician, ", "# p, role:clinician, ")
	if ask(t, newDecider(t, without), user("clinician"), authz.Read, "Patient").Allowed() {
		t.Error("the removed rule still allows")
	}
}

// Trap 2: joined cache keys confuse ("a$$b","c") with ("a","b$$c").
func TestCacheKeysCannotBeJoinedAmbiguously(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	good := user("clinician")
	good.Roles, good.Scopes = []string{"role:clinician"}, []string{"user/*.r"}
	ask(t, d, good, authz.Read, "Patient")
	for _, roles := range [][]string{{"role:", "clinician"}, {"role:clin", "ician"}, {"role:clinician$$user/*.r"}, {"role:clinician\x00user/*.r"}} {
		bad := good
		bad.Roles = roles
		if ask(t, d, bad, authz.Read, "Patient").Allowed() {
			t.Errorf("roles %q are allowed", roles)
		}
	}
	bad := good
	bad.Roles, bad.Scopes = nil, []string{"role:clinician", "user/*.r"}
	if ask(t, d, bad, authz.Read, "Patient").Allowed() {
		t.Error("scopes are taken for roles")
	}
	// Even when every key falls into one slot, equality decides.
	s := authz.NewSubject(good)
	e := d.compile(&s, authz.Request{Action: authz.Read, Type: "Patient"}, featuresOf(&s))
	for i := range d.cache.slots {
		d.cache.slots[i].Store(e)
	}
	if ask(t, d, user("admin"), authz.Read, "Patient").Allowed() || ask(t, d, good, authz.Update, "Patient").Allowed() {
		t.Error("a colliding slot answers for another key")
	}
}

// Trap 3: eval(p.cond) turns "true || …" into allow-everything.
func TestConditionIsNeverAnExpression(t *testing.T) {
	t.Parallel()
	if strings.Contains(strings.ReplaceAll(modelText, "no eval()", ""), "eval") {
		t.Error("the model uses eval")
	}
	for _, cond := range []string{"true || own_compartment", "true", "1 == 1", "all_patients || x", "!own_compartment", "own_compartment()"} {
		bad := "role, role:x, x\np, role:x, *, read, *, *, " + cond + ", allow\n"
		if _, err := New(Options{Policy: []byte(bad), Types: testTypes, PatientType: inCompartment}); err == nil {
			t.Errorf("cond %q is accepted", cond)
		}
		if holds(cond, "allow", input{hasPatient: true}) {
			t.Errorf("cond %q holds", cond)
		}
	}
}

// Trap 4: grouping is reflexive, so an account named like a role has it.
func TestAccountNamedLikeARoleDoesNotGetIt(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	for _, id := range []string{"role:clinician", "user:role:clinician", "user:clinician", "clinician", ""} {
		c := authz.SubjectClaims{ID: id, Scopes: []string{"user/*.cruds"}, Purpose: "TREAT"}
		if ask(t, d, c, authz.Read, "Patient").Allowed() {
			t.Errorf("account %q without a role reads", id)
		}
	}
	for _, id := range []string{"role:clinician", "clinician", "user:", "client:", ""} {
		c := user("clinician")
		c.ID = id
		if ask(t, d, c, authz.Read, "Patient").Allowed() {
			t.Errorf("account %q without user: or client: is accepted", id)
		}
	}
	c := user("clinician")
	for _, role := range []string{"clinician", "user:clinician", "role:Clinician", "role:clinician ", "role:"} {
		c.Roles = []string{role}
		if ask(t, d, c, authz.Read, "Patient").Allowed() {
			t.Errorf("role %q is taken for role:clinician", role)
		}
	}
}

// Traps 1, 3, 5, 7, 8: the parts of Casbin that must not be called, here or
// anywhere; only this package may import it (the import-table test).
func TestForbiddenCasbinCallsAreAbsent(t *testing.T) {
	t.Parallel()
	forbidden := map[string]bool{"NewCachedEnforcer": true, "NewSyncedCachedEnforcer": true, "EnableEnforce": true,
		"SavePolicy": true, "EnableAutoSave": true, "KeyMatch": true, "keyMatch": true}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && forbidden[id.Name] {
				t.Errorf("%s uses %s", f.Name(), id.Name)
			}
			return true
		})
		for _, imp := range tree.Imports {
			if p := imp.Path.Value; strings.Contains(p, "casbin") && p != `"github.com/casbin/casbin/v2"` && p != `"github.com/casbin/casbin/v2/model"` {
				t.Errorf("%s imports %s", f.Name(), p)
			}
		}
	}
}

// Trap 5: EnableEnforce(false) allows everything; the self-test notices.
func TestDisabledEnforcerFailsTheSelfTest(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	d.oracle.enforcer.EnableEnforce(false)
	if err := d.selfTest(); err == nil {
		t.Error("the self-test passes with enforcement switched off")
	}
}

// Trap 6: strings.Contains(p.act, r.act) allows an empty action.
func TestEmptyActionIsDenied(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "")
	for _, a := range []authz.Action{"", "rea", "r", "read|search", "*", "READ"} {
		if ask(t, d, user("clinician"), a, "Patient").Allowed() {
			t.Errorf("action %q is allowed", a)
		}
		ok, err := d.oracle.allows([]string{"role:clinician"}, authz.Request{Action: a, Type: "Patient"}, field.Clinical, "TREAT", input{})
		if ok || err != nil {
			t.Errorf("Casbin: action %q: %v %v", a, ok, err)
		}
	}
}

// Trap 7: keyMatch "identifier*" matches identifierX.
func TestNamesAreNeverMatchedByPrefix(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"p, role:x, Pat*, read, *, *, all_patients, allow",
		"p, role:x, Patient, re*, *, *, all_patients, allow",
		"p, role:x, Patient, *, *, *, all_patients, allow",
		"p, role:x, Patient, read, ident*, *, all_patients, allow",
		"p, role:*, Patient, read, *, *, all_patients, allow",
	} {
		if _, err := New(Options{Policy: []byte("role, role:x, x\n" + bad), Types: testTypes, PatientType: inCompartment}); err == nil {
			t.Errorf("accepted: %s", bad)
		}
	}
	d := newDecider(t, "role, role:x, x\np, role:x, Practitioner, read, *, *, all_patients, allow")
	if ask(t, d, user("x"), authz.Read, "PractitionerRole").Allowed() {
		t.Error("a rule for Practitioner covers PractitionerRole")
	}
}

// Trap 8: an adapter's SavePolicy empties the store first. The policy is read
// from one immutable document and Casbin has no adapter at all.
func TestCasbinHasNoAdapterToEmptyThePolicyStore(t *testing.T) {
	t.Parallel()
	if newDecider(t, "").oracle.enforcer.GetAdapter() != nil {
		t.Error("the enforcer has a storage adapter")
	}
}
