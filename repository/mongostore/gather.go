package mongostore

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fieldseal/fieldseal/repository"
)

var _ repository.Gatherer = (*Store)(nil)

// Gather implements repository.Gatherer with one command for current versions,
// and one for those that turn out to be past. Current ones are read first, as by
// GetVersion.
func (s *Store) Gather(ctx context.Context, wanted []repository.Wanted) ([]repository.Record, error) {
	if err := s.gate.pass(ctx); err != nil {
		return nil, err
	}
	ids := make([][]byte, 0, len(wanted))
	for i, w := range wanted {
		if i == 0 || w.Key != wanted[i-1].Key {
			ids = append(ids, recordID(w.Key))
		}
	}
	current, err := s.byID(ctx, s.records, ids)
	if err != nil {
		return nil, err
	}
	out := make([]repository.Record, len(wanted))
	var past [][]byte
	for i, w := range wanted {
		if d, ok := current[string(recordID(w.Key))]; ok && (w.Version == 0 || d.Version == int64(w.Version)) {
			if out[i], err = gathered(w.Key, d); err != nil {
				return nil, err
			}
		} else if w.Version != 0 {
			past = append(past, versionID(w.Key, w.Version))
		}
	}
	if len(past) == 0 {
		return out, nil
	}
	found, err := s.byID(ctx, s.versions, past)
	if err != nil {
		return nil, err
	}
	for i, w := range wanted {
		if d, ok := found[string(versionID(w.Key, w.Version))]; ok && out[i].Version == 0 {
			if out[i], err = gathered(w.Key, d); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// gathered is the record of a document; of a hollow one there is none.
func gathered(k repository.Key, d document) (repository.Record, error) {
	if d.State == hollow {
		return repository.Record{}, nil
	}
	r, err := d.record()
	if err != nil {
		return r, fmt.Errorf("reading %v: %w", k, err)
	}
	return r, nil
}

// byID reads documents by their ids, as many in a reply as fit into it.
func (s *Store) byID(ctx context.Context, in *mongo.Collection, ids [][]byte) (map[string]document, error) {
	found := make(map[string]document, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	cur, err := in.Find(ctx, bson.D{{Key: fieldID, Value: bson.D{{Key: "$in", Value: ids}}}},
		options.Find().SetProjection(withoutTokens).SetBatchSize(int32(min(len(ids), chunk))+1))
	if err != nil {
		return nil, storeError(ctx, "reading", err)
	}
	defer cur.Close(ctx)
	for cur.Next(ctx) {
		var d document
		if err := cur.Decode(&d); err != nil {
			return nil, fmt.Errorf("%w: a malformed document", repository.ErrCorrupt)
		}
		found[string(d.ID)] = d
	}
	return found, storeError(ctx, "reading", cur.Err())
}
