package interaction

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// Page sizes of a history.
const (
	defaultHistory = 50
	maxHistory     = 1000
)

// historyQuery is what a history is asked for (R4 http.html#history).
type historyQuery struct {
	count     int
	since     repository.Stamp // versions of this time or later; 0: all
	from      repository.Stamp // versions that were current at some moment of
	until     repository.Stamp // [from, until); until 0: of any time
	ascending bool             // oldest first
}

func parseHistory(rawQuery string) (q historyQuery, err error) {
	q.count = defaultHistory
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return q, fail(Malformed, err, "the query string is malformed")
	}
	for name, vs := range values {
		if len(vs) > 1 {
			return q, fail(Malformed, nil, "a parameter of a history stands twice")
		}
		if f := q.set(name, vs[0]); f != nil {
			return q, f
		}
	}
	return q, nil
}

func (q *historyQuery) set(name, value string) *Failure {
	value = strings.ReplaceAll(value, " ", "+") // an unescaped + of a zone
	switch name {
	case "_count":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return fail(Malformed, err, "_count must be a positive number")
		}
		q.count = min(n, maxHistory)
	case "_since":
		t, ok := fhir.ParseInstant(value)
		if !ok {
			return fail(Malformed, nil, "_since must be an instant, with seconds and a zone")
		}
		q.since = repository.Stamp(max(t.UnixMicro(), 1))
	case "_at":
		from, until, ok := search.ParseTime(value)
		if !ok {
			return fail(Malformed, nil, "_at must be a date, dateTime or instant")
		}
		q.from, q.until = repository.Stamp(max(from, 1)), repository.Stamp(max(until, 2))
	case "_sort":
		switch value {
		case "_lastUpdated":
			q.ascending = true
		case "-_lastUpdated":
		default:
			return fail(Malformed, nil, "a history sorts by -_lastUpdated (the default) or _lastUpdated")
		}
	case "_format", "_pretty":
	default:
		f := fail(Malformed, nil, "a history takes _count, _since, _at and _sort; another parameter was given")
		f.Issues[0].Code = "not-supported"
		return f
	}
	return nil
}

// inTime reports whether a version lies in the time that was asked for. Of one that began
// before, only its successor tells whether it was still current then.
func (s *Service) inTime(ctx context.Context, q historyQuery, k repository.Key, v repository.Version, updated repository.Stamp) (bool, error) {
	switch {
	case updated < q.since || q.until != 0 && updated >= q.until:
		return false, nil
	case q.until == 0 || updated >= q.from:
		return true, nil
	}
	next, err := s.Store.GetVersion(ctx, k, v+1)
	if errors.Is(err, repository.ErrNotFound) {
		return true, nil
	}
	return err == nil && next.Updated > q.from, err
}
