package importer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// HTTP returns a Do that sends to a FHIR base with a bearer token.
func HTTP(client *http.Client, base, token string) Do {
	base = strings.TrimSuffix(base, "/")
	return func(ctx context.Context, method, path string, header http.Header, body []byte) (Answer, error) {
		target := base
		if path != "" {
			target += "/" + path
		}
		req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
		if err != nil {
			return Answer{}, err
		}
		req.Header = header.Clone()
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := client.Do(req)
		var failed *url.Error
		if errors.As(err, &failed) {
			return Answer{}, failed.Err // without the URL, which names the resource
		}
		if err != nil {
			return Answer{}, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(io.LimitReader(resp.Body, maxDocumentBytes))
		return Answer{Status: resp.StatusCode, RetryAfter: resp.Header.Get("Retry-After"), Body: b}, err
	}
}
