package federation

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
)

const (
	statePrefix   = "fsx_"
	rowPrefix     = "federation/"
	sealedPurpose = "fieldseal federation row 1"
	format        = 1
)

// row is a login that is under way; its state seals it.
type row struct {
	Format int    `json:"format"`
	Keep   int64  `json:"keep"` // when the row may be removed
	Sealed []byte `json:"sealed"`
}

// pending is what a row holds.
type pending struct {
	Provider string    `json:"provider"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // of PKCE
	Browser  []byte    `json:"browser"`  // SHA-256 of the session's secret
	Account  string    `json:"account,omitempty"`
	Next     string    `json:"next"`
	Since    time.Time `json:"since,omitzero"` // the authentication must not be older
	Expires  time.Time `json:"expires"`
}

func browser(secret string) []byte {
	sum := sha256.Sum256([]byte("fieldseal federation browser\x00" + secret))
	return sum[:]
}

func rowKey(state string) []byte {
	sum := sha256.Sum256([]byte(state))
	return append([]byte(rowPrefix), sum[:]...)
}

// put stores a login that is under way and returns its state.
func (d *Desk) put(ctx context.Context, p pending) (state string, err error) {
	state = token.Draw(statePrefix)
	plain, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("encoding a login: %w", err)
	}
	key := rowKey(state)
	sealed, err := token.SealUnder(state, sealedPurpose, plain, key)
	if err != nil {
		return "", err
	}
	value, err := json.Marshal(row{format, p.Expires.Unix(), sealed})
	if err != nil {
		return "", fmt.Errorf("encoding a login: %w", err)
	}
	if _, err := d.Table.PutIf(ctx, key, value, 0); err != nil {
		return "", fmt.Errorf("storing a login: %w", err)
	}
	return state, nil
}

// errNone means that there is no login with this state, any more.
var errNone = errors.New("there is no such login under way")

// take consumes a state: of any number of callers, on any nodes, one gets it.
func (d *Desk) take(ctx context.Context, state string) (p pending, err error) {
	key := rowKey(state)
	stored, err := d.Table.Get(ctx, key)
	if err == nil {
		err = d.Table.DeleteIf(ctx, key, stored.Revision)
	}
	if errors.Is(err, repository.ErrNotFound) || errors.Is(err, repository.ErrConflict) {
		return p, errNone
	}
	if err != nil {
		return p, fmt.Errorf("reading a login: %w", err)
	}
	p, err = open(state, stored.Value)
	if err == nil && !d.Now().Before(p.Expires) {
		err = errNone
	}
	return p, err
}

func open(state string, value []byte) (p pending, err error) {
	var r row
	if json.Unmarshal(value, &r) != nil || r.Format != format {
		return p, errNone
	}
	plain, err := token.OpenUnder(state, sealedPurpose, r.Sealed, rowKey(state))
	if err != nil || json.Unmarshal(plain, &p) != nil {
		return pending{}, errNone
	}
	return p, nil
}

// Sweep removes logins that were never finished and returns how many. It may
// run on several nodes at once.
func (d *Desk) Sweep(ctx context.Context) (int, error) {
	return repository.Sweep(ctx, d.Table, d.Now().Unix(), rowPrefix)
}
