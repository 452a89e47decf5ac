package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Sweep removes the rows under the prefixes whose time has passed and returns how
// many. The values are JSON objects whose member keep says in Unix seconds until
// when the row counts; rows without it stay. It may run on several nodes at once.
func Sweep(ctx context.Context, t Table, now int64, prefixes ...string) (n int, err error) {
	for _, prefix := range prefixes {
		var old []Row
		for stored, err := range t.Scan(ctx, []byte(prefix)) {
			if err != nil {
				return n, fmt.Errorf("sweeping %s: %w", prefix, err)
			}
			var row struct {
				Keep int64 `json:"keep"`
			}
			if json.Unmarshal(stored.Value, &row) == nil && row.Keep != 0 && row.Keep <= now {
				old = append(old, Row{Key: slices.Clone(stored.Key), Revision: stored.Revision})
			}
		}
		for _, r := range old {
			switch err := t.DeleteIf(ctx, r.Key, r.Revision); {
			case err == nil:
				n++
			case !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrConflict):
				return n, fmt.Errorf("sweeping %s: %w", prefix, err)
			}
		}
	}
	return n, nil
}
