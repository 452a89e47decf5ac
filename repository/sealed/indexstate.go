package sealed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/fieldseal/fieldseal/crypto/blind"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// indexFormat counts the rules of terms.go, calendar.go and bucket.go: which
// terms a value has. A change of them raises it, and the index is rebuilt at
// the next start.
const indexFormat = 1

// indexRow is the key of the state of the index (docs/format/index.md).
const indexRow = "index"

// indexState is what the stored tokens are, and what is left to rebuild.
type indexState struct {
	// Epoch is the index epoch under which every record has its tokens, but for
	// those of the types in Todo, which may have them under Next already.
	Epoch uint32 `json:"epoch"`
	Next  uint32 `json:"next"`
	// Ready has per type the digest of the rules by which its records have
	// tokens. A type without one, or with another, cannot be asked by tokens.
	Ready map[string]string `json:"ready"`
	// Todo are the types whose records are to get new tokens, the first of them
	// from Cursor on.
	Todo   []string `json:"todo,omitempty"`
	Cursor []byte   `json:"cursor,omitempty"`
	Aim    string   `json:"aim,omitempty"` // digest that the cursor's pass writes
	// All: the pass under way is to go over every type.
	All bool `json:"all,omitempty"`
}

// indexKeys are the tokenizers in force.
type indexKeys struct {
	write *blind.Tokenizer   // of new tokens
	ask   []*blind.Tokenizer // of every epoch whose tokens may be stored
	// lacking are the types whose records may lack tokens that a plan would ask
	// for.
	lacking map[string]bool
}

