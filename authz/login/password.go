package login

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1" // #nosec G505 -- the published lists of breached passwords are SHA-1
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Lengths of passwords (NIST SP 800-63B §3.1.1: no rules of composition).
const (
	minPassword = 12   // characters
	maxPassword = 1024 // bytes
)

// passwordHash is argon2id with the parameters that it was made with (RFC 9106,
// §4, second choice, at a third of its memory and twice the passes; above the
// OWASP minimum).
type passwordHash struct {
	Memory  uint32 `json:"m"` // KiB
	Passes  uint32 `json:"t"`
	Threads uint8  `json:"p"`
	Salt    []byte `json:"salt"`
	Hash    []byte `json:"hash"`
}

const (
	saltLen = 16
	hashLen = 32
)

// cost is what a hash costs.
type cost struct {
	memory uint32 // KiB
	passes uint32
}

var standardCost = cost{19 << 10, 3}

func newSalt() []byte {
	salt := make([]byte, saltLen)
	_, _ = rand.Read(salt) // never fails
	return salt
}

func (c cost) hash(password string, salt []byte) passwordHash {
	h := passwordHash{Memory: c.memory, Passes: c.passes, Threads: 1, Salt: salt}
	h.Hash = h.of(password)
	return h
}

func (h passwordHash) of(password string) []byte {
	return argon2.IDKey([]byte(norm.NFKC.String(password)), h.Salt, h.Passes, h.Memory, h.Threads, hashLen)
}

// is reports whether a hash was made at this cost.
func (c cost) is(h passwordHash) bool {
	return h.Memory == c.memory && h.Passes == c.passes && h.Threads == 1
}

// matches compares in constant time, with bounded memory over all logins.
func (s *Service) matches(ctx context.Context, h passwordHash, password string) (bool, error) {
	if len(password) > maxPassword {
		password = "" // nobody has it; the work is the same
	}
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return subtle.ConstantTimeCompare(h.of(password), h.Hash) == 1, nil
}

func (s *Service) hash(ctx context.Context, password string) (*passwordHash, error) {
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	h := s.cost.hash(password, newSalt())
	return &h, nil
}

// acceptable refuses passwords that are guessed first.
func (s *Service) acceptable(account, password string) error {
	weak := func(text string) error { return fmt.Errorf("%w: %s", ErrWeak, text) }
	normal := norm.NFKC.String(password)
	_, name, _ := strings.Cut(account, ":")
	switch {
	case !utf8.ValidString(password):
		return weak("it holds bytes that are no text")
	case len(password) > maxPassword:
		return weak("it is too long")
	case utf8.RuneCountInString(normal) < minPassword:
		return weak(fmt.Sprintf("it must have %d characters or more; a few words in a row are good", minPassword))
	case len(name) > 3 && strings.Contains(strings.ToLower(normal), strings.ToLower(name)):
		return weak("it holds the name of the account")
	case distinct(normal) < 5:
		return weak("it repeats a few characters")
	case s.Breached.contains(normal):
		return weak("it stands on a list of passwords that were stolen elsewhere")
	}
	return nil
}

func distinct(text string) int {
	seen := map[rune]bool{}
	for _, r := range text {
		seen[r] = true
	}
	return len(seen)
}

// Breached is a list of passwords that nobody may choose. The zero list and nil
// hold none.
type Breached struct{ sums []uint64 } // the first 8 bytes of SHA-1, sorted

// maxBreached bounds the memory of a list: 8 bytes each.
const maxBreached = 20_000_000

// ReadBreached reads a list: one password or one SHA-1 in hex a line, with or
// without a count after a colon.
func ReadBreached(r io.Reader) (*Breached, error) {
	b := &Breached{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			continue
		}
		if len(b.sums) == maxBreached {
			return nil, fmt.Errorf("a list of breached passwords has more than %d lines", maxBreached)
		}
		b.sums = append(b.sums, sumOf(line))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading breached passwords: %w", err)
	}
	slices.Sort(b.sums)
	return b, nil
}

// sumOf is the sum of a line: of the password that it holds, or the one that it
// is.
func sumOf(line string) uint64 {
	digest, _, _ := strings.Cut(line, ":")
	if raw, err := hex.DecodeString(digest); err == nil && len(raw) == sha1.Size {
		return binary.BigEndian.Uint64(raw)
	}
	return shortSum(line)
}

func shortSum(password string) uint64 {
	sum := sha1.Sum([]byte(password)) // #nosec G401 -- the published lists are SHA-1
	return binary.BigEndian.Uint64(sum[:])
}

func (b *Breached) contains(password string) bool {
	if b == nil {
		return false
	}
	_, found := slices.BinarySearch(b.sums, shortSum(password))
	return found
}
