package office

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/smart"
)

// Signing is the key that signs id_tokens (authz/oauth).
type Signing interface {
	// RotateSigningKey makes a new key and returns its id and when it signs.
	RotateSigningKey(ctx context.Context) (kid string, from time.Time, err error)
}

// ClientRequest names a client; client/add reads all of it, the others the id.
type ClientRequest struct {
	Client client.Client `json:"client"`
}

// ClientSecret is what was made for a client; the secret is shown once and empty
// when the client has none.
type ClientSecret struct {
	ID     string `json:"id"`
	Secret string `json:"secret,omitempty"`
}

func (o *Office) addClient(ctx context.Context, a Actor, in ClientRequest) (any, error) {
	if err := o.declared(in.Client); err != nil {
		return nil, err
	}
	if err := in.Client.Validate(); err != nil {
		return nil, &Refusal{Text: err.Error(), cause: err}
	}
	out := ClientSecret{ID: in.Client.ID}
	err := o.didToClient(ctx, a, "client-add", in.Client.ID, func() (err error) {
		out.Secret, err = o.Clients.Add(ctx, in.Client)
		return err
	})
	return out, err
}

// declared refuses roles that the policy in force does not declare, and a
// purpose that none of its rules is for: such a client would silently get
// nothing.
func (o *Office) declared(c client.Client) error {
	_, d, err := o.Policies.Active()
	if err != nil {
		return err
	}
	for _, role := range c.Roles {
		if !slices.Contains(d.Roles(), role) {
			return refuse("the policy in force declares no %s", role)
		}
	}
	if known := d.Purposes(); c.Purpose != "" && !slices.Contains(known, c.Purpose) {
		return refuse("no rule of the policy in force is for the purpose; those it has are %s", strings.Join(known, ", "))
	}
	return nil
}

func (o *Office) didToClient(ctx context.Context, a Actor, subtype, id string, effect func() error) error {
	return o.did(ctx, a, subtype, "", effect, audit.Entity{Type: "Client", ID: id})
}

// waitingClients are those that registered themselves and wait.
func (o *Office) waitingClients(ctx context.Context, a Actor, _ struct{}) (any, error) {
	if err := o.note(ctx, a, "client-waiting", "", audit.Success); err != nil {
		return nil, err
	}
	return o.Clients.Waiting(ctx)
}

// approveClient registers a client that waits. The request says its roles and
// purpose, and, where they are given, another name and other scopes: fewer ones.
func (o *Office) approveClient(ctx context.Context, a Actor, in ClientRequest) (any, error) {
	if err := o.declared(in.Client); err != nil {
		return nil, err
	}
	edit := func(c *client.Client) error {
		c.Roles, c.Purpose = in.Client.Roles, in.Client.Purpose
		if in.Client.Name != "" {
			c.Name = in.Client.Name
		}
		if len(in.Client.Scopes) > 0 {
			if slices.ContainsFunc(in.Client.Scopes, func(s string) bool { return !smart.Covered(c.Scopes, s) }) {
				return refuse("a scope is none that the client asked for")
			}
			c.Scopes = in.Client.Scopes
		}
		return nil
	}
	err := o.didToClient(ctx, a, "client-approve", in.Client.ID, func() error {
		_, err := o.Clients.Approve(ctx, in.Client.ID, edit)
		return err
	})
	return ClientSecret{ID: in.Client.ID}, err
}

func (o *Office) rejectClient(ctx context.Context, a Actor, in ClientRequest) (any, error) {
	return ClientSecret{ID: in.Client.ID}, o.didToClient(ctx, a, "client-reject", in.Client.ID, func() error {
		return o.Clients.Reject(ctx, in.Client.ID)
	})
}

func (o *Office) rotateClientSecret(ctx context.Context, a Actor, in ClientRequest) (any, error) {
	out := ClientSecret{ID: in.Client.ID}
	err := o.didToClient(ctx, a, "client-rotate-secret", out.ID, func() (err error) {
		out.Secret, err = o.Clients.RotateSecret(ctx, out.ID)
		return err
	})
	return out, err
}

// ClientEnded says what ended with a client.
type ClientEnded struct {
	ID     string `json:"id"`
	Tokens int    `json:"tokens"`
}

func (o *Office) disableClient(ctx context.Context, a Actor, in ClientRequest) (any, error) {
	out := ClientEnded{ID: in.Client.ID}
	err := o.didToClient(ctx, a, "client-disable", out.ID, func() (err error) {
		if err = o.Clients.Disable(ctx, out.ID); err == nil {
			out.Tokens, err = o.Tokens.RevokeClient(ctx, out.ID)
		}
		return err
	})
	return out, err
}

func (o *Office) showClient(ctx context.Context, a Actor, in ClientRequest) (any, error) {
	if err := o.note(ctx, a, "client-show", "", audit.Success, audit.Entity{Type: "Client", ID: in.Client.ID}); err != nil {
		return nil, err
	}
	c, err := o.Clients.Show(ctx, in.Client.ID)
	c.SecretHash = nil // of no use to anybody
	return c, err
}

func (o *Office) listClients(ctx context.Context, a Actor, _ struct{}) (any, error) {
	if err := o.note(ctx, a, "client-list", "", audit.Success); err != nil {
		return nil, err
	}
	all, err := o.Clients.List(ctx)
	for i := range all {
		all[i].SecretHash = nil
	}
	return all, err
}

// SigningKey is a new key of id_tokens.
type SigningKey struct {
	ID   string    `json:"kid"`
	From time.Time `json:"from"`
}

func (o *Office) rotateSigningKey(ctx context.Context, a Actor, _ struct{}) (any, error) {
	var out SigningKey
	err := o.did(ctx, a, "signing-key-rotate", "", func() (err error) {
		out.ID, out.From, err = o.Signing.RotateSigningKey(ctx)
		return err
	})
	return out, err
}
