package trail

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
)

// Names inside the trail's folder.
const (
	lockName        = "lock"
	originName      = "origin.json"
	checkpointsName = "checkpoints"
	intentsName     = "intents.json"
	historyName     = "history" // folder of chains that were moved here, each in a folder of its name
)

// formatVersion is the version of every file of the trail.
const formatVersion = 1

// origin is origin.json: what a verifier must know beforehand.
type origin struct {
	Format         int    `json:"format"`
	Name           string `json:"origin"`
	SegmentRecords uint64 `json:"segment_records"`
	// PublicKey is the checkpoint key as a note verifier key,
	// NAME+HASH+BASE64 (C2SP signed-note).
	PublicKey string `json:"public_key"`
}

func validOrigin(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// newOrigin describes a chain that begins.
func newOrigin(name string, segmentRecords uint64, key ed25519.PublicKey) (origin, error) {
	vkey, err := note.NewEd25519VerifierKey(name, key)
	if err != nil {
		return origin{}, fmt.Errorf("encoding the checkpoint key: %w", err)
	}
	return origin{Format: formatVersion, Name: name, SegmentRecords: segmentRecords, PublicKey: vkey}, nil
}

// continues refuses a chain that belongs to another origin or key: continuing
// it would fork its history.
func (o origin) continues(want origin) error {
	if o.Name != want.Name || o.PublicKey != want.PublicKey {
		return fmt.Errorf("%w: the trail belongs to another origin or checkpoint key", ErrCorrupt)
	}
	return nil
}

func (o origin) encode() []byte {
	b, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		panic(err) // strings and numbers only
	}
	return append(b, '\n')
}

// loadOrigin reads origin.json or creates it.
func (t *files) loadOrigin() (origin, error) {
	want, err := newOrigin(t.name, t.records, t.key)
	if err != nil {
		return origin{}, err
	}
	got, err := readOrigin(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return want, createOrigin(t.dir, want)
	}
	if err != nil {
		return origin{}, err
	}
	return got, got.continues(want)
}

func createOrigin(dir string, o origin) error {
	if segs, _ := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix)); len(segs) > 0 {
		return fmt.Errorf("%w: segments without %s", ErrCorrupt, originName)
	}
	if err := replaceFile(filepath.Join(dir, originName), o.encode()); err != nil {
		return fmt.Errorf("creating %s: %w", originName, err)
	}
	return nil
}

func readOrigin(dir string) (origin, error) {
	b, err := os.ReadFile(filepath.Join(dir, originName))
	if err != nil {
		return origin{}, fmt.Errorf("reading %s: %w", originName, err)
	}
	return parseOrigin(b)
}

func parseOrigin(b []byte) (origin, error) {
	var o origin
	if err := json.Unmarshal(b, &o); err != nil {
		return origin{}, fmt.Errorf("%w: %s is not JSON", ErrCorrupt, originName)
	}
	if n := o.SegmentRecords; o.Format != formatVersion || !validOrigin(o.Name) || n < 16 || n&(n-1) != 0 || n > 1<<24 {
		return origin{}, fmt.Errorf("%w: %s has unknown values", ErrCorrupt, originName)
	}
	return o, nil
}
