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

// PurgeOwner implements repository.Purger: it removes every version that has
// the owner, with tokens and positions in the feed, of up to limit resources,
// in one transaction. Versions of other owners stay. Where the current version
// goes while such versions remain, the key reads as not found and cannot be
// created anew.
func (s *Store) PurgeOwner(ctx context.Context, o repository.Owner, limit int) (removed int, done bool, err error) {
	if err := errors.Join(checkLimit(limit), s.gate.pass(ctx)); err != nil {
		return 0, false, err
	}
	err = s.transact(ctx, func(ctx context.Context) error {
		p := purge{s: s, owner: o[:]}
		keys, more, err := p.keys(ctx, limit)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if err := p.resource(ctx, k); err != nil {
				return err
			}
		}
		removed, done = p.removed, !more
		return nil
	})
	if err != nil {
		return 0, false, storeError(ctx, "purging owner", err)
	}
	return removed, done, nil
}

// purge is what one transaction removes.
type purge struct {
	s       *Store
	owner   []byte
	removed int
}

// keys are up to limit resources of which the owner has a version.
func (p *purge) keys(ctx context.Context, limit int) (keys []repository.Key, more bool, err error) {
	seen := map[repository.Key]bool{}
	for _, c := range []*mongo.Collection{p.s.records, p.s.versions} {
		cur, err := c.Find(ctx, bson.D{{Key: fieldOwner, Value: p.owner}}, options.Find().
			SetHint(ownerIndex).SetProjection(bson.D{{Key: fieldID, Value: 1}}).SetSort(bson.D{{Key: fieldID, Value: 1}}))
		if err != nil {
			return nil, false, err
		}
		for cur.Next(ctx) {
			var d document
			k, ok := repository.Key{}, false
			if err := cur.Decode(&d); err == nil {
				k, ok = keyOf(d.ID)
			}
			if !ok {
				cur.Close(ctx)
				return nil, false, fmt.Errorf("%w: a malformed document", repository.ErrCorrupt)
			}
			if !seen[k] && len(keys) == limit {
				more = true
				break
			}
			if !seen[k] {
				seen[k], keys = true, append(keys, k)
			}
		}
		if err := errors.Join(cur.Err(), cur.Close(ctx)); err != nil {
			return nil, false, err
		}
	}
	return keys, more, nil
}

// resource removes the owner's versions of one resource.
func (p *purge) resource(ctx context.Context, k repository.Key) error {
	gone, err := p.s.versions.DeleteMany(ctx, bson.D{
		{Key: fieldID, Value: historyRange(k, ^repository.Version(0))}, {Key: fieldOwner, Value: p.owner},
	}, options.DeleteMany().SetHint(idIndex))
	if err != nil {
		return err
	}
	p.removed += int(gone.DeletedCount)
	others, err := p.s.versions.CountDocuments(ctx,
		bson.D{{Key: fieldID, Value: historyRange(k, ^repository.Version(0))}}, options.Count().SetLimit(1).SetHint(idIndex))
	if err != nil {
		return err
	}
	return p.current(ctx, k, others > 0)
}

// current removes the current version if it is the owner's, or what a former
// purge left of the key once no version remains.
func (p *purge) current(ctx context.Context, k repository.Key, others bool) error {
	var now document
	err := p.s.records.FindOne(ctx, bson.D{{Key: fieldID, Value: recordID(k)}}).Decode(&now)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil
	}
	if err != nil {
		return err
	}
	if now.State != hollow {
		if string(now.Owner) != string(p.owner) {
			return nil
		}
		p.removed++
	}
	filter := bson.D{{Key: fieldID, Value: now.ID}, {Key: fieldVersion, Value: now.Version}}
	if !others {
		_, err = p.s.records.DeleteOne(ctx, filter, options.DeleteOne().SetHint(idIndex))
		return err
	}
	husk := document{ID: now.ID, Version: now.Version, State: hollow}
	husk.Sum = husk.sum()
	_, err = p.s.records.ReplaceOne(ctx, filter, &husk, options.Replace().SetHint(idIndex))
	return err
}
