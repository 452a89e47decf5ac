package localstore

import (
	"context"

	"github.com/fieldseal/fieldseal/repository"
)

var _ repository.Census = (*Store)(nil)

// HoldsOwner implements repository.Census: one seek in the owner index.
func (s *Store) HoldsOwner(ctx context.Context, o repository.Owner) (held bool, err error) {
	if err := s.enter(ctx); err != nil {
		return false, err
	}
	defer s.leave(&err)
	it, err := prefixIter(s.db, appendOwnerPrefix(nil, o))
	if err != nil {
		return false, storeError("reading owner index", err)
	}
	defer it.Close()
	held = it.First()
	return held, storeError("reading owner index", it.Error())
}
