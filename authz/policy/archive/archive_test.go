package archive

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

func TestEveryNodeFollowsThePointer(t *testing.T) {
	t.Parallel()
	a, table := bootstrapped(t)
	b := newNode(t, table)
	wants(t, b.Refresh(t.Context()), nil)
	if a.extra(t) || b.extra(t) {
		t.Fatal("the first policy has the role of the second")
	}
	v := a.change(t, second)
	if v.Number != 2 || v.Author != "user:ann" || v.Approver != "user:bob" || v.Previous == "" || !a.extra(t) {
		t.Errorf("%+v, in force on this node: %v", v, a.extra(t))
	}
	if b.extra(t) {
		t.Error("another node follows without reading")
	}
	wants(t, b.Refresh(t.Context()), nil)
	if !b.extra(t) || b.Status().Version != 2 {
		t.Errorf("the other node does not follow: %+v", b.Status())
	}
	if got := b.told(); len(got) > 0 {
		t.Errorf("trouble %v", got)
	}
}

// Every node has a new policy within five seconds: it looks every two.
func TestNodesFollowByThemselves(t *testing.T) {
	t.Parallel()
	a, table := bootstrapped(t)
	b := newNode(t, table)
	wants(t, b.Refresh(t.Context()), nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { b.Run(ctx); close(done) }()
	a.change(t, second)
	start := time.Now()
	for !b.extra(t) {
		if time.Since(start) > 30*time.Second { // a busy machine
			t.Fatal("the other node does not follow")
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("visible on the other node after %v", time.Since(start))
	stop()
	<-done
	if PollEvery > 2*time.Second {
		t.Error("nodes look too seldom for five seconds")
	}
}

func TestBootstrapHappensOnce(t *testing.T) {
	t.Parallel()
	_, table := bootstrapped(t)
	b := newNode(t, table)
	wants(t, b.Bootstrap(t.Context(), second, "setup", "second start"), nil)
	if b.extra(t) {
		t.Error("a later start replaces the policy")
	}
	c := newNode(t, keyringtest.NewTable())
	var ps policy.Problems
	if err := c.Bootstrap(t.Context(), "role, role:x, x\np, role:x, Patient, read, *, *, org, allow\n", "setup", "x"); !errors.As(err, &ps) {
		t.Errorf("a policy that locks everybody out becomes version 1: %v", err)
	}
	if _, err := c.Decide(t.Context(), authz.Subject{}, authz.Request{}); !errors.Is(err, authz.ErrNoPolicy) {
		t.Errorf("without a policy: %v", err)
	}
}

func TestManyNodesBootstrapOnePolicy(t *testing.T) {
	t.Parallel()
	table := keyringtest.NewTable()
	texts := []string{string(policy.Default()), second}
	var wg sync.WaitGroup
	nodes := make([]*node, 6)
	for i := range nodes {
		nodes[i] = newNode(t, table)
		wg.Go(func() {
			if err := nodes[i].Bootstrap(t.Context(), texts[i%2], "setup", "x"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, n := range nodes {
		if n.extra(t) != nodes[0].extra(t) || n.Status().Version != 1 {
			t.Errorf("nodes differ: %+v", n.Status())
		}
	}
}

func TestOfTwoOfficersOneWins(t *testing.T) {
	t.Parallel()
	a, table := bootstrapped(t)
	b := newNode(t, table)
	var ids []string
	for _, n := range []*node{a, b} {
		p, err := n.Propose(t.Context(), Proposal{Text: second, Author: "user:ann", Reason: "a reason"})
		wants(t, err, nil)
		ids = append(ids, p.ID)
	}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, n := range []*node{a, b} {
		wg.Go(func() { _, errs[i] = n.Activate(t.Context(), ids[i], "user:bob") })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), ErrStale) {
		t.Errorf("%v", errs)
	}
}

// A proposal was compared with the policy of its time.
func TestProposalThatWasOvertakenIsStale(t *testing.T) {
	t.Parallel()
	a, _ := bootstrapped(t)
	p, err := a.Propose(t.Context(), Proposal{Text: second, Author: "user:ann", Reason: "a reason"})
	wants(t, err, nil)
	a.change(t, string(policy.Default())+"# other\n")
	_, err = a.Activate(t.Context(), p.ID, "user:bob")
	wants(t, err, ErrStale)
	_, err = a.Activate(t.Context(), "unknown", "user:bob")
	wants(t, err, ErrUnknown)
	wants(t, a.Discard(t.Context(), p.ID), nil)
	wants(t, a.Discard(t.Context(), p.ID), ErrUnknown)
}

func TestRefusedPolicyLeavesTheActiveOne(t *testing.T) {
	t.Parallel()
	a, _ := bootstrapped(t)
	for name, p := range map[string]Proposal{
		"fault":           {Text: "p, role:x, Patient, read, *, *, org, allow\n", Author: "user:ann", Reason: "x"},
		"lock-out":        {Text: "role, role:x, x\np, role:x, Patient, read, *, *, org, allow\n", Author: "user:ann", Reason: "x"},
		"golden decision": {Text: second + "p, role:clinician, AuditEvent, read, *, *, all_patients, allow\n", Author: "user:ann", Reason: "x"},
		"no reason":       {Text: second, Author: "user:ann"},
		"long reason":     {Text: second, Author: "user:ann", Reason: strings.Repeat("x", maxReason+1)},
		"too large":       {Text: strings.Repeat("#", MaxTextBytes+1), Author: "user:ann", Reason: "x"},
	} {
		if _, err := a.Propose(t.Context(), p); err == nil {
			t.Errorf("%s: proposed", name)
		}
	}
	if list, err := a.Proposals(t.Context()); err != nil || len(list) > 0 || a.Status().Version != 1 {
		t.Errorf("%v %v %+v", list, err, a.Status())
	}
}

// The trouble of one node: it keeps what it verified last, and says so once.
func TestNodeThatCannotReadKeepsTheLastVerifiedPolicy(t *testing.T) {
	t.Parallel()
	a, table := bootstrapped(t)
	b := newNode(t, table)
	wants(t, b.Refresh(t.Context()), nil)
	a.change(t, second)
	broken := errors.New("unplugged")
	table.SetFault(func(keyringtest.Op, []byte) error { return broken })
	for range 3 {
		wants(t, b.Refresh(t.Context()), broken)
	}
	if b.extra(t) || b.Status().Trouble == nil || len(b.told()) != 1 {
		t.Errorf("%+v", b.Status())
	}
	if c := newNode(t, table); c.Refresh(t.Context()) == nil {
		t.Error("a node without any policy reads from a broken table")
	}
	table.SetFault(nil)
	wants(t, b.Refresh(t.Context()), nil)
	if got := b.told(); !b.extra(t) || b.Status().Trouble != nil || len(got) != 1 || got[0] != nil {
		t.Errorf("%+v %v", b.Status(), got)
	}
}

// Whoever writes to the database makes no policy.
func TestForgedRowsAreNotFollowed(t *testing.T) {
	t.Parallel()
	row := func(t *testing.T, table *keyringtest.Table, key []byte) repository.Row {
		r, err := table.Get(t.Context(), key)
		wants(t, err, nil)
		return r
	}
	for name, forge := range map[string]func(t *testing.T, table *keyringtest.Table){
		"changed text": func(t *testing.T, table *keyringtest.Table) {
			r := row(t, table, versionKey(2))
			table.Put(r.Key, []byte(strings.Replace(string(r.Value), "reads conditions", "reads everything", 1)))
		},
		"other author": func(t *testing.T, table *keyringtest.Table) {
			r := row(t, table, versionKey(2))
			table.Put(r.Key, []byte(strings.Replace(string(r.Value), "user:ann", "user:eve", 1)))
		},
		"another version in its place": func(t *testing.T, table *keyringtest.Table) {
			table.Put(versionKey(2), row(t, table, versionKey(1)).Value)
		},
		"pointer with another key's mac": func(t *testing.T, table *keyringtest.Table) {
			table.Put([]byte(pointerKey), row(t, table, versionKey(1)).Value)
		},
		"version removed": func(t *testing.T, table *keyringtest.Table) {
			r := row(t, table, versionKey(1))
			wants(t, table.DeleteIf(t.Context(), r.Key, r.Revision), nil)
		},
		"not JSON": func(t *testing.T, table *keyringtest.Table) { table.Put([]byte(pointerKey), []byte("{")) },
		"another chain": func(t *testing.T, table *keyringtest.Table) {
			other := newNode(t, keyringtest.NewTable())
			wants(t, other.Bootstrap(t.Context(), second, "setup", "x"), nil)
			table.Put(versionKey(1), row(t, other.opt.Table.(*keyringtest.Table), versionKey(1)).Value)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, table := bootstrapped(t)
			a.change(t, second)
			forge(t, table)
			fresh := newNode(t, table)
			if err := fresh.Refresh(t.Context()); err == nil {
				t.Error("a fresh node follows")
			}
			if _, err := fresh.Decide(t.Context(), authz.Subject{}, authz.Request{}); !errors.Is(err, authz.ErrNoPolicy) {
				t.Errorf("a fresh node decides: %v", err)
			}
		})
	}
}

func TestPointerThatGoesBackIsNotFollowed(t *testing.T) {
	t.Parallel()
	a, table := bootstrapped(t)
	old, err := table.Get(t.Context(), []byte(pointerKey))
	wants(t, err, nil)
	a.change(t, second)
	table.Put(old.Key, old.Value)
	wants(t, a.Refresh(t.Context()), ErrForged)
	if !a.extra(t) {
		t.Error("the node follows a pointer that it had left behind")
	}
	// Officers mend it: the next activation replaces the pointer.
	table.Put(old.Key, []byte("{}"))
	a.change(t, second+"# mended\n")
	if got := a.Status(); got.Version != 3 || got.Sequence != 3 || got.Trouble != nil {
		t.Errorf("%+v", got)
	}
}

// A crash between the version and the pointer leaves a version that is not in
// force; the next change follows it in the chain.
func TestActivationThatWasCutShortIsHarmless(t *testing.T) {
	t.Parallel()
	a, table := bootstrapped(t)
	p, err := a.Propose(t.Context(), Proposal{Text: second, Author: "user:ann", Reason: "a reason"})
	wants(t, err, nil)
	broken := errors.New("power cut")
	table.SetFault(func(op keyringtest.Op, key []byte) error {
		if op == keyringtest.BeforePut && string(key) == pointerKey {
			return broken
		}
		return nil
	})
	_, err = a.Activate(t.Context(), p.ID, "user:bob")
	wants(t, err, broken)
	table.SetFault(nil)
	b := newNode(t, table)
	wants(t, b.Refresh(t.Context()), nil)
	if b.extra(t) || b.Status().Version != 1 {
		t.Errorf("the version is in force: %+v", b.Status())
	}
	v, err := b.Activate(t.Context(), p.ID, "user:bob")
	wants(t, err, nil)
	if v.Number != 3 || !b.extra(t) {
		t.Errorf("%+v", v)
	}
	n := 0
	for _, err := range b.History(t.Context()) {
		wants(t, err, nil)
		n++
	}
	if n != 3 {
		t.Errorf("%d versions", n)
	}
}
