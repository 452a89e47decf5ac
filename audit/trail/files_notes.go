package trail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// putCheckpoint implements medium. A later checkpoint covers every earlier
// event, so that a few may wait for their fsync.
func (t *files) putCheckpoint(_ context.Context, n signedNote, low uint64, sync bool) error {
	if err := appendNote(&t.disk, filepath.Join(t.dir, checkpointsName), n.bytes, sync); err != nil {
		return err
	}
	return t.saveLow(low)
}

// cutCheckpoints removes a note that a crash tore.
func (t *files) cutCheckpoints() error {
	path := filepath.Join(t.dir, checkpointsName)
	b, err := readIfAny(path)
	if err != nil {
		return fmt.Errorf("reading checkpoints: %w", err)
	}
	if _, rest := splitNotes(b); len(rest) > 0 {
		if err := os.Truncate(path, int64(len(b)-len(rest))); err != nil {
			return fmt.Errorf("cutting a torn checkpoint: %w", err)
		}
	}
	return nil
}

// checkpoint implements medium.
func (t *files) checkpoint(_ context.Context, origin string) ([]byte, error) {
	c, err := t.chain(origin)
	if err != nil {
		return nil, err
	}
	all, err := c.checkpoints()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[len(all)-1], nil
}

func (t *files) checkpoints() ([][]byte, error) {
	b, err := readIfAny(filepath.Join(t.dir, checkpointsName))
	if err != nil {
		return nil, fmt.Errorf("reading checkpoints: %w", err)
	}
	all, _ := splitNotes(b)
	return all, nil
}

func readIfAny(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// lowWaterMark is intents.json. A mark that is too low only costs time.
type lowWaterMark struct {
	Low uint64 `json:"low"`
}

// parseLow reads a mark; one that cannot be right counts as 1.
func parseLow(b []byte, last uint64) uint64 {
	var mark lowWaterMark
	if json.Unmarshal(b, &mark) != nil || mark.Low == 0 || mark.Low > last+1 {
		return 1
	}
	return mark.Low
}

func (t *files) loadLow(last uint64) (uint64, error) {
	b, err := readIfAny(filepath.Join(t.dir, intentsName))
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", intentsName, err)
	}
	return parseLow(b, last), nil
}

func (t *files) saveLow(low uint64) error {
	b, err := json.Marshal(lowWaterMark{low})
	if err != nil {
		return err
	}
	path := filepath.Join(t.dir, intentsName)
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
