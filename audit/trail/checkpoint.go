package trail

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

// checkpoint is the signed statement of a size and a root (C2SP
// tlog-checkpoint), with the time of signing as its only extension line.
type checkpoint struct {
	size uint64
	root merkle.Hash
	time time.Time
}

const checkpointTime = "time "

func (c checkpoint) text(origin string) string {
	return fmt.Sprintf("%s\n%d\n%s\n%s%s\n", origin, c.size, base64.StdEncoding.EncodeToString(c.root[:]),
		checkpointTime, c.time.UTC().Format(time.RFC3339Nano))
}

// openCheckpoint verifies a signed note and reads what it says.
func openCheckpoint(signed []byte, v note.Verifier) (checkpoint, error) {
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		return checkpoint{}, fmt.Errorf("%w: checkpoint signature", ErrCorrupt)
	}
	return parseCheckpoint(n.Text, v.Name())
}

// unverifiedCheckpoint reads a signed note without its signature, for whoever
// only passes it on.
func unverifiedCheckpoint(signed []byte, origin string) (checkpoint, error) {
	text, _, _ := bytes.Cut(signed, []byte("\n\n"))
	return parseCheckpoint(string(text)+"\n", origin)
}

func parseCheckpoint(text, origin string) (checkpoint, error) {
	bad := fmt.Errorf("%w: checkpoint does not parse", ErrCorrupt)
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[0] != origin || !strings.HasPrefix(lines[3], checkpointTime) {
		return checkpoint{}, bad
	}
	var c checkpoint
	var err error
	if c.size, err = strconv.ParseUint(lines[1], 10, 64); err != nil || strconv.FormatUint(c.size, 10) != lines[1] {
		return checkpoint{}, bad
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || copy(c.root[:], root) != merkle.Size || len(root) != merkle.Size {
		return checkpoint{}, bad
	}
	if c.time, err = time.Parse(time.RFC3339Nano, strings.TrimPrefix(lines[3], checkpointTime)); err != nil {
		return checkpoint{}, bad
	}
	return c, nil
}

// newSigner makes the note signer of an Ed25519 key: key id and signature as in
// C2SP signed-note.
func newSigner(name string, key ed25519.PrivateKey) (note.Signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("audit checkpoint key has the wrong length")
	}
	const algEd25519 = 1
	pub := append([]byte{algEd25519}, key.Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256(append([]byte(name+"\n"), pub...))
	return signer{name, binary.BigEndian.Uint32(sum[:4]), key}, nil
}

type signer struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

func (s signer) Name() string                    { return s.name }
func (s signer) KeyHash() uint32                 { return s.hash }
func (s signer) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.key, msg), nil }

// splitNotes cuts a file of signed notes, each followed by an empty line. rest
// is an unfinished note at the end.
func splitNotes(b []byte) (notes [][]byte, rest []byte) {
	sep := []byte("\n\n")
	for {
		i := bytes.Index(b, sep)
		if i < 0 {
			return notes, b
		}
		j := bytes.Index(b[i+2:], sep)
		if j < 0 {
			return notes, b
		}
		end := i + 2 + j + 1
		notes = append(notes, b[:end])
		b = b[end+1:]
	}
}
