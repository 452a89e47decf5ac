package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring"
)

// login keeps the token.
type login struct {
	mu      sync.Mutex
	current string
	renew   time.Time // when it is due, zero for never
}

// token returns a token. When the one in use was denied, it is named and
// another is fetched, unless somebody else already did.
func (l *login) token(ctx context.Context, k *KMS, denied string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != "" && l.current != denied {
		return l.current, nil
	}
	token, life, err := k.fetch(ctx)
	if err != nil {
		return "", err
	}
	l.current = token
	l.schedule(life)
	return token, nil
}

// schedule plans the renewal at two thirds of a token's life.
func (l *login) schedule(life time.Duration) {
	l.renew = time.Time{}
	if life > 0 {
		l.renew = time.Now().Add(life * 2 / 3)
	}
}

func (l *login) due(now time.Time) (token string, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current, l.current != "" && !l.renew.IsZero() && !now.Before(l.renew)
}

// fetch reads the token file or logs in.
func (k *KMS) fetch(ctx context.Context) (token string, life time.Duration, err error) {
	if k.opts.TokenFile != "" {
		if token, err = readSecret(k.opts.TokenFile); err != nil {
			return "", 0, err
		}
		r, err := k.call(ctx, http.MethodGet, "auth/token/lookup-self", token, nil)
		if err != nil {
			return "", 0, fmt.Errorf("looking at the token: %w", err)
		}
		if r.Data.Renewable {
			life = time.Duration(r.Data.TTL) * time.Second
		}
		return token, life, nil
	}
	id, err := readSecret(k.opts.SecretIDFile)
	if err != nil {
		return "", 0, err
	}
	r, err := k.call(ctx, http.MethodPost, "auth/"+k.opts.AppRoleMount+"/login", "",
		map[string]string{"role_id": k.opts.RoleID, "secret_id": id})
	if errors.Is(err, keyring.ErrWrongKEK) { // a 400 here is about the secret id
		err = fmt.Errorf("%w: the vault refuses the role", keyring.ErrRevoked)
	}
	if err != nil {
		return "", 0, fmt.Errorf("logging in: %w", err)
	}
	return granted(r)
}

func granted(r *reply) (token string, life time.Duration, err error) {
	if r.Auth.Token == "" {
		return "", 0, fmt.Errorf("%w: an answer without a token", keyring.ErrUnavailable)
	}
	return r.Auth.Token, time.Duration(r.Auth.Seconds) * time.Second, nil
}

// renewEvery is how often the renewal is looked at.
const renewEvery = time.Second

// renewals keeps the token alive, and replaces one that has reached its end.
func (k *KMS) renewals(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if token, due := k.login.due(time.Now()); due {
			if err := k.extend(ctx, token); err != nil && ctx.Err() == nil {
				k.opts.OnTrouble(fmt.Errorf("renewing the vault login: %w", err))
			}
		}
	}
}

// extend renews a token, or fetches another one when it cannot be renewed any
// more. After a failure it is due again at the next look.
func (k *KMS) extend(ctx context.Context, token string) error {
	r, err := k.call(ctx, http.MethodPost, "auth/token/renew-self", token, map[string]string{})
	if err == nil {
		_, life, err := granted(r)
		if err != nil {
			return err
		}
		if life > renewEvery {
			k.login.mu.Lock()
			k.login.schedule(life)
			k.login.mu.Unlock()
			return nil
		}
	} else if errors.Is(err, keyring.ErrUnavailable) {
		return err
	}
	_, err = k.login.token(ctx, k, token)
	return err
}

// maxSecret bounds what is read of a file with a token.
const maxSecret = 64 << 10

// readSecret reads a token from a file that others may not read.
func readSecret(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", fmt.Errorf("%w: the file with the vault login cannot be opened", keyring.ErrUnavailable)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%w: the file with the vault login is no regular file", keyring.ErrUnavailable)
	}
	if m := info.Mode().Perm(); m&0o077 != 0 {
		return "", fmt.Errorf("%w: the file with the vault login has mode %04o and others may read it: run chmod 600", ErrUnsuitable, m)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return "", fmt.Errorf("%w: the file with the vault login cannot be read", keyring.ErrUnavailable)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("%w: the file with the vault login is empty", keyring.ErrUnavailable)
	}
	return s, nil
}
