package interaction

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/repository"
)

// DefaultReplayLife is how long an idempotency key is remembered.
const DefaultReplayLife = 24 * time.Hour

// maxKeyBytes bounds an idempotency key; a UUID has 36.
const maxKeyBytes = 255

// replayPrefix begins the keys of rows (docs/format/idempotency.md).
const replayPrefix = "idempotency/"

// replayRow is what is remembered of a request with an idempotency key: neither
// the key nor anything of the request, but keyed hashes of them.
type replayRow struct {
	Format  int    `json:"format"`
	Digest  string `json:"digest"` // keyed hash of the request
	Seed    string `json:"seed"`   // ids of what the request creates derive from it
	Expires int64  `json:"expires"`
	// Result is the sealed answer of a Bundle, or lost.
	Result string `json:"result,omitempty"`
}

const replayFormat = 1

// repeatable is a request that may be sent again.
type repeatable struct {
	what string // interaction, type and conditions
	body []byte
	keep bool // the answer must be kept: it cannot be told from the store
	run  func(Call) (*Answer, error)
}

// once runs a request at most once per subject, client and idempotency key. Of
// any number of requests with one key, also concurrent ones and one that a
// crash cut short, one takes effect and all get its answer: what it creates has
// ids that derive from the row, so that a second attempt meets the first
// one's resources. The same key with another request is refused.
func (s *Service) once(ctx context.Context, c Call, ev audit.Event, r repeatable) (*Answer, error) {
	if s.Replays == nil || !validKey(c.IdempotencyKey) {
		return nil, s.refuse(ctx, ev, fail(Malformed, nil, "an idempotency key is 1 to %d visible ASCII characters", maxKeyBytes))
	}
	sum := sha256.Sum256(r.body)
	name := s.Vault.PRF("idempotency-key", c.Subject.ID()+"\x00"+c.Subject.Client()+"\x00"+c.IdempotencyKey)
	digest := s.Vault.PRF("idempotency-request", r.what+"\x00"+hex.EncodeToString(sum[:]))
	leave, err := s.flights.enter(ctx, name)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	defer leave()
	c.IdempotencyKey = ""
	for again := false; ; again = true {
		claim, err := s.settled(ctx, name, hex.EncodeToString(digest[:]), r.keep)
		if err != nil {
			return nil, s.refuse(ctx, ev, err)
		}
		if claim.row.Result != "" {
			return s.replay(ctx, c, ev, claim)
		}
		c.seed = claim.row.Seed
		a, err := r.run(c)
		if err == nil {
			if r.keep {
				s.keep(ctx, claim, a)
			}
			return a, nil
		}
		if !again && r.keep && s.overtaken(ctx, claim, err) {
			continue
		}
		s.free(ctx, claim, err)
		return nil, claim.explain(err)
	}
}

// Pauses between looks at a row whose request runs on another node.
const (
	shortLook = 20 * time.Millisecond
	longLook  = 250 * time.Millisecond
)

// settled is claim. A row of a request whose answer has to be kept, and is not
// there yet, may be of one that another node carries out at this moment: it is
// waited for. After ReplayWait whoever made the row counts as crashed.
func (s *Service) settled(ctx context.Context, name [16]byte, digest string, keep bool) (claim, error) {
	until := time.Now().Add(s.ReplayWait)
	for pause := shortLook; ; pause = min(2*pause, longLook) {
		c, err := s.claim(ctx, name, digest)
		if err != nil || !keep || c.fresh || c.row.Result != "" || time.Now().Add(pause).After(until) {
			return c, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return claim{}, ctx.Err()
		}
	}
}

// overtaken reports whether a conflict may be with the same request on another
// node, whose answer is there or will be. The one that made the row is
// overtaken only by who has waited for it.
func (s *Service) overtaken(ctx context.Context, c claim, err error) bool {
	if failure(err).Kind != Conflict || s.ReplayWait <= 0 {
		return false
	}
	if !c.fresh {
		return true
	}
	found, err := s.Replays.Get(ctx, c.key)
	return err == nil && found.Revision != c.revision
}

