package archive

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/repository"
)

// maxReason bounds what stands in a version and in the audit trail.
const maxReason = 500

// Review reads a text with everything that is asked of it before it may be
// activated.
func (a *Archive) Review(text string, overrides []policy.Override) (*policy.Decider, policy.Problems, error) {
	if len(text) > MaxTextBytes {
		return nil, nil, policy.Problems{{Reason: fmt.Sprintf("the policy is larger than %d bytes", MaxTextBytes)}}
	}
	o := a.opt.Policy
	o.Policy = []byte(text)
	return policy.Review(o, overrides)
}

// Bootstrap makes a text version 1 and activates it, unless there is a version
// already. Of several nodes that do it at once one wins, and all follow it.
func (a *Archive) Bootstrap(ctx context.Context, text, author, reason string) error {
	switch _, _, err := a.readPointer(ctx); {
	case err == nil:
		return a.Refresh(ctx)
	case !errors.Is(err, repository.ErrNotFound):
		return errors.Join(err, a.Refresh(ctx))
	}
	if _, _, err := a.Review(text, nil); err != nil {
		return err
	}
	first, err := a.Version(ctx, 1)
	if errors.Is(err, ErrUnknown) {
		first = Version{Number: 1, Text: text, Author: author, Approver: author, Reason: reason}
		if first, err = a.store(ctx, first); errors.Is(err, ErrStale) {
			first, err = a.Version(ctx, 1)
		}
	}
	if err != nil {
		return err
	}
	if _, err := a.Version(ctx, 2); !errors.Is(err, ErrUnknown) { // versions without a pointer: somebody removed it
		return errors.Join(fmt.Errorf("the policy pointer is missing beside later versions: %w", ErrForged), err)
	}
	if err := a.point(ctx, pointer{1, 1, first.Hash}, 0); err != nil && !errors.Is(err, ErrStale) {
		return err
	}
	return a.Refresh(ctx)
}

// store writes a version if its number is free.
func (a *Archive) store(ctx context.Context, v Version) (Version, error) {
	v.Model, v.Time = policy.ModelHash(), a.opt.Now().UTC().Truncate(time.Second)
	key := versionKey(v.Number)
	value, hash, err := a.encode(key, v)
	if err != nil {
		return v, err
	}
	v.Hash = hash
	if _, err := a.opt.Table.PutIf(ctx, key, value, 0); errors.Is(err, repository.ErrConflict) {
		return v, ErrStale
	} else if err != nil {
		return v, fmt.Errorf("storing a policy version: %w", err)
	}
	return v, nil
}

// point moves the pointer by compare-and-set.
func (a *Archive) point(ctx context.Context, p pointer, revision uint64) error {
	key := []byte(pointerKey)
	value, _, err := a.encode(key, p)
	if err != nil {
		return err
	}
	if _, err := a.opt.Table.PutIf(ctx, key, value, revision); errors.Is(err, repository.ErrConflict) {
		return ErrStale
	} else if err != nil {
		return fmt.Errorf("activating a policy: %w", err)
	}
	return nil
}

// Propose stores a policy that waits for an approver. It must pass Review.
func (a *Archive) Propose(ctx context.Context, p Proposal) (Proposal, error) {
	if err := CheckReason(p.Reason); err != nil {
		return p, err
	}
	if _, _, err := a.Review(p.Text, p.Overrides); err != nil {
		return p, err
	}
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return p, fmt.Errorf("naming a proposal: %w", err)
	}
	p.ID, p.Time, p.Base = hex.EncodeToString(id[:]), a.opt.Now().UTC().Truncate(time.Second), ""
	if err := a.Refresh(ctx); err != nil && !errors.Is(err, authz.ErrNoPolicy) && !errors.Is(err, ErrForged) {
		return p, err
	}
	if v, _, err := a.Active(); err == nil {
		p.Base = v.Hash
	}
	key := proposalKey(p.ID)
	value, _, err := a.encode(key, p)
	if err != nil {
		return p, err
	}
	if _, err := a.opt.Table.PutIf(ctx, key, value, 0); err != nil {
		return p, fmt.Errorf("storing a policy proposal: %w", err)
	}
	return p, nil
}

// CheckReason refuses a change without a reason.
func CheckReason(reason string) error {
	if reason == "" || len(reason) > maxReason {
		return fmt.Errorf("%w: 1 to %d bytes that stand in the version and in the audit trail", ErrReason, maxReason)
	}
	return nil
}

// Discard removes a proposal.
func (a *Archive) Discard(ctx context.Context, id string) error {
	row, err := a.opt.Table.Get(ctx, proposalKey(id))
	if err == nil {
		err = a.opt.Table.DeleteIf(ctx, row.Key, row.Revision)
	}
	if errors.Is(err, repository.ErrNotFound) {
		return ErrUnknown
	}
	return err
}

// Activate makes a proposal the next version and the one in force, at once on
// this node. A policy that is not in force any more when the proposal was made
// is ErrStale: the approver looked at another difference. The proposal is
// reviewed again, since this binary may ask more than the one it was made with.
func (a *Archive) Activate(ctx context.Context, id, approver string) (Version, error) {
	p, err := a.Proposal(ctx, id)
	if err != nil {
		return Version{}, err
	}
	if _, _, err := a.Review(p.Text, p.Overrides); err != nil {
		return Version{}, err
	}
	at, revision, err := a.readPointer(ctx)
	if l := a.current.Load(); errors.Is(err, ErrForged) && l != nil {
		at, err = l.pointer, nil // an approved policy replaces a pointer that nobody of us wrote
	}
	if err != nil && !errors.Is(err, repository.ErrNotFound) {
		return Version{}, err
	}
	if at.Hash != p.Base {
		return Version{}, ErrStale
	}
	last, err := a.last(ctx)
	if err != nil {
		return Version{}, err
	}
	v, err := a.store(ctx, Version{Number: last.Number + 1, Text: p.Text, Author: p.Author, Approver: approver,
		Reason: p.Reason, Overrides: p.Overrides, Previous: last.Hash})
	if err != nil {
		return v, err
	}
	if err := a.point(ctx, pointer{at.Sequence + 1, v.Number, v.Hash}, revision); err != nil {
		return v, err
	}
	_ = a.Discard(ctx, id) // one that stays is stale and cannot be activated again
	return v, a.Refresh(ctx)
}

// last is the newest version, in force or left behind by an activation that
// was cut short.
func (a *Archive) last(ctx context.Context) (last Version, err error) {
	for v, err := range a.History(ctx) {
		if err != nil {
			return v, err
		}
		last = v
	}
	return last, nil
}
