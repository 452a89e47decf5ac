package office

import (
	"context"
	"errors"
	"time"

	"github.com/fieldseal/fieldseal/authz/glass"
)

// Glasses keeps the emergency accesses (authz/glass).
type Glasses interface {
	All(ctx context.Context) ([]glass.Record, error)
	Close(ctx context.Context, id string, v glass.Review) (glass.Record, error)
}

// GlassQuery asks for emergency accesses.
type GlassQuery struct {
	Open bool `json:"open,omitempty"` // only those without a review
}

// Emergency is an emergency access with the state of its review.
type Emergency struct {
	glass.Record
	Due     time.Time `json:"due"`
	Overdue bool      `json:"overdue"`
}

func (o *Office) listGlasses(ctx context.Context, a Actor, in GlassQuery) (any, error) {
	all, err := o.Glasses.All(ctx)
	if err == nil {
		err = o.did(ctx, a, "break-glass-list", "", func() error { return nil })
	}
	if err != nil {
		return nil, err
	}
	list := []Emergency{}
	for _, r := range all {
		if !in.Open || r.Review == nil {
			list = append(list, Emergency{Record: r, Due: r.Due(), Overdue: r.Overdue(o.Now())})
		}
	}
	return list, nil
}

// GlassReview closes the review of an emergency access.
type GlassReview struct {
	ID       string         `json:"id"`
	Decision glass.Decision `json:"decision"`
	Comment  string         `json:"comment,omitempty"`
}

// reviewGlass decides as the actor, who is never the one who broke the glass.
func (o *Office) reviewGlass(ctx context.Context, a Actor, in GlassReview) (any, error) {
	by := a.account
	if by == "" {
		by = a.person()
	}
	var r glass.Record
	err := o.did(ctx, a, "break-glass-review", in.ID+": "+string(in.Decision), func() (err error) {
		r, err = o.Glasses.Close(ctx, in.ID, glass.Review{By: by, Decision: in.Decision, Comment: in.Comment})
		return err
	})
	if errors.Is(err, glass.ErrUnknown) || errors.Is(err, glass.ErrInvalid) || errors.Is(err, glass.ErrReviewed) {
		err = &Refusal{Text: err.Error(), Conflict: errors.Is(err, glass.ErrReviewed), cause: err}
	}
	return r, err
}
