package mongostore

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Stats are the sizes that the server tells of the database.
type Stats struct {
	Collections int64 `json:"collections" bson:"collections"`
	Documents   int64 `json:"documents" bson:"objects"`
	DataBytes   int64 `json:"dataBytes" bson:"dataSize"`    // before compression
	FileBytes   int64 `json:"fileBytes" bson:"storageSize"` // on disk, without indexes
	Indexes     int64 `json:"indexes" bson:"indexes"`       // number
	IndexBytes  int64 `json:"indexBytes" bson:"indexSize"`  // on disk
}

// Stats asks the server for the database's sizes.
func (s *Store) Stats(ctx context.Context) (st Stats, err error) {
	err = s.db.RunCommand(ctx, bson.D{{Key: "dbStats", Value: 1}}).Decode(&st)
	return st, storeError(ctx, "reading sizes", err)
}
