package keyring

import (
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrLink means that a sealed link was altered, cut, or made for something
// else.
var ErrLink = errors.New("the link is not valid")

const (
	labelLink = "fieldseal/page-link/v1"
	linkDay   = 24 * time.Hour
	dayBytes  = 4
)

// linkKeys seal what the server hands to a client to bring back: one key a day,
// so that random nonces stay far below their bound (SP 800-38D §8.3). The link
// names its day.
type linkKeys struct {
	mu   sync.Mutex
	open map[uint32]cipher.AEAD
}

// linkKey derives the key of a day from the secret of storage ids, which is
// never rotated: a rotation would break the links under way.
func (r *Ring) linkKey(day uint32) (cipher.AEAD, error) {
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	if aead := r.link.open[day]; aead != nil {
		return aead, nil
	}
	key := r.storage.derive(keyBytes, labelLink, binary.BigEndian.AppendUint32(nil, day))
	defer key.Wipe()
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	if len(r.link.open) > 2 || r.link.open == nil { // a forged day must not grow the map
		r.link.open = make(map[uint32]cipher.AEAD)
	}
	r.link.open[day] = aead
	return aead, nil
}

// SealLink returns URL-safe text that only OpenLink of the same tenant reads,
// given the same bind, which is associated data.
func (r *Ring) SealLink(plain []byte, bind string) (string, error) {
	day := uint32(r.opts.Now().Unix() / int64(linkDay.Seconds()))
	aead, err := r.linkKey(day)
	if err != nil {
		return "", fmt.Errorf("sealing a link: %w", err)
	}
	b := binary.BigEndian.AppendUint32(nil, day)
	b = aead.Seal(b, nil, plain, append(b[:dayBytes:dayBytes], bind...)) // #nosec G407 -- the AEAD draws its nonce itself
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// OpenLink returns what SealLink sealed, or ErrLink.
func (r *Ring) OpenLink(text, bind string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < dayBytes {
		return nil, ErrLink
	}
	aead, err := r.linkKey(binary.BigEndian.Uint32(b))
	if err != nil {
		return nil, fmt.Errorf("opening a link: %w", err)
	}
	plain, err := aead.Open(nil, nil, b[dayBytes:], append(b[:dayBytes:dayBytes], bind...))
	if err != nil {
		return nil, ErrLink
	}
	return plain, nil
}
