package oauth

import (
	"context"

	"github.com/fieldseal/fieldseal/repository"
)

// Sweep removes rows that nothing depends on any more (used jti, codes, refresh
// tokens, launches, grants, clients that nobody approved, remembered consents and signing keys whose time has passed) and returns how
// many. Call it every few minutes; it may run on several nodes at once.
func (s *Server) Sweep(ctx context.Context) (int, error) {
	keys, err := s.sweepSigning(ctx)
	if err != nil {
		return keys, err
	}
	n, err := repository.Sweep(ctx, s.Table, s.Now().Unix(), "jti/", string(codes)+"/", string(refreshes)+"/", string(launches)+"/", "grant/", "waiting/", remembered)
	return keys + n, err
}
