package trail

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit/merkle"
	"github.com/fieldseal/fieldseal/repository"
)

// tampered is a closed chain in a database whose administrator is the attacker.
type tampered struct {
	t   *testing.T
	opt Options
	db  attacked
}

// eachTampered writes a chain of n events in each form in a database.
func eachTampered(t *testing.T, n int, test func(c tampered)) {
	t.Helper()
	eachLog(t, func(t *testing.T, opt Options, db attacked) {
		tr := mustOpen(t, opt)
		for i := range n - 1 { // the first event is that of the start
			mustRecord(t, tr, readEvent(byte(i%3)))
		}
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		if rep := verifyForm(t, opt); !rep.OK() || rep.Events != uint64(n) {
			t.Fatalf("before the attack: %+v", rep)
		}
		test(tampered{t, opt, db})
	})
}

func (c tampered) entry(kind string, n uint64) repository.LogEntry {
	c.t.Helper()
	e, err := one(c.t.Context(), c.opt.Log, entryID(kind, "n1", n))
	if err != nil {
		c.t.Fatal(err)
	}
	return e
}

func (c tampered) entries(kind string) (out []repository.LogEntry) {
	c.t.Helper()
	for e, err := range entriesOf(c.t.Context(), c.opt.Log, kind, "n1", 0) {
		if err != nil {
			c.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// edit changes the bytes of an event's frame.
func (c tampered) edit(seq uint64, change func(b []byte) []byte) {
	c.t.Helper()
	e := c.entry(kindFrame, seq)
	e.Body = change(bytes.Clone(e.Body))
	c.db.put(e)
}

// forge replaces an event by one whose frame is whole.
func (c tampered) forge(seq uint64, change func(f *frame)) {
	c.t.Helper()
	e := c.entry(kindFrame, seq)
	f, _ := parseFrame(e.Body)
	change(&f)
	g := newFrame(nil, &f.header, f.block)
	e.Body, e.Time = g.raw, g.time
	c.db.put(e)
}

func (c tampered) want(finding Finding) {
	c.t.Helper()
	rep := verifyForm(c.t, c.opt)
	if !slices.ContainsFunc(rep.Problems, func(p Problem) bool { return p.Finding == finding }) {
		c.t.Errorf("%s was not found; problems: %+v", finding, rep.Problems)
	}
}

// TestVerifyOfADatabaseFinds is TestVerifyFinds… for events in a database.
func TestVerifyOfADatabaseFinds(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]struct {
		want Finding
		do   func(c tampered)
	}{
		"a flipped byte of a body": {FlippedByte, func(c tampered) {
			c.edit(7, func(b []byte) []byte { b[200] ^= 1; return b })
		}},
		"a flipped byte with a fitting checksum": {FlippedByte, func(c tampered) {
			c.edit(7, func(b []byte) []byte { b[200] ^= 1; return reframe(b) })
		}},
		"a flipped byte of the last event": {FlippedByte, func(c tampered) {
			c.edit(40, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		}},
		"a changed header": {Fork, func(c tampered) {
			c.edit(40, func(b []byte) []byte { b[4+8+7] ^= 1; return reframe(b) })
		}},
		"an event of another form": {FlippedByte, func(c tampered) {
			e := c.entry(kindFrame, 9)
			e.Body = nil
			c.db.put(e)
		}},
		"a deletion":           {Deletion, func(c tampered) { c.db.delete(entryID(kindFrame, "n1", 9)) }},
		"a deleted beginning":  {Deletion, func(c tampered) { c.db.delete(entryID(kindFrame, "n1", 1)) }},
		"an insertion between": {Insertion, func(c tampered) { c.insert(entryID(kindFrame, "n1", 9) + "a") }},
		"an insertion behind":  {Reordering, func(c tampered) { c.insert(entryID(kindFrame, "n1", 41)) }},
		"a replaced event":     {Fork, func(c tampered) { c.forge(40, func(f *frame) { f.durable-- }) }},
		"a reordering": {Reordering, func(c tampered) {
			a, b := c.entry(kindFrame, 9), c.entry(kindFrame, 12)
			a.ID, b.ID = b.ID, a.ID
			c.db.put(a)
			c.db.put(b)
		}},
		"a cut end, by the checkpoints": {TruncatedTail, func(c tampered) { c.cut(30); c.opt.Witness = "" }},
		"a cut end, by the witness": {TruncatedTail, func(c tampered) {
			c.cut(30)
			for _, e := range c.entries(kindCheckpoint) {
				c.db.delete(e.ID)
			}
		}},
		"a rewritten history": {Fork, func(c tampered) {
			prev := merkle.Hash{}
			for seq := uint64(1); seq <= 40; seq++ {
				c.forge(seq, func(f *frame) {
					if f.seq == 3 {
						f.time++
					}
					f.prev = prev
					prev = merkle.Leaf(f.header.append(nil))
				})
			}
		}},
		"a clock going back": {ClockBack, func(c tampered) {
			c.forge(20, func(f *frame) { f.time -= int64(time.Hour / time.Microsecond) })
		}},
		"a forged checkpoint": {BadSignature, func(c tampered) {
			e := c.entries(kindCheckpoint)[0]
			e.Body = bytes.Replace(e.Body, []byte("time 20"), []byte("time 19"), 1)
			c.db.put(e)
		}},
		"a renamed checkpoint": {Fork, func(c tampered) {
			all := c.entries(kindCheckpoint)
			all[0].ID = entryID(kindCheckpoint, "n1", 39)
			c.db.put(all[0])
		}},
		"a time that hides an event": {MismatchedIndex, func(c tampered) {
			e := c.entry(kindFrame, 11)
			e.Time++
			c.db.put(e)
		}},
		"terms that hide an event": {MismatchedIndex, func(c tampered) {
			e := c.entry(kindFrame, 11)
			e.Terms = e.Terms[1:]
			c.db.put(e)
		}},
		"a changed root of a segment": {MismatchedIndex, func(c tampered) {
			e := c.entry(kindRoot, 17)
			e.Body[0] ^= 1
			c.db.put(e)
		}},
		"a missing entry of the chain": {DamagedFile, func(c tampered) { c.db.delete(kindOrigin + "n1") }},
		"another key": {ForeignKey, func(c tampered) {
			o, err := newOrigin("n1", 16, otherSigner{}.CheckpointKey().Public().(ed25519.PublicKey))
			if err != nil {
				c.t.Fatal(err)
			}
			c.db.put(repository.LogEntry{ID: kindOrigin + "n1", Body: o.encode()})
		}},
		"a vanished chain": {TruncatedTail, func(c tampered) {
			for _, kind := range []string{kindFrame, kindCheckpoint, kindMark, kindRoot} {
				for _, e := range c.entries(kind) {
					c.db.delete(e.ID)
				}
			}
			c.db.delete(kindOrigin + "n1")
		}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			eachTampered(t, 40, func(c tampered) {
				attack.do(c)
				c.want(attack.want)
			})
		})
	}
}

// insert copies an event to a name that nothing has.
func (c tampered) insert(id string) {
	e := c.entry(kindFrame, 9)
	e.ID = id
	c.db.put(e)
}

func (c tampered) cut(from uint64) {
	for seq := from; seq <= 40; seq++ {
		c.db.delete(entryID(kindFrame, "n1", seq))
	}
}

// TestVerifyKnowsEachNodesWitness gives the auditor a folder of witnesses.
func TestVerifyKnowsEachNodesWitness(t *testing.T) {
	t.Parallel()
	eachLog(t, func(t *testing.T, opt Options, _ attacked) {
		dir := t.TempDir()
		for _, name := range []string{"n1", "n2", "n10"} {
			opt.Origin, opt.Witness = name, filepath.Join(dir, name)
			tr := mustOpen(t, opt)
			mustRecord(t, tr, readEvent(1))
			if err := tr.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Remove(filepath.Join(dir, "n2")); err != nil {
			t.Fatal(err)
		}
		reps, err := VerifyLog(t.Context(), opt.Log, VerifyOptions{Witness: dir})
		if err != nil || len(reps) != 3 {
			t.Fatalf("%d reports, %v", len(reps), err)
		}
		for i, name := range []string{"n1", "n10", "n2"} {
			if r := reps[i]; !r.OK() || r.Origin != name || r.Events != 2 || (r.Witnessed == 2) != (name != "n2") {
				t.Errorf("%+v", r)
			}
		}
	})
}