// RuleDigest names the rules by which records have tokens. Nodes that write to
// one store must have the same.
func RuleDigest(c *search.Catalog, p *IndexPolicy) string {
	h := sha256.New()
	for _, typ := range c.Registry().ResourceTypes() {
		fmt.Fprintln(h, typeDigest(c, p, typ))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// ruleDigest names the rules by which a type's records have tokens.
func (v *Vault) ruleDigest(resourceType string) string {
	return typeDigest(v.catalog, v.policy, resourceType)
}

func typeDigest(c *search.Catalog, policy *IndexPolicy, resourceType string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %v\n", indexFormat, blind.NormaliserVersion, policy.prefixes)
	for _, p := range c.Parameters(resourceType) {
		fmt.Fprintf(h, "%q %q %d %d %q %q %q\n", p.Code, p.URL, p.Kind, policy.reach[p], p.Covering, p.Targets, p.Paths)
		if own := policy.lengths[p]; own != nil {
			fmt.Fprintf(h, "%v\n", own)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// openIndex reads the state and adds what has changed since it was written:
// rules, or index epochs that were lost. Without a state every type that has
// records is rebuilt. Nothing is saved before somebody writes: a tool that was
// started with another policy leaves no trace when it only reads.
//
// New tokens are of the epoch that the state names, also when there is a newer
// one: other nodes may not ask under that yet (catchUp).
func (v *Vault) openIndex(ctx context.Context) error {
	if err := v.readState(ctx); err != nil {
		return fmt.Errorf("reading the state of the index: %w", err)
	}
	st, epochs := &v.state, v.ring.IndexEpochs()
	newest := epochs[len(epochs)-1].ID
	if st.Epoch == 0 {
		st.Epoch, st.Next = newest, newest
	}
	have := func(epoch uint32) bool {
		return slices.ContainsFunc(epochs, func(e keyring.Epoch) bool { return e.ID == epoch })
	}
	if !have(st.Next) { // older data beside the keystore: its tokens are dead
		st.restart(newest, v.catalog.Registry().ResourceTypes())
	}
	if err := v.compareRules(ctx, !have(st.Epoch)); err != nil {
		return err
	}
	if len(st.Todo) == 0 || st.Aim != v.ruleDigest(st.Todo[0]) {
		st.Cursor, st.Aim = nil, ""
	}
	v.takeEpochs(st.Next)
	return nil
}

// compareRules adds the types to the work whose records have tokens by other
// rules, or of an epoch that is lost.
func (v *Vault) compareRules(ctx context.Context, lost bool) error {
	st := &v.state
	for _, typ := range v.catalog.Registry().ResourceTypes() {
		digest := v.ruleDigest(typ)
		if st.Ready[typ] == digest && !(lost && slices.Contains(st.Todo, typ)) {
			continue
		}
		held, err := v.holdsType(ctx, typ)
		if err != nil {
			return fmt.Errorf("looking for records to index: %w", err)
		}
		if !held {
			st.Ready[typ] = digest
			continue
		}
		delete(st.Ready, typ)
		if !slices.Contains(st.Todo, typ) {
			st.Todo = append(st.Todo, typ)
		}
	}
	return nil
}

// Reload takes over what another node changed: KEKs and index epochs in the
// keyring, and the state of the index. While this node works on the index it
// knows that best.
func (v *Vault) Reload(ctx context.Context) error {
	if v.table == nil || !v.indexing.TryLock() {
		return v.ring.Reload(ctx)
	}
	defer v.indexing.Unlock()
	return v.reload(ctx)
}

// reload is Reload; indexing is held.
func (v *Vault) reload(ctx context.Context) error {
	if v.table == nil {
		return nil
	}
	if err := v.ring.Reload(ctx); err != nil {
		return err
	}
	v.settling.Lock()
	defer v.settling.Unlock()
	return v.openIndex(ctx)
}

// restart begins a pass over all types that writes one epoch.
func (s *indexState) restart(epoch uint32, types []string) {
	s.Next, s.All, s.Todo, s.Cursor, s.Aim = epoch, true, slices.Clone(types), nil, ""
}

// settle makes the state that was found at the start durable. It comes before
// the first write: a later start with other rules must know that there are
// records of these.
func (v *Vault) settle(ctx context.Context) error {
	if v.settled.Load() {
		return nil
	}
	v.settling.Lock()
	defer v.settling.Unlock()
	if v.settled.Load() {
		return nil
	}
	for {
		err := v.saveState(ctx)
		if err == nil {
			v.settled.Store(true)
			return nil
		}
		if !errors.Is(err, repository.ErrConflict) {
			return err
		}
		if err := v.openIndex(ctx); err != nil { // another node was faster
			return err
		}
	}
}

func (v *Vault) holdsType(ctx context.Context, resourceType string) (bool, error) {
	page, err := v.store.Find(ctx, repository.Query{Type: resourceType, Limit: 1})
	return len(page.Records) > 0, err
}

// takeEpochs makes new tokens come from the given epoch, and plans ask under
// all of them.
func (v *Vault) takeEpochs(write uint32) {
	k := &indexKeys{lacking: map[string]bool{}}
	for _, e := range v.ring.IndexEpochs() {
		t := v.tokenizer(e.Key, v.ring.Tenant())
		if k.ask = append(k.ask, t); e.ID == write {
			k.write = t
		}
	}
	for _, typ := range v.catalog.Registry().ResourceTypes() {
		if _, ready := v.state.Ready[typ]; !ready {
			k.lacking[typ] = true
		}
	}
	v.index.Store(k)
}

// Building reports whether records of some type may still lack tokens: plans
// leave their conditions to the recheck.
func (v *Vault) Building() bool { return len(v.index.Load().lacking) > 0 }

func (v *Vault) readState(ctx context.Context) error {
	v.state = indexState{Ready: map[string]string{}}
	if v.table == nil {
		return nil
	}
	row, err := v.table.Get(ctx, []byte(indexRow))
	if errors.Is(err, repository.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	v.stateRevision, v.savedState = row.Revision, row.Value
	if err := json.Unmarshal(row.Value, &v.state); err != nil {
		return fmt.Errorf("%w: malformed row", repository.ErrCorrupt)
	}
	if v.state.Ready == nil {
		v.state.Ready = map[string]string{}
	}
	return nil
}

func (v *Vault) saveState(ctx context.Context) error {
	if v.table == nil {
		return nil
	}
	b, err := json.Marshal(v.state)
	if err != nil || bytes.Equal(b, v.savedState) {
		return err
	}
	revision, err := v.table.PutIf(ctx, []byte(indexRow), b, v.stateRevision)
	if err != nil {
		return fmt.Errorf("saving the state of the index: %w", err)
	}
	v.stateRevision, v.savedState = revision, b
	return nil
}
