package node

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// Beating returns the names of the nodes that are at work on the table's
// database, for those who want to be alone on it and are no node: the ones
// whose rows change within the time after which a node that cannot renew stops
// by itself. It waits that long, unless a row changes or none is there.
func Beating(ctx context.Context, t repository.Table) ([]string, error) {
	before, err := read(ctx, t)
	if err != nil || len(before.nodes) == 0 {
		return nil, err
	}
	for deadline := time.Now().Add(DefaultValidity); time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(DefaultBeat):
		}
		now, err := read(ctx, t)
		if err != nil {
			return nil, err
		}
		maps.DeleteFunc(now.nodes, func(name string, o other) bool { return before.nodes[name].revision == o.revision })
		if len(now.nodes) > 0 {
			return slices.Sorted(maps.Keys(now.nodes)), nil
		}
	}
	return nil, nil
}
