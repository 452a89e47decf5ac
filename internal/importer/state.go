package importer

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// stateFormat is the number of the state file's format. The file is ndjson: a
// header, then one record per completed unit, each fsynced before the next
// unit counts as done. A last line without its end was torn by a crash and is
// dropped.
const stateFormat = 1

type stateHeader struct {
	Format int    `json:"fieldsealImport"`
	Secret string `json:"secret"` // hex; keys the hashes and derived ids of this file
}

// record says that a unit of an input was answered, but for the entries in
// Redo, which were refused.
type record struct {
	Key    string  `json:"key"` // keyed hash of path, size and time of change
	Offset int64   `json:"offset"`
	End    int64   `json:"end"`
	Redo   []int64 `json:"redo,omitempty"`
}

type recordID struct {
	key    string
	offset int64
}

// state is the open state file. Its zero value keeps nothing.
type state struct {
	mu      sync.Mutex
	file    *os.File
	secret  []byte
	records map[recordID]record
}

// openState reads the file or creates it, mode 0600.
func openState(path string) (*state, error) {
	s := &state{records: map[recordID]record{}}
	if path == "" {
		return s, nil
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the state file: %w", err)
	}
	s.file = f
	if err := s.read(); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the state file: %w", err), f.Close())
	}
	if s.secret == nil {
		if err := s.begin(filepath.Dir(path)); err != nil {
			return nil, errors.Join(fmt.Errorf("beginning the state file: %w", err), f.Close())
		}
	}
	return s, nil
}

var errStateDamaged = errors.New("not a state file of an import, or a damaged one; without it the import starts over")

func (s *state) read() error {
	b, err := io.ReadAll(s.file)
	if err != nil {
		return err
	}
	whole := bytes.LastIndexByte(b, '\n') + 1
	if whole < len(b) {
		begun := []byte(`{"fieldsealImport"`)
		if n := min(len(b), len(begun)); whole == 0 && !bytes.Equal(b[:n], begun[:n]) {
			return errStateDamaged
		}
		if err := s.file.Truncate(int64(whole)); err != nil {
			return err
		}
	}
	for i, line := range bytes.Split(bytes.TrimSuffix(b[:whole], []byte("\n")), []byte("\n")) {
		if whole == 0 {
			break
		}
		if i == 0 {
			if err := s.readHeader(line); err != nil {
				return err
			}
			continue
		}
		var r record
		if json.Unmarshal(line, &r) != nil || r.Key == "" || r.End < r.Offset {
			return errStateDamaged
		}
		s.records[recordID{r.Key, r.Offset}] = r
	}
	return nil
}

func (s *state) readHeader(line []byte) error {
	var h stateHeader
	if json.Unmarshal(line, &h) != nil || h.Format != stateFormat {
		return errStateDamaged
	}
	secret, err := hex.DecodeString(h.Secret)
	if err != nil || len(secret) != sha256.Size {
		return errStateDamaged
	}
	s.secret = secret
	return nil
}

func (s *state) begin(folder string) error {
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // crypto/rand.Read never fails (Go 1.24)
	if err := s.append(stateHeader{stateFormat, hex.EncodeToString(secret)}); err != nil {
		return err
	}
	s.secret = secret
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// append writes one line and makes it durable.
func (s *state) append(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := s.file.Write(append(b, '\n')); err != nil {
		return err
	}
	return s.file.Sync()
}

// key is the record key of a place, "" when nothing is kept.
func (s *state) key(place string) string {
	if s.secret == nil || place == "" {
		return ""
	}
	return hex.EncodeToString(s.sum("input", place)[:16])
}

// deriveID makes the id of a resource that has none, in the form of a UUID
// (RFC 9562 §5.8). It tells nothing without the secret. It is "" when the run
// cannot be resumed.
func (s *state) deriveID(key string, pos int64) string {
	if key == "" {
		return ""
	}
	b := s.sum("id", key, strconv.FormatInt(pos, 10))[:16]
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func (s *state) sum(parts ...string) []byte {
	m := hmac.New(sha256.New, s.secret)
	for _, p := range parts {
		fmt.Fprintf(m, "%d:%s", len(p), p)
	}
	return m.Sum(nil)
}

// done returns what an earlier run recorded for the unit that starts here.
func (s *state) done(key string, offset int64) (record, bool) {
	if key == "" {
		return record{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[recordID{key, offset}]
	return r, ok
}

// add records a unit; it is durable on return.
func (s *state) add(r record) error {
	if r.Key == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.append(r); err != nil {
		return fmt.Errorf("writing the state file: %w", err)
	}
	s.records[recordID{r.Key, r.Offset}] = r
	return nil
}

func (s *state) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
