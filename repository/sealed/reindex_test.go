package sealed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/blind"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/kmstest"
	"github.com/fieldseal/fieldseal/fhir/compartment"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// shelf is everything that outlives a process: engine, table of the store and
// keystore.
type shelf struct {
	t      *testing.T
	engine *memory
	rows   *keyringtest.Table
	keys   *keyringtest.Table
	kms    *kmstest.KMS
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{t: t, engine: newMemory(), rows: keyringtest.NewTable(), keys: keyringtest.NewTable(), kms: kmstest.New()}
	keyringtest.InitRing(t, keyring.Options{Table: s.keys, Wrapper: s.kms})
	return s
}

func (s *shelf) clone() *shelf {
	return &shelf{t: s.t, engine: s.engine.clone(), rows: s.rows.Clone(), keys: s.keys.Clone(), kms: s.kms}
}

// start opens the shelf as a new process does.
func (s *shelf) start(profile string) (*Vault, error) {
	ring, err := keyring.Open(s.t.Context(), keyring.Options{Table: s.keys, Wrapper: s.kms})
	if err != nil {
		return nil, err
	}
	reg := definition.Default()
	classes, err := sharedClasses()
	if err != nil {
		return nil, err
	}
	cipher, err := field.NewCipher(field.Options{Table: classes, Suite: field.SuiteDerived, Tenant: ring.Tenant()})
	if err != nil {
		return nil, err
	}
	comp, err := compartment.New(compartment.Options{Definitions: reg})
	if err != nil {
		return nil, err
	}
	policy, err := NewIndexPolicy(profile, testCatalog(s.t))
	if err != nil {
		return nil, err
	}
	v, err := New(s.t.Context(), Options{Ring: ring, Cipher: cipher, Store: s.engine, Compartments: comp, Catalog: testCatalog(s.t),
		Policy: policy, Table: s.rows})
	if err == nil {
		v.rebuildPage = 4 // several to a type, so that there are places between
	}
	return v, err
}

