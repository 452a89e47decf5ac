// Package pseudonym shows logical ids to a research project under names of its
// own: the same for one project, unrelated between projects, and mapped back
// only by this server.
//
// Start with New, Of and ID; Rewriter maps every id in an answer.
//
// Security notes: a pseudonym is the id under deterministic authenticated
// encryption (the synthetic IV construction of RFC 5297 §1.3.2, with
// HMAC-SHA-256 as the PRF and AES-256-CTR), so that it tells nothing of the id
// but equality, and a text that is no pseudonym of the project maps to no id.
// Ids of more than 40 characters are shown under a keyed hash, which maps back
// to nothing. Ids that stand inside of free text are not found.
//
// Kept compatible: the pseudonyms of a project stay what they are, since
// research joins by them.
package pseudonym

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/fieldseal/fieldseal/crypto/secret"
)

const (
	alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-." // of R4 datatypes.html#id
	first    = "p"                                                                // no pseudonym begins with a dot, which paths cannot
	packed   = 40                                                                 // characters of an id that fit
	block    = 1 + packed*6/8 + 1                                                 // length, characters, filler
	tagBytes = 15
	length   = 64 // of every pseudonym; R4 allows no more
)

var encoding = base64.NewEncoding(alphabet).WithPadding(base64.NoPadding)

// Project maps the ids of one project. It is safe for concurrent use.
type Project struct {
	mac   []byte
	block cipher.Block
}

// New derives a project's keys from a secret of at least 32 bytes that is
// never rotated.
func New(s secret.Bytes) (*Project, error) {
	if len(s.Expose()) < 32 {
		return nil, fmt.Errorf("pseudonym: the secret has %d bytes", len(s.Expose()))
	}
	mac, err := hkdf.Key(sha256.New, s.Expose(), nil, "fieldseal pseudonym mac 1", 32)
	if err != nil {
		return nil, fmt.Errorf("deriving pseudonym keys: %w", err)
	}
	key, err := hkdf.Key(sha256.New, s.Expose(), nil, "fieldseal pseudonym cipher 1", 32)
	if err != nil {
		return nil, fmt.Errorf("deriving pseudonym keys: %w", err)
	}
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("deriving pseudonym keys: %w", err)
	}
	return &Project{mac, b}, nil
}

// Of is the pseudonym of an id. A pseudonym of the project stays as it is.
func (p *Project) Of(id string) string {
	if _, is := p.ID(id); is {
		return id
	}
	if len(id) > packed {
		return p.hash(id)
	}
	plain := make([]byte, block)
	plain[0] = byte(len(id))
	if _, err := encoding.Decode(plain[1:], []byte(id+strings.Repeat(alphabet[:1], packed-len(id)))); err != nil {
		return p.hash(id) // no logical id
	}
	out := make([]byte, tagBytes+block)
	tag := p.sum("id", plain)
	copy(out, tag[:tagBytes])
	p.stream(out[:tagBytes], out[tagBytes:], plain)
	return first + encoding.EncodeToString(out)
}

// ID is the id behind a pseudonym; false for any text that is none of the
// project.
func (p *Project) ID(pseudonym string) (string, bool) {
	rest, ok := strings.CutPrefix(pseudonym, first)
	if !ok || len(pseudonym) != length {
		return "", false
	}
	sealed, err := encoding.Strict().DecodeString(rest)
	if err != nil || len(sealed) != tagBytes+block {
		return "", false
	}
	plain := make([]byte, block)
	p.stream(sealed[:tagBytes], plain, sealed[tagBytes:])
	tag := p.sum("id", plain)
	if !hmac.Equal(tag[:tagBytes], sealed[:tagBytes]) || int(plain[0]) > packed {
		return "", false
	}
	return encoding.EncodeToString(plain[1 : block-1])[:plain[0]], true
}

// Back is the id that a caller of the project means. What is no pseudonym, an
// id itself among it, becomes an id that nothing has.
func (p *Project) Back(text string) string {
	if id, ok := p.ID(text); ok {
		return id
	}
	return p.Of(text)
}

// hash is what does not map back.
func (p *Project) hash(id string) string {
	a, b := p.sum("hash", []byte(id)), p.sum("more", []byte(id))
	return (first + encoding.EncodeToString(append(a[:], b[:]...)))[:length]
}

// urn is a pseudonym in the form of a UUID, for urn:uuid references that were
// never resolved.
func (p *Project) urn(text string) string {
	b := p.sum("urn", []byte(text))
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // RFC 9562 §5.8
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

func (p *Project) stream(tag, dst, src []byte) {
	var iv [aes.BlockSize]byte
	copy(iv[:], tag)
	cipher.NewCTR(p.block, iv[:]).XORKeyStream(dst, src)
}

func (p *Project) sum(what string, b []byte) (out [sha256.Size]byte) {
	h := hmac.New(sha256.New, p.mac)
	h.Write([]byte(what + "\x00"))
	h.Write(b)
	h.Sum(out[:0])
	return out
}
