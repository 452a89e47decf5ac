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

// loadOrigin reads origin.json or creates it. A trail that belongs to another
// origin or key is refused: continuing it would fork its history.
func loadOrigin(opt Options, key ed25519.PrivateKey) (origin, error) {
	pub, ok := key.Public().(ed25519.PublicKey)
	if !ok || len(key) != ed25519.PrivateKeySize {
		return origin{}, errors.New("audit checkpoint key is missing")
	}
	vkey, err := note.NewEd25519VerifierKey(opt.Origin, pub)
	if err != nil {
		return origin{}, fmt.Errorf("encoding the checkpoint key: %w", err)
	}
	got, err := readOrigin(opt.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return createOrigin(opt, vkey)
	}
	if err != nil {
		return origin{}, err
	}
	if got.Name != opt.Origin || got.PublicKey != vkey {
		return origin{}, fmt.Errorf("%w: the trail belongs to another origin or checkpoint key", ErrCorrupt)
	}
	return got, nil
}

func createOrigin(opt Options, vkey string) (origin, error) {
	if segs, _ := filepath.Glob(filepath.Join(opt.Dir, "*"+segmentSuffix)); len(segs) > 0 {
		return origin{}, fmt.Errorf("%w: segments without %s", ErrCorrupt, originName)
	}
	o := origin{Format: formatVersion, Name: opt.Origin, SegmentRecords: opt.SegmentRecords, PublicKey: vkey}
	b, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return origin{}, err
	}
	if err := replaceFile(filepath.Join(opt.Dir, originName), append(b, '\n')); err != nil {
		return origin{}, fmt.Errorf("creating %s: %w", originName, err)
	}
	return o, nil
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
