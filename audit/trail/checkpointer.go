package trail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/merkle"
	"github.com/fieldseal/fieldseal/repository"
)

// checkpointTick is how often the checkpointer looks for work that is due, and
// how long a checkpoint may wait for its fsync.
const checkpointTick = time.Second

// witnessMagic is the first line of a witness file; the trail's origin.json
// follows on the second.
const witnessMagic = "fieldseal audit witness"

// checkpointer signs the tree and hands it to the witness.
type checkpointer struct {
	wake chan struct{}

	mu         sync.Mutex
	signed     []byte // newest signed note
	last       checkpoint
	written    time.Time // when last was written, by the local clock
	witnessed  uint64    // size that the witness has
	witnessErr error
	unsynced   bool
	tried      signedNote // fate unknown; checkpointLoop only
}

// signedNote is a checkpoint with its signature.
type signedNote struct {
	checkpoint
	bytes []byte
}

func (c *checkpointer) newest() ([]byte, checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.signed, c.last
}

// notify wakes the checkpointer when enough events came.
func (c *checkpointer) notify(t *Trail) {
	if _, last := c.newest(); t.last.seq-last.size >= t.opt.CheckpointEvents {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// load reads the newest checkpoint of the chain and of the witness and checks
// that the stored events still lead to them.
func (c *checkpointer) load(ctx context.Context, t *Trail) error {
	c.wake = make(chan struct{}, 1)
	c.written = t.opt.Now()
	signed, err := t.medium.checkpoint(ctx, t.origin.Name)
	if err != nil {
		return err
	}
	if signed != nil {
		if c.last, err = t.consistent(ctx, signed, "checkpoint"); err != nil {
			return err
		}
		c.signed = signed
	}
	if t.opt.Witness == "" {
		return nil
	}
	return c.loadWitness(ctx, t)
}

// consistent verifies a signed checkpoint against the stored events.
func (t *Trail) consistent(ctx context.Context, signed []byte, what string) (checkpoint, error) {
	v, err := note.NewVerifier(t.origin.PublicKey)
	if err != nil {
		return checkpoint{}, fmt.Errorf("%w: public key of the trail", ErrCorrupt)
	}
	c, err := openCheckpoint(signed, v)
	if err != nil {
		return c, err
	}
	if c.size > t.last.seq {
		return c, fmt.Errorf("%w: the %s covers %d events, the trail has %d", ErrCorrupt, what, c.size, t.last.seq)
	}
	root := merkle.Empty()
	if c.size > 0 {
		tree, terr := t.medium.tree(ctx, t.origin.Name)
		if terr != nil {
			return c, terr
		}
		if root, err = tree.Subtree(0, c.size); err != nil {
			return c, err
		}
	}
	if root != c.root {
		return c, fmt.Errorf("%w: the %s over %d events has another root", ErrCorrupt, what, c.size)
	}
	return c, nil
}

func (c *checkpointer) loadWitness(ctx context.Context, t *Trail) error {
	b, err := os.ReadFile(t.opt.Witness)
	if errors.Is(err, fs.ErrNotExist) {
		if t.last.seq > 0 {
			t.spool.add(audit.Event{Kind: audit.System, Subtype: "witness-created", Action: audit.Execute, Outcome: audit.Success})
		}
		return createWitness(t.opt.Witness, t.origin)
	}
	if err != nil {
		return fmt.Errorf("reading the audit witness: %w", err)
	}
	org, notes, rest, err := parseWitness(b)
	if err != nil {
		return err
	}
	if org != t.origin {
		return fmt.Errorf("%w: the witness belongs to another trail", ErrCorrupt)
	}
	if len(rest) > 0 {
		if err := os.Truncate(t.opt.Witness, int64(len(b)-len(rest))); err != nil {
			return fmt.Errorf("cutting a torn witness entry: %w", err)
		}
	}
	if len(notes) == 0 {
		return nil
	}
	last, err := t.consistent(ctx, notes[len(notes)-1], "witness")
	c.witnessed = last.size
	return err
}

func createWitness(path string, o origin) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := replaceFile(path, fmt.Appendf(nil, "%s\n%s\n\n", witnessMagic, b)); err != nil {
		return fmt.Errorf("creating the audit witness: %w", err)
	}
	return nil
}

// parseWitness reads a witness file.
func parseWitness(b []byte) (o origin, notes [][]byte, rest []byte, err error) {
	head, body, ok := bytes.Cut(b, []byte("\n\n"))
	first, second, two := bytes.Cut(head, []byte("\n"))
	if !ok || !two || string(first) != witnessMagic {
		return o, nil, nil, fmt.Errorf("%w: witness file does not parse", ErrCorrupt)
	}
	if o, err = parseOrigin(second); err != nil {
		return o, nil, nil, err
	}
	notes, rest = splitNotes(body)
	return o, notes, rest, nil
}

func (t *Trail) checkpointLoop() {
	tick := time.NewTicker(checkpointTick)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			<-t.written
			t.checkpoint(true)
			return
		case <-t.check.wake:
			t.checkpoint(false)
		case <-tick.C:
			_, last := t.check.newest()
			t.mu.RLock()
			behind := t.last.seq > last.size
			t.mu.RUnlock()
			due := behind && t.opt.Now().Sub(t.check.written) >= t.opt.CheckpointEvery
			if due || t.check.unsynced || t.check.lagging(t) {
				t.checkpoint(true)
			}
		}
	}
}

