package importer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
)

// Retries: a server that restarts or sheds load is back within a minute or
// two; one that is not needs a person.
const (
	maxAttempts  = 10
	maxConflicts = 5 // attempts while others write the same resource
	firstBackoff = 200 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

// answer is a response of the server.
type answer struct {
	status int
	root   *fhir.Node // nil when the body is not FHIR JSON
}

func (a *answer) diagnostics() []string {
	if a.root == nil {
		return []string{"the server answered without an OperationOutcome"}
	}
	return diagnostics(a.root)
}

var entryExpression = regexp.MustCompile(`^Bundle\.entry\[(\d{1,9})\]`)

// entryIndex is the entry that the first issue names, nil when it names none.
func (a *answer) entryIndex() *int {
	issues := a.root.Member("issue")
	if issues == nil || issues.Kind() != fhir.Array || issues.Len() == 0 {
		return nil
	}
	paths := issues.At(0).Member("expression")
	if paths == nil || paths.Kind() != fhir.Array || paths.Len() == 0 {
		return nil
	}
	m := entryExpression.FindStringSubmatch(paths.At(0).Text())
	if m == nil {
		return nil
	}
	i, _ := strconv.Atoi(m[1]) // digits, by the expression
	return &i
}

// passing reports whether a status may go away by waiting. A 409 is two
// writers at once.
func passing(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusConflict,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// pause waits before attempt n+1, as long as the server says or twice as long
// as before.
func pause(ctx context.Context, n int, retryAfter string) error {
	d := min(firstBackoff<<n, maxBackoff)
	if s, err := strconv.Atoi(retryAfter); err == nil && s > 0 {
		d = min(time.Duration(s)*time.Second, maxBackoff)
	}
	d += time.Duration(rand.Int64N(int64(d)/4 + 1)) // #nosec G404 -- jitter, so that workers do not return together
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// send performs a request until it has an answer that waiting does not change.
// A 409 that stays is an answer; a server that stays away is ErrUnavailable.
func (r *run) send(ctx context.Context, method, path string, header http.Header, body []byte) (*answer, error) {
	header.Set("Content-Type", "application/fhir+json")
	header.Set("Accept", "application/fhir+json")
	header.Set("Prefer", "return=minimal")
	var last error
	var retryAfter string
	for n := range maxAttempts {
		if n > 0 {
			if err := pause(ctx, n-1, retryAfter); err != nil {
				return nil, err
			}
		}
		got, err := r.Do(ctx, method, path, header, body)
		retryAfter = got.RetryAfter
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			last = fmt.Errorf("%w: %w", ErrUnavailable, err)
		case got.Status == http.StatusUnauthorized:
			return nil, fmt.Errorf("%w: status 401, the token is not accepted", ErrUnavailable)
		case got.Status == http.StatusConflict && n+1 >= maxConflicts, !passing(got.Status):
			return newAnswer(got), nil
		default:
			last = fmt.Errorf("%w: status %d after %d attempts", ErrUnavailable, got.Status, n+1)
		}
	}
	return nil, last
}

func newAnswer(got Answer) *answer {
	a := &answer{status: got.Status}
	if root, err := fhir.ParseValue(got.Body, documentLimits); err == nil && root.Kind() == fhir.Object {
		a.root = &root
	}
	return a
}

// sendTransaction returns the results of a transaction that landed, or the
// answer that refused it.
func (r *run) sendTransaction(ctx context.Context, p plan) ([]result, *answer, error) {
	a, err := r.send(ctx, http.MethodPost, "", http.Header{}, p.transaction)
	if err != nil {
		return nil, nil, err
	}
	if a.status != http.StatusOK {
		return nil, a, nil
	}
	results, err := matchResults(p.entries, a)
	return results, nil, err
}

// batch sends entries that stand for themselves and repeats those that may
// succeed later.
func (r *run) batch(ctx context.Context, entries []entry) ([]result, error) {
	var final []result
	for n := 0; len(entries) > 0; n++ {
		if n > 0 {
			if err := pause(ctx, n-1, ""); err != nil {
				return final, err
			}
		}
		results, settled, err := r.batchOnce(ctx, entries)
		if err != nil {
			return final, err
		}
		settled = settled || n+1 >= maxConflicts
		var again []entry
		for i, res := range results {
			if !settled && passing(res.status) {
				again = append(again, entries[i])
			} else {
				final = append(final, res)
			}
		}
		entries = again
	}
	return final, nil
}

// batchOnce sends a batch. Settled results do not change by repeating.
func (r *run) batchOnce(ctx context.Context, entries []entry) (results []result, settled bool, err error) {
	if len(entries) == 1 {
		results, err = r.singles(ctx, entries)
		return results, true, err
	}
	a, err := r.send(ctx, http.MethodPost, "", http.Header{}, compose("batch", entries))
	if err != nil {
		return nil, false, err
	}
	switch a.status {
	case http.StatusOK:
		results, err = matchResults(entries, a)
		return results, false, err
	case http.StatusRequestEntityTooLarge:
		results, err = r.singles(ctx, entries)
		return results, true, err
	}
	for _, e := range entries {
		results = append(results, result{e.pos, e.line, e.request("method"), a.status, a.diagnostics()})
	}
	return results, true, nil
}

// singles sends entries as requests of their own: what is alone, and what is
// too large together.
func (r *run) singles(ctx context.Context, entries []entry) ([]result, error) {
	results := make([]result, 0, len(entries))
	for _, e := range entries {
		res, err := r.single(ctx, e)
		if err != nil {
			return nil, err
		}
		results = append(results, res)
	}
	return results, nil
}

// single sends one entry as a request of its own.
func (r *run) single(ctx context.Context, e entry) (result, error) {
	res := result{pos: e.pos, line: e.line, method: e.request("method")}
	header := http.Header{}
	for member, name := range map[string]string{"ifNoneExist": "If-None-Exist", "ifMatch": "If-Match", "ifNoneMatch": "If-None-Match"} {
		if v := e.request(member); v != "" {
			header.Set(name, v)
		}
	}
	var body []byte
	if n := e.node.Member("resource"); n != nil {
		body = n.AppendJSON(nil)
	}
	if res.method == "" || e.request("url") == "" {
		res.diagnostics = []string{"the entry has no request with method and url"}
		return res, nil
	}
	a, err := r.send(ctx, res.method, e.request("url"), header, body)
	if err != nil {
		return res, err
	}
	if res.status = a.status; !res.ok() {
		res.diagnostics = a.diagnostics()
	}
	return res, nil
}

// matchResults reads a batch-response or transaction-response, whose entries
// stand in the order of the request.
func matchResults(entries []entry, a *answer) ([]result, error) {
	list := a.root.Member("entry")
	if list == nil && len(entries) == 0 {
		return []result{}, nil
	}
	if list == nil || list.Kind() != fhir.Array || list.Len() != len(entries) {
		return nil, fmt.Errorf("%w: its answer to a Bundle does not match the request", ErrUnavailable)
	}
	results := make([]result, len(entries))
	for i, e := range entries {
		response := list.At(i).Member("response")
		text := response.Member("status").Text()
		status, err := strconv.Atoi(text[:min(3, len(text))])
		if err != nil {
			return nil, fmt.Errorf("%w: an entry of its answer has no status", ErrUnavailable)
		}
		results[i] = result{pos: e.pos, line: e.line, method: e.request("method"), status: status}
		if !results[i].ok() {
			results[i].diagnostics = []string{"refused without an OperationOutcome"}
			if outcome := response.Member("outcome"); outcome != nil {
				results[i].diagnostics = diagnostics(outcome)
			}
		}
	}
	return results, nil
}
