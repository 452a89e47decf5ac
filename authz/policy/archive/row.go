package archive

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/repository"
)

// Version is one immutable policy.
type Version struct {
	Number    uint64            `json:"version"`
	Text      string            `json:"text"`
	Model     string            `json:"model"` // hash of the Casbin model it was reviewed under
	Author    string            `json:"author"`
	Approver  string            `json:"approver"`
	Reason    string            `json:"reason"`
	Time      time.Time         `json:"time"`
	Overrides []policy.Override `json:"overrides,omitempty"`
	Previous  string            `json:"previous"` // hash of the version before; empty for the first
	Hash      string            `json:"-"`        // SHA-256 of the stored body, hex
}

// pointer names the version in force. Sequence grows by one with each
// activation.
type pointer struct {
	Sequence uint64 `json:"sequence"`
	Version  uint64 `json:"version"`
	Hash     string `json:"hash"`
}

// Proposal is a policy that waits for its approver.
type Proposal struct {
	ID        string            `json:"id"`
	Text      string            `json:"text"`
	Author    string            `json:"author"`
	Reason    string            `json:"reason"`
	Time      time.Time         `json:"time"`
	Overrides []policy.Override `json:"overrides,omitempty"`
	Base      string            `json:"base"` // hash of the version that it was compared with
}

// Keys of rows, and what authenticates them.
const (
	pointerKey     = "active"
	versionPrefix  = "version/"
	proposalPrefix = "proposal/"
	format         = 1
)

func versionKey(n uint64) []byte     { return fmt.Appendf(nil, "%s%016x", versionPrefix, n) }
func proposalKey(id string) []byte   { return []byte(proposalPrefix + id) }
func hashOf(key, body []byte) string { return hex.EncodeToString(digest(key, body)) }

// digest binds a body to its key.
func digest(key, body []byte) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "fieldseal policy %d\n%s\n", format, key)
	h.Write(body)
	return h.Sum(nil)
}

// envelope is the stored value of every row.
type envelope struct {
	Format int             `json:"format"`
	Body   json.RawMessage `json:"body"`
	MAC    []byte          `json:"mac"` // keyed function of the digest
}

func (a *Archive) mac(key, body []byte) []byte {
	m := a.opt.PRF("policy-archive", hashOf(key, body))
	return m[:]
}

// encode returns the value of a row and the hash of its body.
func (a *Archive) encode(key []byte, body any) (value []byte, hash string, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, "", fmt.Errorf("encoding a policy: %w", err)
	}
	value, err = json.Marshal(envelope{format, b, a.mac(key, b)})
	return value, hashOf(key, b), err
}

// decode opens a row; one that this server did not write is ErrForged.
func (a *Archive) decode(row repository.Row, body any) (hash string, err error) {
	var e envelope
	if json.Unmarshal(row.Value, &e) != nil || e.Format != format ||
		subtle.ConstantTimeCompare(e.MAC, a.mac(row.Key, e.Body)) != 1 || json.Unmarshal(e.Body, body) != nil {
		return "", ErrForged
	}
	return hashOf(row.Key, e.Body), nil
}

func (a *Archive) readPointer(ctx context.Context) (p pointer, revision uint64, err error) {
	row, err := a.opt.Table.Get(ctx, []byte(pointerKey))
	if err != nil {
		return p, 0, err
	}
	if _, err = a.decode(row, &p); err != nil || p.Version == 0 || p.Sequence == 0 {
		return p, row.Revision, fmt.Errorf("reading the policy pointer: %w", ErrForged)
	}
	return p, row.Revision, nil
}

// Version reads one version, active or not.
func (a *Archive) Version(ctx context.Context, n uint64) (v Version, err error) {
	row, err := a.opt.Table.Get(ctx, versionKey(n))
	if errors.Is(err, repository.ErrNotFound) {
		return v, fmt.Errorf("policy version %d: %w", n, ErrUnknown)
	}
	if err != nil {
		return v, fmt.Errorf("reading policy version %d: %w", n, err)
	}
	if v.Hash, err = a.decode(row, &v); err == nil && v.Number != n {
		err = ErrForged
	}
	if err != nil {
		return Version{}, fmt.Errorf("policy version %d: %w", n, err)
	}
	return v, nil
}

// History yields all versions, the oldest first.
func (a *Archive) History(ctx context.Context) iter.Seq2[Version, error] {
	return func(yield func(Version, error) bool) {
		for n := uint64(1); ; n++ {
			v, err := a.Version(ctx, n)
			if errors.Is(err, ErrUnknown) || !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Proposal reads one proposal.
func (a *Archive) Proposal(ctx context.Context, id string) (p Proposal, err error) {
	row, err := a.opt.Table.Get(ctx, proposalKey(id))
	if errors.Is(err, repository.ErrNotFound) {
		return p, ErrUnknown
	}
	if err != nil {
		return p, fmt.Errorf("reading a policy proposal: %w", err)
	}
	_, err = a.decode(row, &p)
	return p, err
}

// Proposals lists what waits for an approver.
func (a *Archive) Proposals(ctx context.Context) (out []Proposal, err error) {
	for row, err := range a.opt.Table.Scan(ctx, []byte(proposalPrefix)) {
		if err != nil {
			return nil, fmt.Errorf("reading policy proposals: %w", err)
		}
		var p Proposal
		if _, err := a.decode(row, &p); err != nil {
			return nil, fmt.Errorf("reading policy proposals: %w", err)
		}
		out = append(out, p)
	}
	return out, nil
}
