package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/fieldseal/fieldseal/repository"
)

// Sweep removes rows that nothing depends on any more (used jti, codes, refresh
// tokens, launches, grants and signing keys whose time has passed) and returns how many. Call it every
// few minutes; it may run on several nodes at once.
func (s *Server) Sweep(ctx context.Context) (n int, err error) {
	if n, err = s.sweepSigning(ctx); err != nil {
		return n, err
	}
	now := s.Now().Unix()
	for _, prefix := range []string{"jti/", string(codes) + "/", string(refreshes) + "/", string(launches) + "/", "grant/"} {
		var old []repository.Row
		for stored, err := range s.Table.Scan(ctx, []byte(prefix)) {
			if err != nil {
				return n, fmt.Errorf("sweeping authorizations: %w", err)
			}
			var row seenRow
			if json.Unmarshal(stored.Value, &row) == nil && row.Keep != 0 && row.Keep <= now {
				old = append(old, repository.Row{Key: stored.Key, Revision: stored.Revision})
			}
		}
		for _, r := range old {
			switch err := s.Table.DeleteIf(ctx, r.Key, r.Revision); {
			case err == nil:
				n++
			case !errors.Is(err, repository.ErrNotFound) && !errors.Is(err, repository.ErrConflict):
				return n, fmt.Errorf("sweeping authorizations: %w", err)
			}
		}
	}
	return n, nil
}
