package mongostore

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fieldseal/fieldseal/repository"
)

// slot is a key in the course of a group.
type slot struct {
	origin  int64    // version that the database holds, 0 for none
	now     document // after the batches so far
	changed bool
}

// state is what a group changes, first as read, then as it will be.
type state struct {
	slots    map[repository.Key]*slot
	order    []*slot    // changed ones
	history  []replaced // versions that others replace
	guards   map[int32]int64
	raised   map[int32]int64
	relied   map[int32]bool // guards whose revision an accepted batch named
	accepted int            // writes
	seq      int64          // positions of the feed start behind it
	newest   int64          // the latest time committed, the group's own included
	oldest   int64          // the earliest time that the group writes
}

// replaced is a version that goes to history. The position of one that the
// group itself made is counted from the group's start until it is written.
type replaced struct {
	document
	fresh bool
}

func (st *state) load(ctx context.Context, g *group, l look) (err error) {
	st.slots, st.guards = map[repository.Key]*slot{}, map[int32]int64{}
	st.raised, st.relied = map[int32]int64{}, map[int32]bool{}
	ids := [][]byte{}
	var relied []repository.Token
	for _, j := range g.jobs {
		for i := range j.batch.Writes {
			ids = append(ids, recordID(j.batch.Writes[i].Record.Key))
		}
		for _, e := range j.batch.Expect {
			relied = append(relied, e.Token)
		}
	}
	if l.guards {
		if st.guards, err = g.s.revisions(ctx, relied); err != nil {
			return err
		}
	}
	if !l.records {
		return nil
	}
	return st.loadRecords(ctx, g.s, ids)
}

func (st *state) loadRecords(ctx context.Context, s *Store, ids [][]byte) error {
	if len(ids) == 0 {
		return nil
	}
	cur, err := s.records.Find(ctx, bson.D{{Key: fieldID, Value: bson.D{{Key: "$in", Value: ids}}}},
		options.Find().SetProjection(withoutTokens))
	if err != nil {
		return err
	}
	defer cur.Close(ctx)
	for cur.Next(ctx) {
		var d document
		k, ok := repository.Key{}, false
		if err := cur.Decode(&d); err == nil {
			k, ok = keyOf(d.ID)
		}
		if !ok {
			return fmt.Errorf("%w: a malformed document", repository.ErrCorrupt)
		}
		st.slots[k] = &slot{origin: d.Version, now: d}
	}
	return cur.Err()
}

// apply adds a batch to the state, or says why it may not be.
func (st *state) apply(j *job) error {
	for _, e := range j.batch.Expect {
		if st.revision(stripe(e.Token)) != int64(e.Revision) {
			return fmt.Errorf("checking guards: %w", repository.ErrConflict)
		}
	}
	if err := st.lags(&j.batch); err != nil {
		return err
	}
	for i := range j.batch.Writes {
		if err := st.check(&j.batch.Writes[i]); err != nil {
			return err
		}
	}
	for _, e := range j.batch.Expect {
		st.raised[stripe(e.Token)]++
		st.relied[stripe(e.Token)] = true
	}
	for _, t := range j.batch.Bump {
		st.raised[stripe(t)]++
	}
	for i := range j.batch.Writes {
		st.put(&j.batch.Writes[i])
	}
	return nil
}

func (st *state) revision(id int32) int64 { return st.guards[id] + st.raised[id] }

func (st *state) check(w *repository.Write) error {
	sl := st.slots[w.Record.Key]
	if sl == nil {
		if w.Expect != 0 {
			return fmt.Errorf("%w: %v", repository.ErrConflict, w.Record.Key)
		}
		return nil
	}
	if sl.now.Version != int64(w.Expect) || sl.now.State == hollow {
		return fmt.Errorf("%w: %v", repository.ErrConflict, w.Record.Key)
	}
	if _, err := sl.now.record(); err != nil { // damage is reported, not archived
		return fmt.Errorf("%v: %w", w.Record.Key, err)
	}
	return nil
}

