package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
)

// Limits of clients that register themselves (RFC 7591 §5: an open endpoint can
// be flooded).
const (
	// MaxWaiting is how many may wait for approval. Each node counts before it
	// writes, so that n nodes at once may write n-1 more.
	MaxWaiting = 100
	// WaitingLife is how long one waits before it is forgotten.
	WaitingLife = 14 * 24 * time.Hour

	maxRedirects     = 10
	maxRedirectBytes = 512
	maxScopes        = 64
)

// waitingPrefix is apart from rowPrefix, so that nothing which looks for a
// client can find one that nobody approved.
const waitingPrefix = "waiting/"

// ErrRedirect means that a client which registers itself may not have the
// redirect URIs.
var ErrRedirect = errors.New("the redirect URIs are refused")

// ErrFull means that as many clients as may wait for approval.
var ErrFull = errors.New("too many clients wait for approval")

// Apply notes a client that registers itself (RFC 7591 §3.1) under an id that is
// drawn here. It is nobody until Approve: it can neither ask a person nor get a
// token, and its keys are not fetched.
func (r *Registry) Apply(ctx context.Context, c Client) (Client, error) {
	c.ID = "self-" + token.Draw("")[:22]
	c.SelfRegistered, c.Created = true, r.o.Now().UTC().Truncate(time.Second)
	if err := c.validateWaiting(); err != nil {
		return c, err
	}
	if err := r.checkKeys(c); err != nil {
		return c, fmt.Errorf("%w: %w", ErrClient, err)
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	waiting, err := r.Waiting(ctx)
	if err != nil {
		return c, err
	}
	if len(waiting) >= MaxWaiting {
		return c, ErrFull
	}
	return c, r.write(ctx, waitingPrefix, c, 0)
}

// validateWaiting is Validate for what nobody vouches for yet: no roles, which
// are given at approval, no administration, and less of everything else.
func (c Client) validateWaiting() error {
	if len(c.Redirects) > maxRedirects || slices.ContainsFunc(c.Redirects, func(u string) bool { return !selfRedirect(u) }) {
		return fmt.Errorf("%w: at most %d, https or on the loopback, without a fragment", ErrRedirect, maxRedirects)
	}
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	c.validateSelf(fault)
	if c.Auth != Public && c.Auth != PrivateKeyJWT {
		fault("the authentication method is none or private_key_jwt")
	}
	// A name is shown to people: nothing in it may reorder or hide text.
	if strings.ContainsFunc(c.Name, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.TrimSpace(c.Name) == "" {
		fault("the name has characters that cannot be printed, or none")
	}
	if len(c.Scopes) > maxScopes || slices.Contains(c.Scopes, smart.Admin) {
		fault("more scopes than %d, or administration", maxScopes)
	}
	if len(errs) > 0 {
		return fmt.Errorf("%w: %w", ErrClient, errors.Join(errs...))
	}
	return nil
}

// selfRedirect is narrower than validRedirect: nobody can tell whose a private
// scheme is.
func selfRedirect(text string) bool {
	u, err := url.Parse(text)
	return err == nil && len(text) <= maxRedirectBytes && validRedirect(text) && (u.Scheme == "https" || u.Scheme == "http")
}

// Waiting returns the clients that wait for approval, in the order of their ids.
func (r *Registry) Waiting(ctx context.Context) (all []Client, err error) {
	for stored, err := range r.o.Table.Scan(ctx, []byte(waitingPrefix)) {
		if err != nil {
			return nil, fmt.Errorf("reading waiting clients: %w", err)
		}
		c, err := r.decode(waitingPrefix, stored.Key, stored.Value)
		if err != nil {
			return nil, err
		}
		if r.waits(c) {
			all = append(all, c)
		}
	}
	return all, nil
}

func (r *Registry) waits(c Client) bool { return r.o.Now().Before(c.Created.Add(WaitingLife)) }

func (r *Registry) loadWaiting(ctx context.Context, id string) (c Client, revision uint64, err error) {
	if c, revision, err = r.loadFrom(ctx, waitingPrefix, id); err == nil && !r.waits(c) {
		err = ErrUnknown
	}
	return c, revision, err
}

// Approve registers a client that waits, as edit leaves it. A name that another
// client in force has is refused: people could not tell the two apart.
func (r *Registry) Approve(ctx context.Context, id string, edit func(*Client) error) (Client, error) {
	c, revision, err := r.loadWaiting(ctx, id)
	if err != nil {
		return c, err
	}
	if err := edit(&c); err != nil {
		return c, err
	}
	c.Created = r.o.Now().UTC().Truncate(time.Second)
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("%w: %w", ErrClient, err)
	}
	all, err := r.List(ctx)
	if err != nil {
		return c, err
	}
	for _, have := range all {
		if have.Disabled.IsZero() && have.ID != id && strings.EqualFold(strings.TrimSpace(have.Name), strings.TrimSpace(c.Name)) {
			return c, fmt.Errorf("%w: client %s has the same name; give this one another", ErrClient, have.ID)
		}
	}
	if err := r.put(ctx, c, 0); err != nil {
		if errors.Is(err, repository.ErrConflict) {
			err = fmt.Errorf("%w: it was approved already", ErrClient)
		}
		return c, err
	}
	err = r.forget(ctx, id, revision)
	if errors.Is(err, ErrUnknown) { // rejected meanwhile, which counts
		err = errors.Join(err, r.Disable(ctx, id))
	}
	return c, err
}

// Reject forgets a client that waits, and ends what an approval that broke off
// may have left of it.
func (r *Registry) Reject(ctx context.Context, id string) error {
	_, revision, err := r.loadWaiting(ctx, id)
	if err != nil {
		return err
	}
	if err := r.forget(ctx, id, revision); err != nil {
		return err
	}
	if err := r.Disable(ctx, id); !errors.Is(err, ErrUnknown) {
		return err
	}
	return nil
}

func (r *Registry) forget(ctx context.Context, id string, revision uint64) error {
	err := r.o.Table.DeleteIf(ctx, []byte(waitingPrefix+id), revision)
	if errors.Is(err, repository.ErrNotFound) || errors.Is(err, repository.ErrConflict) {
		return ErrUnknown // another officer was faster
	}
	return err
}
