package policy

import (
	"hash/maphash"
	"slices"
	"sync/atomic"

	"github.com/fieldseal/fieldseal/authz"
)

// cacheSlots bounds the compiled programs kept. A deployment has some dozens
// of role sets times some dozens of types times five actions; more only means
// compiling again.
const cacheSlots = 1 << 13

// cache is a direct-mapped table: a program that hashes to a taken slot
// replaces what is there. An entry is used only when every part of its key is
// equal, compared part by part: nothing is joined, so no two keys can be
// confused (trap 2 of access.md).
type cache struct {
	seed  maphash.Seed
	slots [cacheSlots]atomic.Pointer[entry]
}

// entry is a program and the key it was compiled for. Immutable.
type entry struct {
	roles, scopes []string
	extra         *assigned
	purpose, typ  string
	usual         string // purpose of the token when the glass is broken
	action        authz.Action
	feat          feature
	program       authz.Program
	beyond        bool // no scope reaches the request
}

func (e *entry) is(s *authz.Subject, r authz.Request, feat feature, extra *assigned) bool {
	return e.feat == feat && e.extra == extra && e.action == r.Action && e.typ == r.Type && e.purpose == s.Purpose() && e.usual == s.UsualPurpose() &&
		slices.Equal(e.roles, s.Roles()) && slices.Equal(e.scopes, s.Scopes())
}

// slot only spreads; equality is decided by entry.is alone.
func (c *cache) slot(s *authz.Subject, r authz.Request, feat feature, extra *assigned) *atomic.Pointer[entry] {
	h := s.Fingerprint() + maphash.String(c.seed, r.Type) + uint64(letterOf(r.Action))<<20 + uint64(feat)<<32
	if extra != nil {
		h += extra.hash
	}
	h ^= h >> 29
	return &c.slots[h%cacheSlots]
}
