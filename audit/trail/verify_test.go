package trail

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

// written is a closed trail of n events, its options and the verifier's.
func written(t *testing.T, n int) (Options, VerifyOptions) {
	t.Helper()
	opt := testOptions(t, newFakeKeys())
	tr := mustOpen(t, opt)
	for i := range n {
		mustRecord(t, tr, readEvent(byte(i%3)))
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	return opt, VerifyOptions{Dir: opt.Dir, Witness: opt.Witness}
}

func verify(t *testing.T, v VerifyOptions) Report {
	t.Helper()
	rep, err := Verify(context.Background(), v)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func wantFinding(t *testing.T, v VerifyOptions, want Finding) {
	t.Helper()
	rep := verify(t, v)
	if !slices.ContainsFunc(rep.Problems, func(p Problem) bool { return p.Finding == want }) {
		t.Errorf("%s was not found; problems: %+v", want, rep.Problems)
	}
	var out bytes.Buffer
	if _, err := rep.WriteTo(&out); err != nil || !strings.Contains(out.String(), string(want)) {
		t.Errorf("printed report lacks %s: %v", want, err)
	}
}

// editSegment changes the frames of the segment that starts with first.
func editSegment(t *testing.T, dir string, first uint64, edit func(frames [][]byte) [][]byte) {
	t.Helper()
	path := filepath.Join(dir, segmentName(first))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	for rest := b[segmentHeader:]; ; {
		f, ok := parseFrame(rest)
		if !ok {
			break
		}
		frames = append(frames, rest[:len(f.raw)])
		rest = rest[len(f.raw):]
	}
	out := append(slices.Clone(b[:segmentHeader]), bytes.Join(edit(frames), nil)...)
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
}

// reframe gives a changed frame a fitting checksum, as an attacker would.
func reframe(f []byte) []byte {
	f = slices.Clone(f)
	binary.BigEndian.PutUint32(f[len(f)-4:], crc32.Checksum(f[4:len(f)-4], castagnoli))
	return f
}

func TestVerifyCleanTrail(t *testing.T) {
	t.Parallel()
	opt, v := written(t, 50)
	v.PublicKey = opt.Keys.CheckpointKey().Public().(ed25519.PublicKey)
	rep := verify(t, v)
	if !rep.OK() || rep.Events != 50 || rep.Segments != 4 || rep.Checkpoint != 50 || rep.Witnessed != 50 || rep.Checkpoints == 0 {
		t.Errorf("%+v", rep)
	}
}

func TestVerifyFindsFlippedByte(t *testing.T) {
	t.Parallel()
	for _, first := range []uint64{1, 17, 49} {
		for _, at := range []int{0, 3, 4, 20, 40, 80, 100, -5, -1} {
			_, v := written(t, 50)
			editSegment(t, v.Dir, first, func(fs [][]byte) [][]byte {
				f := fs[len(fs)-1] // the last record of the segment is the hardest
				f[(at+len(f))%len(f)] ^= 0x10
				return fs
			})
			if rep := verify(t, v); rep.OK() {
				t.Errorf("flip at %d of segment %d was not found", at, first)
			}
		}
	}
	_, v := written(t, 50)
	editSegment(t, v.Dir, 17, func(fs [][]byte) [][]byte { fs[5][200] ^= 1; return fs })
	wantFinding(t, v, FlippedByte)
	_, v = written(t, 50)
	editSegment(t, v.Dir, 17, func(fs [][]byte) [][]byte { fs[5][200] ^= 1; fs[5] = reframe(fs[5]); return fs })
	wantFinding(t, v, FlippedByte)
}

func TestVerifyFindsDeletion(t *testing.T) {
	t.Parallel()
	_, v := written(t, 60)
	editSegment(t, v.Dir, 17, func(fs [][]byte) [][]byte { return slices.Delete(fs, 4, 6) })
	wantFinding(t, v, Deletion)
}

func TestVerifyFindsInsertion(t *testing.T) {
	t.Parallel()
	_, v := written(t, 60)
	editSegment(t, v.Dir, 49, func(fs [][]byte) [][]byte { return slices.Insert(fs, 4, fs[3]) })
	wantFinding(t, v, Insertion)
}

func TestVerifyFindsReordering(t *testing.T) {
	t.Parallel()
	_, v := written(t, 60)
	editSegment(t, v.Dir, 17, func(fs [][]byte) [][]byte { fs[4], fs[7] = fs[7], fs[4]; return fs })
	wantFinding(t, v, Reordering)
}

func TestVerifyFindsTruncatedTail(t *testing.T) {
	t.Parallel()
	_, v := written(t, 60)
	editSegment(t, v.Dir, 49, func(fs [][]byte) [][]byte { return fs[:8] })
	if err := os.Remove(filepath.Join(v.Dir, checkpointsName)); err != nil { // only the witness knows
		t.Fatal(err)
	}
	wantFinding(t, v, TruncatedTail)
	v.Witness = ""
	if rep := verify(t, v); len(rep.Notes) == 0 {
		t.Error("the report does not say that no witness was given")
	}
	_, v = written(t, 60)
	editSegment(t, v.Dir, 49, func(fs [][]byte) [][]byte { fs[8] = fs[8][:50]; return fs[:9] })
	wantFinding(t, v, TruncatedTail)
}

func TestVerifyFindsFork(t *testing.T) {
	t.Parallel()
	a, v := written(t, 40)
	b, _ := written(t, 40) // the same key signs another history
	if err := os.Rename(b.Dir, a.Dir+".other"); err != nil {
		t.Fatal(err)
	}
	v.Dir = a.Dir + ".other"
	wantFinding(t, v, Fork)
	b.Dir, b.Witness = v.Dir, a.Witness
	if _, err := Open(context.Background(), b); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a forked trail was opened: %v", err)
	}
}

func TestVerifyFindsRewrittenHistory(t *testing.T) {
	t.Parallel()
	_, v := written(t, 40)
	prev := merkle.Hash{}
	for first := uint64(1); first <= 33; first += 16 { // change event 3 and rechain all that follow
		editSegment(t, v.Dir, first, func(fs [][]byte) [][]byte {
			for i := range fs {
				f, _ := parseFrame(fs[i])
				if f.seq == 3 {
					f.time++
				}
				f.header.prev = prev
				fs[i], prev = appendFrame(nil, &f.header, f.block)
			}
			return fs
		})
	}
	wantFinding(t, v, Fork)
}

func TestVerifyFindsClockGoingBack(t *testing.T) {
	t.Parallel()
	_, v := written(t, 40)
	editSegment(t, v.Dir, 17, func(fs [][]byte) [][]byte {
		f, _ := parseFrame(fs[3])
		f.time -= int64(time.Hour / time.Microsecond)
		fs[3], _ = appendFrame(nil, &f.header, f.block)
		return fs
	})
	wantFinding(t, v, ClockBack)
}

func TestVerifyFindsForgedCheckpoint(t *testing.T) {
	t.Parallel()
	_, v := written(t, 40)
	path := filepath.Join(v.Dir, checkpointsName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := bytes.LastIndex(b, []byte("\n40\n"))
	copy(b[i:], "\n39\n")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	wantFinding(t, v, BadSignature)
}

func TestVerifyFindsMissingSegment(t *testing.T) {
	t.Parallel()
	opt, v := written(t, 60)
	if err := os.Remove(filepath.Join(v.Dir, segmentName(17))); err != nil {
		t.Fatal(err)
	}
	wantFinding(t, v, MissingSegment)
	if _, err := Open(context.Background(), opt); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a trail with a gap was opened: %v", err)
	}
}

func TestVerifyFindsReplacedKey(t *testing.T) {
	t.Parallel()
	_, v := written(t, 20)
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := note.NewEd25519VerifierKey("n1", pub)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(v.Dir, originName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	org, err := parseOrigin(b)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.ReplaceAll(b, []byte(org.PublicKey), []byte(other))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	wantFinding(t, v, ForeignKey)
	wantFinding(t, v, BadSignature)
}

func TestVerifyFindsHiddenSearchIndex(t *testing.T) {
	t.Parallel()
	_, v := written(t, 40)
	names, err := filepath.Glob(filepath.Join(v.Dir, "*"+sidecarSuffix))
	if err != nil || len(names) == 0 {
		t.Fatal(err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-30] ^= 1
	if err := os.WriteFile(names[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	wantFinding(t, v, MismatchedIndex)
}

func TestVerifyBesideARunningWriter(t *testing.T) {
	t.Parallel()
	eachForm(t, func(t *testing.T, opt Options) {
		tr, events := mustOpen(t, opt), 600
		if opt.Log != nil { // a database takes its time
			events = 100
		}
		done := make(chan struct{})
		defer func() { <-done }()
		go func() {
			defer close(done)
			for i := range events {
				if _, err := tr.Record(context.Background(), readEvent(byte(i))); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			if rep := verifyForm(t, opt); !rep.OK() {
				t.Fatalf("%+v", rep.Problems)
			}
		}
	})
}
