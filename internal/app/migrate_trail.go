package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/internal/config"
	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// moveTrail copies the chains of audit events, frame by frame, and verifies
// them on both sides. In a database the chain of the folder is history that no
// node continues; back in a folder, the embedded engine's chain goes on and
// those of nodes are history.
func (m *Migration) moveTrail(ctx context.Context, from, to config.Options) ([]trail.Report, error) {
	want, err := chains(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("the source's trail: %w", err)
	}
	if !m.VerifyOnly {
		if err := copyChains(ctx, from, to, want); err != nil {
			return nil, err
		}
	}
	got, err := chains(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("the target's trail: %w", err)
	}
	if len(got) != len(want) {
		return nil, fmt.Errorf("the source's trail has %d chains, the target's %d", len(want), len(got))
	}
	for name, w := range want {
		if g := got[name]; g.PublicKey != w.PublicKey || g.Events != w.Events || g.Checkpoint != w.Checkpoint || !g.Last.Equal(w.Last) {
			return nil, fmt.Errorf("chain %s has %d events in the source's trail and %d in the target's, or other signatures", name, w.Events, g.Events)
		}
	}
	var out []trail.Report
	for _, name := range slices.Sorted(maps.Keys(got)) {
		out = append(out, got[name])
	}
	return out, nil
}

// chains verifies a trail and returns what it found of each chain.
func chains(ctx context.Context, o config.Options) (map[string]trail.Report, error) {
	var reports []trail.Report
	var err error
	if o.OnMongoDB() {
		var log *mongostore.Log
		if log, err = mongostore.OpenLog(database(o, partData), trailLog); err != nil {
			return nil, err
		}
		defer log.Close()
		reports, err = trail.VerifyLog(ctx, log, trail.VerifyOptions{})
	} else {
		reports, err = verifyFolders(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	out := map[string]trail.Report{}
	for _, r := range reports {
		if !r.OK() {
			return nil, fmt.Errorf("chain %s does not verify; see fieldseal audit verify", r.Origin)
		}
		out[r.Origin] = r
	}
	return out, nil
}

// verifyFolders verifies what a data folder holds: the embedded engine's chain,
// if there is one, and histories.
func verifyFolders(ctx context.Context, o config.Options) (out []trail.Report, err error) {
	dirs, err := filepath.Glob(filepath.Join(trailFolder(o), "history", "*"))
	if err != nil {
		return nil, err
	}
	for _, dir := range append([]string{trailFolder(o)}, dirs...) {
		if _, err := os.Stat(filepath.Join(dir, "origin.json")); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		r, err := trail.Verify(ctx, trail.VerifyOptions{Dir: dir})
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func trailFolder(o config.Options) string { return filepath.Join(o.Data, "trail") }

// chainFolder is where a chain lies in a data folder: the embedded engine
// continues the one of its own name.
func chainFolder(o config.Options, name string) string {
	if name == o.NodeName() {
		return trailFolder(o)
	}
	return filepath.Join(trailFolder(o), "history", name)
}

// copyChains goes on where it was interrupted: a folder that is there is whole.
// The folder's own chain is the first, since the others lie below it.
func copyChains(ctx context.Context, from, to config.Options, names map[string]trail.Report) error {
	inLog, folders := from, to
	if to.OnMongoDB() {
		inLog, folders = to, from
	}
	log, err := mongostore.OpenLog(database(inLog, partData), trailLog)
	if err != nil {
		return err
	}
	defer log.Close()
	own := folders.NodeName()
	list := slices.Sorted(maps.Keys(names))
	if i := slices.Index(list, own); i > 0 {
		list = slices.Insert(slices.Delete(list, i, i+1), 0, own)
	}
	for _, name := range list {
		dir := chainFolder(folders, name)
		if to.OnMongoDB() {
			_, err = trail.CopyToLog(ctx, dir, log)
		} else if err = os.MkdirAll(filepath.Dir(dir), 0o700); err == nil {
			_, err = trail.CopyToFolder(ctx, log, name, dir)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("moving the trail: %w", err)
		}
	}
	return nil
}