func (s *shelf) mustStart(profile string) *Vault {
	s.t.Helper()
	v, err := s.start(profile)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// fill stores n patients with an observation each.
func (s *shelf) fill(v *Vault, n int) {
	s.t.Helper()
	for i := range n {
		s.put(v, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","identifier":[{"system":"urn:mrn","value":"%d"}],"gender":"female"}`, i, i))
		s.put(v, fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","code":{"coding":[{"system":"urn:c","code":"c%d"}]},`+
			`"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"2020-01-%02d"}`, i, i%3, i, 1+i%28))
	}
}

func (s *shelf) put(v *Vault, text string) {
	s.t.Helper()
	r := parse(s.t, text)
	previous, err := v.Load(s.t.Context(), v.Key(r.Type(), r.ID()))
	if err != nil && !errors.Is(err, repository.ErrNotFound) {
		s.t.Fatal(err)
	}
	at, _ := s.engine.Stamp(s.t.Context())
	d, err := v.Seal(s.t.Context(), r, previous, at, false)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.engine.Commit(s.t.Context(), repository.Batch{Writes: []repository.Write{d.Write}}); err != nil {
		s.t.Fatal(err)
	}
}

// count answers a query as the executor does: candidates, then the recheck.
func (s *shelf) count(v *Vault, typ, query string) (n int, p Plan) {
	s.t.Helper()
	e, err := v.catalog.ParseConditions(typ, query)
	if err != nil {
		s.t.Fatal(err)
	}
	if p, err = v.Plan(s.t.Context(), e, Scope{}); err != nil {
		s.t.Fatal(err)
	}
	p.Query.Limit = 10_000
	page, err := s.engine.Find(s.t.Context(), p.Query)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, rec := range page.Records {
		st, err := v.Adopt(s.t.Context(), rec)
		if err != nil {
			s.t.Fatal(err)
		}
		tree, err := v.Open(st, field.AllClasses)
		if err != nil {
			s.t.Fatal(err)
		}
		ok, err := search.Matcher{Catalog: v.catalog}.Match(s.t.Context(), e, tree)
		if err != nil {
			s.t.Fatal(err)
		}
		if ok {
			n++
		}
	}
	return n, p
}

// check asks for each record and reports what is missing; narrow says that
// plans must narrow.
func (s *shelf) check(v *Vault, n int, narrow bool, at string) {
	s.t.Helper()
	for i := range n {
		for _, q := range []struct{ typ, query string }{
			{"Patient", fmt.Sprintf("identifier=urn:mrn|%d", i)},
			{"Observation", fmt.Sprintf("subject=Patient/p%d&code=urn:c|c%d&date=2020-01-%02d", i, i%3, 1+i%28)},
		} {
			found, p := s.count(v, q.typ, q.query)
			if found != 1 {
				s.t.Fatalf("%s: %s?%s finds %d", at, q.typ, q.query, found)
			}
			if narrow && (p.Scan || slices.ContainsFunc(p.Clauses, func(c Clause) bool { return !c.Used })) {
				s.t.Fatalf("%s: %s?%s is not answered by the index: %+v", at, q.typ, q.query, p.Clauses)
			}
		}
	}
}

// noTokensOf reports tokens that any of the records would have under a key.
func (s *shelf) noTokensOf(v *Vault, epoch keyring.Epoch, at string) {
	s.t.Helper()
	now := v.index.Load()
	defer v.index.Store(now)
	for _, rec := range s.engine.records {
		var tokens [2][]repository.Token
		for i, k := range []*indexKeys{now, {write: blind.New(epoch.Key, v.ring.Tenant())}} {
			v.index.Store(k)
			var err error
			if tokens[i], err = v.recordTokens(s.t.Context(), rec); err != nil {
				s.t.Fatal(err)
			}
		}
		for _, t := range tokens[1] { // a patient's own tokens depend on no epoch
			if !slices.Contains(tokens[0], t) && slices.Contains(rec.Tokens, t) {
				s.t.Fatalf("%s: %v still has a token of the dropped epoch", at, rec.Key)
			}
		}
	}
}

func TestReindexAfterLostTokens(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	v := s.mustStart(ProfileStandard)
	s.fill(v, 20)
	if v.Building() {
		t.Fatal("an index that was written from the first record on is incomplete")
	}
	for i := range s.engine.records {
		s.engine.records[i].Tokens = nil
	}
	if n, _ := s.count(v, "Patient", "identifier=urn:mrn|1"); n != 0 {
		t.Fatal("the tokens are not gone")
	}
	last := 0
	if err := v.Reindex(t.Context(), func(done, total int) {
		if done < last || total != 40 {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	}); err != nil {
		t.Fatal(err)
	}
	if last != 40 {
		t.Errorf("progress ended at %d", last)
	}
	s.check(v, 20, true, "after reindexing")
}

// TestIndexWithoutStateIsRebuilt: data from before the state was kept, or whose
// state was lost.
func TestIndexWithoutStateIsRebuilt(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.fill(s.mustStart(ProfileStandard), 5)
	for i := range s.engine.records {
		s.engine.records[i].Tokens = nil
	}
	s.rows = keyringtest.NewTable()
	v := s.mustStart(ProfileStandard)
	if !v.Building() {
		t.Error("unknown tokens are trusted")
	}
	s.check(v, 5, false, "before the rebuild")
	if err := v.ResumeIndex(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.check(v, 5, true, "after it")
	s.check(s.mustStart(ProfileStandard), 5, true, "after a restart")
}

// TestChangedPolicyRebuildsWhatItConcerns: strict moves the tokens of
// Observations, not those of Patient.identifier.
func TestChangedPolicyRebuildsWhatItConcerns(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.fill(s.mustStart(ProfileStandard), 5)
	v := s.mustStart(ProfileStrict)
	if !v.index.Load().lacking["Observation"] || v.index.Load().lacking["Organization"] {
		t.Errorf("types to rebuild: %v", v.state.Todo)
	}
	s.check(v, 5, false, "while the index is of the old policy")
	if err := v.ResumeIndex(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.check(v, 5, true, "after the rebuild")
	if n, p := s.count(v, "Observation", "code=urn:c|c1"); n != 2 || !p.Scan {
		t.Errorf("clinical search without a patient in the strict profile: %d, scan %v", n, p.Scan)
	}
}

func TestRotatedIndexFindsEverythingUnderTheNewKeyOnly(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	v := s.mustStart(ProfileStandard)
	s.fill(v, 10)
	old := v.ring.IndexEpoch()
	drains := 0
	v.drain = func(ctx context.Context) error {
		drains++
		s.check(v, 10, true, "while requests drain")
		return ctx.Err()
	}
	if err := v.RotateIndex(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if epochs := v.ring.IndexEpochs(); len(epochs) != 1 || epochs[0].ID != old.ID+1 || drains != 3 {
		t.Errorf("epochs %d, newest %d, drained %d times", len(epochs), epochs[len(epochs)-1].ID, drains)
	}
	s.check(v, 10, true, "after the rotation")
	s.noTokensOf(v, old, "after the rotation")
	s.fill(v, 12)
	s.check(s.mustStart(ProfileStandard), 12, true, "after a restart")
}

// TestIndexRotationKilledAtEveryStep stops a rotation at each write of the
// engine, the store's table and the keystore, starts again, searches, writes,
// and finishes.
func TestIndexRotationKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	base := newShelf(t)
	v := base.mustStart(ProfileStandard)
	base.fill(v, 6)
	old := v.ring.IndexEpoch()
	for step := 1; ; step++ {
		s := base.clone()
		killed := s.killedRotation(step, nil)
		at := fmt.Sprintf("step %d", step)
		v := s.mustStart(ProfileStandard)
		s.check(v, 6, true, at+", after the restart")
		s.put(v, `{"resourceType":"Patient","id":"p2","identifier":[{"system":"urn:mrn","value":"2"}],"gender":"male"}`)
		s.check(v, 6, true, at+", after a write")
		if err := v.ResumeIndex(t.Context(), nil); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if v.ring.IndexEpoch().ID == old.ID { // killed before the key was made
			if err := v.RotateIndex(t.Context(), nil); err != nil {
				t.Fatalf("%s: %v", at, err)
			}
		}
		if n := len(v.ring.IndexEpochs()); n != 1 {
			t.Fatalf("%s: %d epochs are left", at, n)
		}
		s.check(v, 6, true, at+", at the end")
		s.noTokensOf(v, old, at)
		if !killed {
			if step < 24 {
				t.Errorf("only %d steps were tried", step)
			}
			return
		}
	}
}

// killedRotation lets everything fail from the given step on. drain may be nil.
func (s *shelf) killedRotation(step int, drain func(context.Context) error) bool {
	s.t.Helper()
	v := s.mustStart(ProfileStandard)
	v.drain = drain
	steps, dead := 0, false
	kill := func() error {
		steps++
		if dead = dead || steps == step; dead {
			return errKilled
		}
		return nil
	}
	onTable := func(op keyringtest.Op, _ []byte) error {
		if op == keyringtest.BeforePut || op == keyringtest.AfterPut {
			return kill()
		}
		if dead {
			return errKilled
		}
		return nil
	}
	s.keys.SetFault(onTable)
	s.rows.SetFault(onTable)
	s.engine.fault = func(op string) error {
		if op == "find" {
			return nil
		}
		return kill()
	}
	err := v.RotateIndex(s.t.Context(), nil)
	s.keys.SetFault(nil)
	s.rows.SetFault(nil)
	s.engine.fault = nil
	if dead != (err != nil) || dead && !errors.Is(err, errKilled) {
		s.t.Fatalf("step %d: killed %v, reported %v", step, dead, err)
	}
	return dead
}

var errKilled = errors.New("killed here")

// TestOldDataBesideANewerKeystoreIsIndexedAgain: a data backup from before a
// rotation has tokens that no key makes any more.
func TestOldDataBesideANewerKeystoreIsIndexedAgain(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	v := s.mustStart(ProfileStandard)
	s.fill(v, 5)
	backup := s.clone()
	if err := v.RotateIndex(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.engine, s.rows = backup.engine, backup.rows
	v = s.mustStart(ProfileStandard)
	if !v.Building() {
		t.Error("tokens of a destroyed key are trusted")
	}
	s.check(v, 5, false, "after the restore")
	if err := v.ResumeIndex(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.check(v, 5, true, "after the rebuild")
}

// TestReindexOfAnErasedOwnerLeavesNoTokens: what cannot be opened cannot be
// found either.
func TestReindexOfAnErasedOwnerLeavesNoTokens(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	v := s.mustStart(ProfileStandard)
	s.fill(v, 3)
	owner := v.PatientOwner("p1")
	if err := v.ring.Fence(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	if err := v.Reindex(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for _, rec := range s.engine.records {
		if (len(rec.Tokens) == 0) != (rec.Owner == owner) {
			t.Errorf("%v has %d tokens", rec.Key, len(rec.Tokens))
		}
	}
}

func TestDamagedRecordStopsTheRebuild(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	v := s.mustStart(ProfileStandard)
	s.fill(v, 3)
	s.engine.records[2].Body = s.engine.records[2].Body[:50]
	if err := v.Reindex(t.Context(), nil); err == nil {
		t.Error("a record that cannot be opened was indexed")
	}
}
