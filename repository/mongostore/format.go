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

// Formats of a database. What format 2 added: the counter holds the latest time
// committed, and mileposts lead into the feed.
const (
	formatVersion = 2 // what this release writes
	formatOldest  = 1 // what it upgrades
)

// ErrFormat means that the database was written by a release with another
// format.
var ErrFormat = errors.New("the database has another format")

func (s *Store) checkFormat(ctx context.Context) error {
	_, err := s.meta.UpdateByID(ctx, metaFormat,
		bson.D{{Key: "$setOnInsert", Value: bson.D{{Key: "version", Value: formatVersion}}}},
		options.UpdateOne().SetUpsert(true))
	if err != nil && !isDuplicate(err) {
		return storeError(ctx, "reading the database's format", err)
	}
	return s.readFormat(ctx)
}

// readFormat refuses what this release does not read.
func (s *Store) readFormat(ctx context.Context) error {
	found, err := s.format(ctx)
	if err != nil {
		return err
	}
	if found == formatImporting {
		return repository.ErrUnfinished
	}
	if found < formatOldest || found > formatVersion {
		return fmt.Errorf("%w: it is %d, this release reads %d to %d; start the release that wrote it, or migrate",
			ErrFormat, found, formatOldest, formatVersion)
	}
	return nil
}

func (s *Store) format(ctx context.Context) (int, error) {
	var found struct{ Version int }
	err := s.meta.FindOne(ctx, bson.D{{Key: fieldID, Value: metaFormat}}).Decode(&found)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return 0, fmt.Errorf("%w: there is none, so nothing of Fieldseal lies in the database", ErrFormat)
	}
	return found.Version, storeError(ctx, "reading the database's format", err)
}

// upgrade brings a database of format 1 up to date. Several nodes may do it at
// once, and one that was stopped is done again: nothing of it depends on what
// is there already. No node of the older release may run: it would go on
// without keeping what format 2 added.
func (s *Store) upgrade(ctx context.Context) error {
	found, err := s.format(ctx)
	if err != nil || found == formatVersion {
		return err
	}
	s.opts.Progress("reading the change feed to upgrade the database's format")
	if err := s.layMileposts(ctx); err != nil {
		return err
	}
	_, err = s.meta.UpdateByID(ctx, metaFormat, bson.D{{Key: "$set", Value: bson.D{{Key: "version", Value: formatVersion}}}})
	return storeError(ctx, "upgrading the database's format", err)
}

// layMileposts makes the mileposts of a feed that has none.
func (s *Store) layMileposts(ctx context.Context) error {
	at, n := milepost{}, 0
	for c, err := range s.Changes(ctx, "") {
		if err != nil {
			return fmt.Errorf("laying mileposts: %w", err)
		}
		at = milepost{seqOf(c), max(at.Newest, int64(c.Updated))}
		if n++; n%milepostEvery == 0 {
			if err := s.setMilepost(ctx, at); err != nil {
				return err
			}
		}
	}
	_, err := s.meta.UpdateByID(ctx, metaFeed, bson.D{{Key: "$max", Value: bson.D{{Key: fieldUpdated, Value: at.Newest}}}})
	return storeError(ctx, "laying mileposts", err)
}

func (s *Store) setMilepost(ctx context.Context, m milepost) error {
	_, err := s.mileposts.UpdateByID(ctx, m.Seq,
		bson.D{{Key: "$set", Value: bson.D{{Key: fieldUpdated, Value: m.Newest}}}}, options.UpdateOne().SetUpsert(true))
	return storeError(ctx, "laying mileposts", err)
}
