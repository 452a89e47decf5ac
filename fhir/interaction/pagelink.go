package interaction

import (
	"encoding/json"
	"net/url"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/fhir/model"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// How long a link is good for: one to a next page (decision 28), and one from
// which a feed goes on, whose follower may have been down.
const (
	pageLife = 24 * time.Hour
	feedLife = 90 * 24 * time.Hour
)

// position is where a page begins: of a search behind a record in the engine's
// order of one expression, or behind a rank in a sorted one; of a history below a
// number; of the audit trail before an event.
type position struct {
	Type    int              `json:"t,omitempty"`
	After   []byte           `json:"a,omitempty"` // a cursor is no text
	Asked   int64            `json:"n,omitempty"` // when the first page was asked for, microseconds
	Started repository.Stamp `json:"s,omitempty"` // of the first page, for sorted ones
	Rank    *rank            `json:"r,omitempty"`
	Before  uint64           `json:"b,omitempty"` // version where a history goes on
	Event   *trail.Position  `json:"e,omitempty"` // the last one of the page before
	Feed    string           `json:"f,omitempty"` // change in the store's feed, hex
	Follow  bool             `json:"w,omitempty"` // the end of the feed: more is to come
}

// begins reports whether the position is before everything.
func (p position) begins() bool {
	return p.Type == 0 && len(p.After) == 0 && p.Asked == 0 && p.Started == 0 && p.Rank == nil && p.Before == 0 && p.Event == nil
}

// continuation is what a sealed page link holds. Nothing of it can be read
// from the link.
type continuation struct {
	Query    string   `json:"q"`
	Position position `json:"p"`
	Expires  int64    `json:"e"` // Unix seconds
}

const pageParameter = "_page"

// resume returns the query and the position that a page link carries, or the
// query as it is. A link is good for the subject and the path that it was made
// for, and for a day: altered, foreign and old ones are refused.
func (s *Service) resume(c Call, path, rawQuery string) (string, position, error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil || !values.Has(pageParameter) {
		return rawQuery, position{}, nil
	}
	plain, err := s.Vault.OpenLink(values.Get(pageParameter), linkBinding(c, path))
	if err != nil {
		return "", position{}, badLink()
	}
	var k continuation
	if err := json.Unmarshal(plain, &k); err != nil || time.Now().Unix() > k.Expires {
		return "", position{}, badLink()
	}
	return k.Query, k.Position, nil
}

// linkBinding names for whom and where a link is good.
func linkBinding(c Call, path string) string { return c.Subject.ID() + "\x00" + path }

func badLink() *Failure {
	return fail(Malformed, nil, "the page link is not valid here: it was altered, is too old or was made for another caller; start anew")
}

// nextLink seals a position.
func (s *Service) nextLink(c Call, path, rawQuery string, at position) (string, error) {
	life := pageLife
	if at.Follow {
		life = feedLife
	}
	plain, err := json.Marshal(continuation{Query: rawQuery, Position: at, Expires: time.Now().Add(life).Unix()})
	if err != nil {
		return "", err
	}
	link, err := s.Vault.SealLink(plain, linkBinding(c, path))
	if err != nil {
		return "", err
	}
	return s.Base + slash(path) + "?" + pageParameter + "=" + link, nil
}

func slash(path string) string {
	if path == "" {
		return ""
	}
	return "/" + path
}

// searchBundle begins the Bundle of a page. self echoes the parameters, as R4
// demands, in the body alone, and without what was ignored: a client that does
// not ask for leniency again can use both links.
func (s *Service) searchBundle(c Call, x *finder, q *search.Search, p page) (*model.BundleWriter, error) {
	links := []model.Link{{Relation: "self", URL: s.Base + slash(x.where.path) + query(q.Used)}}
	if p.next != nil {
		next, err := s.nextLink(c, x.where.path, q.Used, *p.next)
		if err != nil {
			return nil, err
		}
		links = append(links, model.Link{Relation: "next", URL: next})
	}
	e := model.Envelope{Type: model.Searchset, Links: links, Total: p.total}
	size := 1 << 10
	for _, h := range slices.Concat(p.hits, p.included) {
		size += 1 << 8
		if h.json != nil {
			size += len(h.json)
		} else {
			size += len(h.stored.Record.Body) // what is sealed is longer than what it holds
		}
	}
	return model.NewBundle(make([]byte, 0, size), e), nil
}