func (st *state) put(w *repository.Write) {
	sl := st.slots[w.Record.Key]
	if sl == nil {
		sl = &slot{}
		st.slots[w.Record.Key] = sl
	} else {
		st.history = append(st.history, replaced{sl.now.past(), sl.changed})
	}
	if !sl.changed {
		sl.changed = true
		st.order = append(st.order, sl)
	}
	st.accepted++
	st.newest, st.oldest = max(st.newest, int64(w.Record.Updated)), min(st.oldest, int64(w.Record.Updated))
	sl.now = newDocument(w, int64(st.accepted))
}

// number takes the positions of the feed. From here to the commit no other
// transaction can take any.
func (st *state) number(ctx context.Context, s *Store, jobs []*job, refused []error) error {
	if st.accepted == 0 && len(st.raised) == 0 {
		return nil
	}
	var before counter
	err := s.meta.FindOneAndUpdate(ctx, bson.D{{Key: fieldID, Value: metaFeed}, {Key: fieldFence, Value: nil}},
		bson.D{
			{Key: "$inc", Value: bson.D{{Key: "n", Value: int64(st.accepted)}}},
			{Key: "$max", Value: bson.D{{Key: fieldUpdated, Value: st.newest}}},
		},
		options.FindOneAndUpdate().SetReturnDocument(options.Before).SetHint(idIndex)).Decode(&before)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return errFenced
	}
	if err != nil {
		return err
	}
	if err := st.passed(s, before); err != nil {
		return err
	}
	done := st.seq
	for i, j := range jobs {
		if refused[i] == nil {
			done += int64(len(j.batch.Writes))
			j.seq = done
		}
	}
	return nil
}

// write sends what changed.
func (st *state) write(ctx context.Context, s *Store) error {
	var inserts, replaces []mongo.WriteModel // in this order, so that each kind is one command
	for _, sl := range st.order {
		st.place(&sl.now)
		if sl.origin == 0 {
			inserts = append(inserts, mongo.NewInsertOneModel().SetDocument(&sl.now))
			continue
		}
		replaces = append(replaces, mongo.NewReplaceOneModel().SetReplacement(&sl.now).SetHint(idIndex).
			SetFilter(bson.D{{Key: fieldID, Value: sl.now.ID}, {Key: fieldVersion, Value: sl.origin}}))
	}
	if len(st.order) > 0 {
		res, err := s.records.BulkWrite(ctx, append(inserts, replaces...))
		if err != nil {
			return err
		}
		if res.MatchedCount != int64(len(replaces)) {
			return errStale
		}
	}
	if err := st.writeHistory(ctx, s); err != nil {
		return err
	}
	if err := st.writeGuards(ctx, s); err != nil {
		return err
	}
	return st.writeMilepost(ctx, s)
}

// place gives a version of this group its position in the feed.
func (st *state) place(d *document) {
	d.Seq += st.seq
	d.Sum = d.sum()
}

func (st *state) writeHistory(ctx context.Context, s *Store) error {
	if len(st.history) == 0 {
		return nil
	}
	docs := make([]*document, len(st.history))
	for i := range st.history {
		if st.history[i].fresh {
			st.place(&st.history[i].document)
		}
		docs[i] = &st.history[i].document
	}
	_, err := s.versions.InsertMany(ctx, docs)
	return err
}

func (st *state) writeGuards(ctx context.Context, s *Store) error {
	if len(st.raised) == 0 {
		return nil
	}
	models := make([]mongo.WriteModel, 0, len(st.raised))
	for id, by := range st.raised {
		models = append(models, guardWrite(id, by, st.relied[id], st.guards[id]))
	}
	res, err := s.guards.BulkWrite(ctx, models)
	if err != nil {
		return err
	}
	if res.MatchedCount+res.UpsertedCount != int64(len(models)) {
		return errStale
	}
	return nil
}
