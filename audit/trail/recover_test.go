package trail

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestTornTailIsCutAndDamageIsNot(t *testing.T) {
	t.Parallel()
	opt, v := written(t, 40)
	path := filepath.Join(opt.Dir, segmentName(33))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Write([]byte{0, 0, 1, 0, 7, 7, 7})
	f.Close()
	tr := mustOpen(t, opt)
	eventually(t, "recovery was not recorded", func() bool { return tr.Status().Events == 41 })
	tr.Close()
	if rep := verify(t, v); !rep.OK() {
		t.Fatalf("%+v", rep.Problems)
	}
	// An acknowledged event that no checkpoint covers is vouched for by the next.
	for _, n := range []string{checkpointsName, "../witness"} {
		if err := os.Remove(filepath.Join(opt.Dir, n)); err != nil {
			t.Fatal(err)
		}
	}
	editSegment(t, opt.Dir, 33, func(fs [][]byte) [][]byte { fs[2][150] ^= 1; return fs })
	if _, err := Open(context.Background(), opt); !errors.Is(err, ErrCorrupt) {
		t.Errorf("damage to an acknowledged event was taken for a torn tail: %v", err)
	}
}

func TestRolledBackTrailIsRefused(t *testing.T) {
	t.Parallel()
	opt, _ := written(t, 40)
	editSegment(t, opt.Dir, 33, func(fs [][]byte) [][]byte { return fs[:3] })
	if err := os.Remove(filepath.Join(opt.Dir, checkpointsName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), opt); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

func TestMissingSidecarIsRebuilt(t *testing.T) {
	t.Parallel()
	opt, v := written(t, 60)
	names, _ := filepath.Glob(filepath.Join(opt.Dir, "*"+sidecarSuffix))
	for i, n := range names {
		if i == 0 {
			os.Remove(n)
		} else if err := os.Truncate(n, 100); err != nil {
			t.Fatal(err)
		}
	}
	tr := mustOpen(t, opt)
	p := patient(1)
	if got, err := tr.Search(t.Context(), Query{Patient: &p}); err != nil || len(got) != 20 {
		t.Errorf("%d events, %v", len(got), err)
	}
	tr.Close()
	if rep := verify(t, v); !rep.OK() {
		t.Errorf("%+v", rep.Problems)
	}
}
