package glass

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// Sealer seals rows (crypto/keyring).
type Sealer interface {
	SealRow(plain []byte, table string, key []byte) ([]byte, error)
	OpenRow(sealed []byte, table string, key []byte) ([]byte, error)
}

// Book keeps emergency accesses in a compare-and-set table. It is safe for
// concurrent use, also of several nodes.
type Book struct {
	table repository.Table
	seal  Sealer
	now   func() time.Time
}

// NewBook returns a Book over a table of its own; now is time.Now when nil.
func NewBook(t repository.Table, s Sealer, now func() time.Time) *Book {
	if now == nil {
		now = time.Now
	}
	return &Book{t, s, now}
}

const (
	tableName = "break-glass"
	rowPrefix = "glass/"
	rowFormat = 1
	idBytes   = 16
)

// row is the stored value.
type row struct {
	Format int    `json:"format"`
	Sealed []byte `json:"sealed"`
}

// NewID is a random name, so that nobody guesses another's.
func NewID() string {
	var b [idBytes]byte
	_, _ = rand.Read(b[:]) // never fails (Go 1.24)
	return hex.EncodeToString(b[:])
}

func rowKey(id string) []byte { return append([]byte(rowPrefix), id...) }

// Open stores a new access, which is in force when it returns.
func (b *Book) Open(ctx context.Context, r Record) error {
	if err := r.Check(); err != nil {
		return err
	}
	return b.put(ctx, r, 0)
}

// InForce returns the access when it is in force for the account and client.
func (b *Book) InForce(ctx context.Context, id, subject, client string) (Record, error) {
	r, _, err := b.get(ctx, id)
	switch now := b.now(); {
	case errors.Is(err, ErrUnknown):
		return Record{}, ErrNotInForce
	case err != nil:
		return Record{}, err
	case r.Subject != subject || r.Client != client || now.Before(r.Started) || !now.Before(r.Over()) || r.Patient == "":
		return Record{}, ErrNotInForce
	}
	return r, nil
}

// Stop ends an access before its time, for the account and client that opened
// it.
func (b *Book) Stop(ctx context.Context, id, subject, client string) (Record, error) {
	if _, err := b.InForce(ctx, id, subject, client); err != nil {
		return Record{}, err
	}
	return b.change(ctx, id, func(r *Record) error {
		if r.Stopped.IsZero() {
			r.Stopped = b.now().UTC()
		}
		return nil
	})
}

// Close writes the decision of a review. Who broke the glass does not review
// it, and a decision is final.
func (b *Book) Close(ctx context.Context, id string, v Review) (Record, error) {
	v.By, v.Comment, v.At = strings.TrimSpace(v.By), strings.TrimSpace(v.Comment), b.now().UTC()
	if v.Decision != Justified && v.Decision != Unjustified || v.By == "" || len(v.Comment) > 4*maxText {
		return Record{}, fmt.Errorf("%w: a review needs who decides and %s or %s", ErrInvalid, Justified, Unjustified)
	}
	return b.change(ctx, id, func(r *Record) error {
		switch {
		case r.Review != nil:
			return ErrReviewed
		case v.By == r.Subject || "user:"+v.By == r.Subject:
			return fmt.Errorf("%w: who broke the glass does not review it", ErrInvalid)
		}
		r.Review = &v
		return nil
	})
}

// All returns every access, the oldest first.
func (b *Book) All(ctx context.Context) ([]Record, error) {
	var all []Record
	for row, err := range b.table.Scan(ctx, []byte(rowPrefix)) {
		if err != nil {
			return nil, fmt.Errorf("reading emergency accesses: %w", err)
		}
		r, err := b.decode(row)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(x, y Record) int { return cmp.Or(x.Started.Compare(y.Started), cmp.Compare(x.ID, y.ID)) })
	return all, nil
}

// Overdue counts the accesses whose review is overdue.
func (b *Book) Overdue(ctx context.Context) (n int, err error) {
	all, err := b.All(ctx)
	for i := range all {
		if all[i].Overdue(b.now()) {
			n++
		}
	}
	return n, err
}

// Forget takes the patient and what was written about him or her out of every
// access, as a part of an erasure.
func (b *Book) Forget(ctx context.Context, patient string) error {
	all, err := b.All(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Patient != patient {
			continue
		}
		_, err := b.change(ctx, r.ID, func(r *Record) error {
			r.Patient, r.Text = "", ""
			if r.Review != nil {
				r.Review.Comment = ""
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) get(ctx context.Context, id string) (r Record, revision uint64, err error) {
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != idBytes {
		return r, 0, ErrUnknown
	}
	stored, err := b.table.Get(ctx, rowKey(id))
	if errors.Is(err, repository.ErrNotFound) {
		return r, 0, ErrUnknown
	}
	if err != nil {
		return r, 0, fmt.Errorf("reading an emergency access: %w", err)
	}
	r, err = b.decode(stored)
	return r, stored.Revision, err
}

func (b *Book) decode(stored repository.Row) (r Record, err error) {
	var v row
	if json.Unmarshal(stored.Value, &v) != nil || v.Format != rowFormat {
		return r, fmt.Errorf("stored emergency access: %w", repository.ErrCorrupt)
	}
	plain, err := b.seal.OpenRow(v.Sealed, tableName, stored.Key)
	if err != nil || json.Unmarshal(plain, &r) != nil || string(rowKey(r.ID)) != string(stored.Key) {
		return Record{}, fmt.Errorf("stored emergency access: %w", repository.ErrCorrupt)
	}
	return r, nil
}

func (b *Book) put(ctx context.Context, r Record, revision uint64) error {
	plain, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding an emergency access: %w", err)
	}
	sealed, err := b.seal.SealRow(plain, tableName, rowKey(r.ID))
	if err != nil {
		return err
	}
	value, err := json.Marshal(row{rowFormat, sealed})
	if err != nil {
		return fmt.Errorf("encoding an emergency access: %w", err)
	}
	_, err = b.table.PutIf(ctx, rowKey(r.ID), value, revision)
	return err
}

// change applies f until no other change comes between.
func (b *Book) change(ctx context.Context, id string, f func(*Record) error) (Record, error) {
	for {
		r, revision, err := b.get(ctx, id)
		if err != nil {
			return r, err
		}
		if err := f(&r); err != nil {
			return r, err
		}
		if err := b.put(ctx, r, revision); !errors.Is(err, repository.ErrConflict) {
			return r, err
		}
	}
}