// lagging reports whether the witness failed to take the newest checkpoint.
func (c *checkpointer) lagging(t *Trail) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return t.opt.Witness != "" && c.witnessed < c.last.size
}

// checkpoint signs the durable events, if there are new ones, and writes the
// note to the medium and to the witness. Only checkpointLoop calls it. A later
// checkpoint covers every earlier event, so a witness that was out of reach
// loses nothing.
func (t *Trail) checkpoint(sync bool) {
	if errors.Is(t.failure(), errForeign) { // another process signs this chain now
		return
	}
	c := &t.check
	now := signedNote{}
	now.bytes, now.checkpoint = c.newest()
	t.mu.RLock()
	next := checkpoint{size: t.last.seq, time: t.opt.Now()}
	grown := next.size > now.size
	if grown {
		next.root = t.tree.Root()
	}
	t.mu.RUnlock()
	if grown || sync && c.unsynced {
		put, err := c.put(t, next, grown, sync)
		if err != nil {
			if !passing(err) {
				t.fail(fmt.Errorf("writing a checkpoint: %w", err))
			}
			return
		}
		if put.bytes != nil {
			now = put
		}
	}
	c.finish(t, now, sync)
}

// put signs a checkpoint, if there are new events, and hands it to the medium.
// One whose fate is unknown is handed over again before the next is signed.
func (c *checkpointer) put(t *Trail, next checkpoint, grown, sync bool) (signedNote, error) {
	if c.tried.bytes == nil && grown {
		b, err := note.Sign(&note.Note{Text: next.text(t.origin.Name)}, t.signer)
		if err != nil {
			return signedNote{}, err
		}
		c.tried = signedNote{next, b}
	}
	n := c.tried
	if err := t.medium.putCheckpoint(t.writing, n, t.intents.lowWater(next.size), sync); err != nil {
		return n, err
	}
	c.tried = signedNote{}
	return n, nil
}

// passing reports whether an error goes away by itself: no room, no database.
func passing(err error) bool {
	return isFull(err) || errors.Is(err, repository.ErrUnavailable) || errors.Is(err, repository.ErrFull) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// finish publishes a checkpoint and hands it to the witness.
func (c *checkpointer) finish(t *Trail, n signedNote, sync bool) {
	var err error
	witnessed := c.witnessed
	if t.opt.Witness != "" && (n.size > witnessed || (sync && c.unsynced)) {
		var b []byte
		if n.size > witnessed {
			b = n.bytes
		}
		if err = appendNote(&t.opt.disk, t.opt.Witness, b, sync); err == nil {
			witnessed = n.size
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.size > c.last.size {
		c.written = t.opt.Now()
	}
	c.signed, c.last, c.witnessed, c.witnessErr = n.bytes, n.checkpoint, witnessed, err
	c.unsynced = !sync
}

// appendNote adds a signed note, if there is one, to a file that only ever grows.
func appendNote(d *disk, path string, signed []byte, sync bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if len(signed) > 0 {
		if _, err := f.Write(append(signed[:len(signed):len(signed)], '\n')); err != nil {
			return err
		}
	}
	if sync {
		return d.sync(f)
	}
	return nil
}
