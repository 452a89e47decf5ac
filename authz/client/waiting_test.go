package client

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
)

func selfDescribed() Client {
	return Client{Name: "Walk diary", Auth: Public, Redirects: []string{"https://diary.example/cb"}, Scopes: []string{"launch/patient", "patient/*.rs"}}
}

func same(*Client) error { return nil }

func TestWaitingClientIsNobodyUntilApproved(t *testing.T) {
	t.Parallel()
	n := fresh()
	c, err := n.Apply(t.Context(), selfDescribed())
	if err != nil || !c.SelfRegistered {
		t.Fatalf("%+v %v", c, err)
	}
	if _, err := n.Get(t.Context(), c.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("it is registered: %v", err)
	}
	if _, err := n.Show(t.Context(), c.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("it is shown as registered: %v", err)
	}
	other := newNode(n.table, n.clock)
	if _, err := other.Approve(t.Context(), c.ID, func(k *Client) error { k.Name = "Diary"; return nil }); err != nil {
		t.Fatal(err)
	}
	if got, err := n.Get(t.Context(), c.ID); err != nil || got.Name != "Diary" || !got.SelfRegistered {
		t.Errorf("%+v %v", got, err)
	}
	if waiting, err := n.Waiting(t.Context()); err != nil || len(waiting) != 0 {
		t.Errorf("it still waits: %v %v", waiting, err)
	}
	for what, err := range map[string]error{"approved twice": second(n.Approve(t.Context(), c.ID, same)), "rejected afterwards": n.Reject(t.Context(), c.ID)} {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func second(_ Client, err error) error { return err }

// Of two officers who decide at the same time, the one who rejects counts.
func TestRejectionMeetsApproval(t *testing.T) {
	t.Parallel()
	n := fresh()
	c, err := n.Apply(t.Context(), selfDescribed())
	if err != nil {
		t.Fatal(err)
	}
	other := newNode(n.table, n.clock)
	_, err = n.Approve(t.Context(), c.ID, func(*Client) error { return other.Reject(t.Context(), c.ID) })
	if !errors.Is(err, ErrUnknown) {
		t.Errorf("approved what was rejected: %v", err)
	}
	// An approval that broke off after it had registered.
	half, err := n.Apply(t.Context(), selfDescribed())
	if err != nil {
		t.Fatal(err)
	}
	if err := n.put(t.Context(), half, 0); err != nil {
		t.Fatal(err)
	}
	if err := other.Reject(t.Context(), half.ID); err != nil {
		t.Error(err)
	}
	n.clock.Advance(CacheTTL)
	for what, id := range map[string]string{"rejected first": c.ID, "registered by half": half.ID} {
		if got, err := n.Get(t.Context(), id); err == nil && got.Disabled.IsZero() {
			t.Errorf("%s: it is in force", what)
		}
	}
}

// People could not tell an app from another one that took its name.
func TestWaitingClientDoesNotTakeAName(t *testing.T) {
	t.Parallel()
	n := fresh()
	if _, err := n.Add(t.Context(), app()); err != nil {
		t.Fatal(err)
	}
	c := selfDescribed()
	c.Name = "growth CHART "
	c, err := n.Apply(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Approve(t.Context(), c.ID, same); !errors.Is(err, ErrClient) || !strings.Contains(err.Error(), "same name") {
		t.Errorf("%v", err)
	}
	if _, err := n.Approve(t.Context(), c.ID, func(k *Client) error { k.Scopes = []string{"system/*.rs"}; return nil }); !errors.Is(err, ErrClient) {
		t.Errorf("an app got system scopes: %v", err)
	}
}

// Who can write the table but has no key can neither approve a client nor
// change what waits.
func TestWaitingRowMovedToTheRegisteredIsRefused(t *testing.T) {
	t.Parallel()
	n := fresh()
	c, err := n.Apply(t.Context(), selfDescribed())
	if err != nil {
		t.Fatal(err)
	}
	stored, err := n.table.Get(t.Context(), []byte(waitingPrefix+c.ID))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.table.PutIf(t.Context(), []byte(rowPrefix+c.ID), stored.Value, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Get(t.Context(), c.ID); !errors.Is(err, repository.ErrCorrupt) {
		t.Errorf("moved: %v", err)
	}
	altered := strings.Replace(string(stored.Value), "patient/*.rs", "patient/*.cr", 1)
	if _, err := n.table.PutIf(t.Context(), stored.Key, []byte(altered), stored.Revision); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Approve(t.Context(), c.ID, same); !errors.Is(err, repository.ErrCorrupt) {
		t.Errorf("altered: %v", err)
	}
}

func TestWaitingClientIsForgottenInTime(t *testing.T) {
	t.Parallel()
	n := fresh()
	c, err := n.Apply(t.Context(), selfDescribed())
	if err != nil {
		t.Fatal(err)
	}
	n.clock.Advance(WaitingLife)
	if waiting, err := n.Waiting(t.Context()); err != nil || len(waiting) != 0 {
		t.Errorf("%v %v", waiting, err)
	}
	if _, err := n.Approve(t.Context(), c.ID, same); !errors.Is(err, ErrUnknown) {
		t.Errorf("approved: %v", err)
	}
}
