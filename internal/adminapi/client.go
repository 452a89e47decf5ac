package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"syscall"

	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/fhir/interaction"
)

// ErrNotRunning means that no server listens on the data folder's socket.
var ErrNotRunning = errors.New("no server runs on this data folder")

// Client is a Backend that asks a running server.
type Client struct{ http http.Client }

var _ Backend = (*Client)(nil)

// Dial returns a client of the server that runs on the data folder, or
// ErrNotRunning.
func Dial(ctx context.Context, dataDir string) (*Client, error) {
	path := filepath.Join(dataDir, SocketName)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	conn, err := dial(ctx, "", "")
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNotRunning
	case err != nil:
		return nil, fmt.Errorf("reaching the server's admin socket: %w", err)
	}
	_ = conn.Close()
	return &Client{http.Client{Transport: &http.Transport{DialContext: dial}}}, nil
}

// Token implements Backend.
func (c *Client) Token(ctx context.Context, r TokenRequest) (out TokenReply, err error) {
	return out, c.call(ctx, "/token", r, &out, nil)
}

// RevokeToken implements Backend.
func (c *Client) RevokeToken(ctx context.Context, token string) error {
	return c.call(ctx, "/token/revoke", TokenReply{Token: token}, &struct{}{}, nil)
}

// KeysStatus implements Backend.
func (c *Client) KeysStatus(ctx context.Context) (out keyring.Status, err error) {
	return out, c.call(ctx, "/keys/status", struct{}{}, &out, nil)
}

// RotateKEK implements Backend.
func (c *Client) RotateKEK(ctx context.Context, progress func(Progress)) error {
	return c.call(ctx, "/keys/rotate", struct{}{}, &struct{}{}, progress)
}

// RotateIndex implements Backend.
func (c *Client) RotateIndex(ctx context.Context, progress func(Progress)) error {
	return c.call(ctx, "/index/rotate", struct{}{}, &struct{}{}, progress)
}

// Reindex implements Backend.
func (c *Client) Reindex(ctx context.Context, progress func(Progress)) error {
	return c.call(ctx, "/index/rebuild", struct{}{}, &struct{}{}, progress)
}

// Backup implements Backend.
func (c *Client) Backup(ctx context.Context, r BackupRequest) error {
	return c.call(ctx, "/backup", r, &struct{}{}, nil)
}

// Erase implements Backend.
func (c *Client) Erase(ctx context.Context, r EraseRequest, progress func(Progress)) (out interaction.EraseReport, err error) {
	return out, c.call(ctx, "/erase", r, &out, progress)
}

// Hold implements Backend.
func (c *Client) Hold(ctx context.Context, r HoldRequest) error {
	return c.call(ctx, "/erase/hold", r, &struct{}{}, nil)
}

// Readmit implements Backend.
func (c *Client) Readmit(ctx context.Context, r EraseRequest) error {
	return c.call(ctx, "/erase/readmit", r, &struct{}{}, nil)
}

// Explain implements Backend.
func (c *Client) Explain(ctx context.Context, r ExplainRequest) (out interaction.Explanation, err error) {
	return out, c.call(ctx, "/search/explain", r, &out, nil)
}

// BreakGlassList implements Backend.
func (c *Client) BreakGlassList(ctx context.Context) (out []Emergency, err error) {
	return out, c.call(ctx, "/break-glass/list", struct{}{}, &out, nil)
}

// BreakGlassReview implements Backend.
func (c *Client) BreakGlassReview(ctx context.Context, r ReviewRequest) (out glass.Record, err error) {
	return out, c.call(ctx, "/break-glass/review", r, &out, nil)
}

// Office implements Backend.
func (c *Client) Office(ctx context.Context, r OfficeCall) (out json.RawMessage, err error) {
	return out, c.call(ctx, "/office", r, &out, nil)
}

// Stats implements Backend.
func (c *Client) Stats(ctx context.Context) (out Stats, err error) {
	return out, c.call(ctx, "/stats", struct{}{}, &out, nil)
}

func (c *Client) call(ctx context.Context, path string, in, out any, progress func(Progress)) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("the server refused the call: %s", bytes.TrimSpace(b))
	}
	for dec := json.NewDecoder(resp.Body); ; {
		var l line
		if err := dec.Decode(&l); err != nil {
			return fmt.Errorf("the server ended the call without a result: %w", err)
		}
		switch {
		case l.Error != "":
			return errors.New(l.Error)
		case l.Result != nil:
			return json.Unmarshal(l.Result, out)
		case l.Progress != nil && progress != nil:
			progress(*l.Progress)
		}
	}
}