func validKey(key string) bool {
	return len(key) > 0 && len(key) <= maxKeyBytes && strings.IndexFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// claim is a row and whether this request made it.
type claim struct {
	key      []byte
	row      replayRow
	revision uint64
	fresh    bool
}

// explain names the cause of a conflict that only an earlier attempt with the
// same key can have made.
func (c claim) explain(err error) error {
	if f := failure(err); !c.fresh && f.Kind == Conflict {
		return fail(Conflict, err, "a request with this idempotency key was carried out before, but its answer is not known any more; read what it wrote")
	}
	return err
}

// claim finds the key's row or makes it.
func (s *Service) claim(ctx context.Context, name [16]byte, digest string) (claim, error) {
	key := append([]byte(replayPrefix), name[:]...)
	for {
		found, err := s.Replays.Get(ctx, key)
		if err != nil && !errors.Is(err, repository.ErrNotFound) {
			return claim{}, err
		}
		c := claim{key: key, revision: found.Revision}
		if err == nil {
			if err := json.Unmarshal(found.Value, &c.row); err != nil || c.row.Format != replayFormat {
				return claim{}, fmt.Errorf("reading an idempotency row: %w", repository.ErrCorrupt)
			}
			if time.Now().Unix() < c.row.Expires {
				if c.row.Digest != digest {
					return claim{}, fail(Unprocessable, nil, "the idempotency key was used for another request; a changed request needs a key of its own")
				}
				return c, nil
			}
		}
		var seed [16]byte
		_, _ = rand.Read(seed[:])
		c.row = replayRow{Format: replayFormat, Digest: digest, Seed: hex.EncodeToString(seed[:]), Expires: time.Now().Add(s.ReplayLife).Unix()}
		c.fresh = true
		if c.revision, err = s.put(ctx, c); err == nil {
			return c, nil
		}
		if !errors.Is(err, repository.ErrConflict) {
			return claim{}, err
		}
	}
}

func (s *Service) put(ctx context.Context, c claim) (uint64, error) {
	value, err := json.Marshal(c.row)
	if err != nil {
		return 0, err
	}
	return s.Replays.PutIf(ctx, c.key, value, c.revision)
}

// free gives back the key of a request that certainly had no effect. A row that is
// left by a failure here expires.
func (s *Service) free(ctx context.Context, c claim, err error) {
	switch failure(err).Kind {
	case Malformed, Denied, NotFound, Gone, Precondition, TooLarge, Unprocessable:
		if c.fresh {
			_ = s.Replays.DeleteIf(context.WithoutCancel(ctx), c.key, c.revision)
		}
	}
}

// newID is a random id, or the n-th that belongs to an idempotency key.
func (s *Service) newID(c Call, n int) string {
	if c.seed == "" {
		return newID()
	}
	return asUUID(s.Vault.PRF("idempotency-id", fmt.Sprintf("%s/%d", c.seed, n)), 8)
}

// ofEntry is the call of one entry of a batch.
func (c Call) ofEntry(index int) Call {
	if c.seed != "" {
		c.seed = fmt.Sprintf("%s/%d", c.seed, index)
	}
	return c
}

// sweepPage is how many rows one pass of a sweep removes.
const sweepPage = 1000

// SweepReplays removes rows of expired idempotency keys and reports how many.
func (s *Service) SweepReplays(ctx context.Context) (removed int, err error) {
	for {
		var old []repository.Row
		for row, err := range s.Replays.Scan(ctx, []byte(replayPrefix)) {
			if err != nil {
				return removed, err
			}
			var r replayRow
			if json.Unmarshal(row.Value, &r) == nil && r.Expires <= time.Now().Unix() {
				old = append(old, row)
			}
			if len(old) == sweepPage {
				break
			}
		}
		for _, row := range old {
			err := s.Replays.DeleteIf(ctx, row.Key, row.Revision)
			if err != nil && !errors.Is(err, repository.ErrConflict) && !errors.Is(err, repository.ErrNotFound) {
				return removed, err
			}
			removed++
		}
		if len(old) < sweepPage {
			return removed, nil
		}
	}
}

// flights lets requests with one idempotency key pass one at a time within this
// process. Between processes the derived ids keep them apart.
type flights struct {
	mu   sync.Mutex
	busy map[[16]byte]chan struct{}
}

func (f *flights) enter(ctx context.Context, name [16]byte) (leave func(), err error) {
	for {
		f.mu.Lock()
		other := f.busy[name]
		if other == nil {
			mine := make(chan struct{})
			if f.busy == nil {
				f.busy = map[[16]byte]chan struct{}{}
			}
			f.busy[name] = mine
			f.mu.Unlock()
			return func() {
				f.mu.Lock()
				delete(f.busy, name)
				f.mu.Unlock()
				close(mine)
			}, nil
		}
		f.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
