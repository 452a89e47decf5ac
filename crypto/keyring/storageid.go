package keyring

import (
	"sync"

	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/repository"
)

// prfPool computes one PRF from many goroutines without allocating.
type prfPool struct{ pool sync.Pool }

func newPRFPool(key secret.Bytes) *prfPool {
	p := &prfPool{}
	p.pool.New = func() any { return newMACState(key.Expose()) }
	return p
}

// derive runs one derivation under the pool's key.
func (p *prfPool) derive(n int, label string, context []byte) secret.Bytes {
	s := p.pool.Get().(*macState)
	defer p.pool.Put(s)
	out := make([]byte, n)
	s.kdf(out, label, context)
	return secret.New(out)
}

// StorageID returns the storage key of a resource: the first 16 bytes of
// HMAC-SHA-256(storage key, lp(type) lp(id)). Its key is never rotated,
// because the result is the primary key of the record.
func (r *Ring) StorageID(typ, id string) repository.StorageID {
	s := r.storage.pool.Get().(*macState)
	s.in = appendLP(appendLP(s.in[:0], typ), id)
	out := repository.StorageID(s.sum()[:16])
	r.storage.pool.Put(s)
	return out
}
