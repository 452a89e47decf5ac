package mongostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fieldseal/fieldseal/repository"
)

// fieldFence in the feed's counter keeps commits out.
const fieldFence = "fence"

// errFenced is what a server meets on a database that is being moved.
var errFenced = fmt.Errorf("%w: the database is being moved elsewhere; "+
	"let fieldseal migrate end, or run it with --unfence to give the move up", repository.ErrUnavailable)

// Fence implements repository.Exporter. It looks for connections of servers
// before and after it writes the fence, which every commit meets: the counter
// that it takes its positions from has it. On a sharded cluster only the
// connections to the same router are seen.
func (s *Store) Fence(ctx context.Context) error {
	if err := s.waitUnused(ctx); err != nil {
		return err
	}
	if err := s.setFence(ctx, "$set"); err != nil {
		return err
	}
	err := s.checkUnused(ctx)
	if err != nil {
		return errors.Join(err, s.Unfence(context.WithoutCancel(ctx)))
	}
	return nil
}

// Unfence implements repository.Exporter.
func (s *Store) Unfence(ctx context.Context) error { return s.setFence(ctx, "$unset") }

func (s *Store) setFence(ctx context.Context, how string) error {
	_, err := s.meta.UpdateByID(ctx, metaFeed, bson.D{{Key: how, Value: bson.D{{Key: fieldFence, Value: true}}}})
	return storeError(ctx, "fencing the database", err)
}

// checkFence is a step of a server's start.
func (s *Store) checkFence(ctx context.Context) error {
	err := s.meta.FindOne(ctx, bson.D{{Key: fieldID, Value: metaFeed}, {Key: fieldFence, Value: true}},
		options.FindOne().SetHint(idIndex)).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil
	}
	if err == nil {
		return errFenced
	}
	return storeError(ctx, "looking for a fence", err)
}

// application names a server's connections to the database; those of a move
// have another name.
func (o *Options) application() string {
	if o.moving {
		return "fieldseal-migrate/" + o.Database
	}
	return "fieldseal/" + o.Database
}

// lingering is how long the database may list the connections of a server that
// has just ended.
const lingering = 5 * time.Second

// waitUnused is checkUnused that lets such connections go.
func (s *Store) waitUnused(ctx context.Context) error {
	for end := time.Now().Add(lingering); ; time.Sleep(lingering / 50) {
		if err := s.checkUnused(ctx); !errors.Is(err, repository.ErrInUse) || time.Now().After(end) {
			return err
		}
	}
}

// checkUnused asks the server for connections of servers. A user sees those of
// the same user without a privilege; where that is not so, who moves has to look
// otherwise (the register of nodes does).
func (s *Store) checkUnused(ctx context.Context) error {
	var open struct {
		Inprog []struct {
			AppName        string `bson:"appName"`
			ClientMetadata struct {
				Application struct {
					Name string `bson:"name"`
				} `bson:"application"`
			} `bson:"clientMetadata"`
		} `bson:"inprog"`
	}
	err := s.client.Database("admin").RunCommand(ctx, bson.D{
		{Key: "currentOp", Value: 1}, {Key: "$all", Value: true}, {Key: "$ownOps", Value: true},
	}).Decode(&open)
	if denied := mongo.ServerError(nil); errors.As(err, &denied) && denied.HasErrorCode(codeUnauthorized) {
		return nil
	}
	if err != nil {
		return storeError(ctx, "looking for running servers", err)
	}
	server := (&Options{Database: s.opts.Database}).application()
	for _, c := range open.Inprog {
		if c.AppName == server || c.ClientMetadata.Application.Name == server {
			return repository.ErrInUse
		}
	}
	return nil
}
