package mongostore

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/fieldseal/fieldseal/repository"
)

// Codes of MongoDB that the engine tells apart.
const (
	codeUnauthorized      = 13
	codeWrongCredentials  = 18
	codeWriteConflict     = 112
	codeOutOfDiskSpace    = 14031
	codeObjectTooLarge    = 10334
	codeTransactionTooBig = 257
)

// storeError maps an error of the driver to the contract's sentinels. The
// driver's text may quote documents and filters, so that only its code is kept.
func storeError(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	for _, known := range []error{repository.ErrNotFound, repository.ErrConflict, repository.ErrCorrupt,
		repository.ErrUnavailable, repository.ErrFull, repository.ErrTooLarge} {
		if errors.Is(err, known) {
			return err
		}
	}
	code := 0
	var se mongo.ServerError
	if errors.As(err, &se) {
		if codes := se.ErrorCodes(); len(codes) > 0 {
			code = codes[0]
		}
		switch {
		case se.HasErrorCode(codeOutOfDiskSpace):
			return fmt.Errorf("%s: %w (code %d)", doing, repository.ErrFull, code)
		case se.HasErrorCode(codeObjectTooLarge), se.HasErrorCode(codeTransactionTooBig):
			return fmt.Errorf("%s: %w (code %d)", doing, repository.ErrTooLarge, code)
		case se.HasErrorCode(codeWrongCredentials):
			return fmt.Errorf("%s: %w: it refuses the credentials (code %d)", doing, repository.ErrUnavailable, code)
		case se.HasErrorCode(codeUnauthorized):
			return fmt.Errorf("%s: %w: its user lacks a privilege, see deploy/mongodb (code %d)", doing, repository.ErrUnavailable, code)
		}
	}
	switch {
	case mongo.IsTimeout(err):
		return fmt.Errorf("%s: %w: no answer in time", doing, repository.ErrUnavailable)
	case mongo.IsNetworkError(err):
		return fmt.Errorf("%s: %w: the connection failed", doing, repository.ErrUnavailable)
	}
	return fmt.Errorf("%s: %w (code %d)", doing, repository.ErrUnavailable, code)
}

func isDuplicate(err error) bool { return mongo.IsDuplicateKeyError(err) }
