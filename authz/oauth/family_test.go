package oauth_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/repository"
)

// scanned counts the rows that scans give out.
type scanned struct {
	repository.Table
	rows *int
}

func (s scanned) Scan(ctx context.Context, prefix []byte) iter.Seq2[repository.Row, error] {
	return func(yield func(repository.Row, error) bool) {
		for row, err := range s.Table.Scan(ctx, prefix) {
			*s.rows++
			if !yield(row, err) {
				return
			}
		}
	}
}

// What one account gave is found without reading what all others gave: a page
// must not cost more the more people there are.
func TestFamiliesOfOthersAreNotRead(t *testing.T) {
	t.Parallel()
	s, rows := newTables(), 0
	s.oauth = scanned{s.oauth, &rows}
	n := open(t, s, nil)
	n.app("app", client.Public)
	for i := range 40 {
		other := clinician()
		other.Account = fmt.Sprint("user:", i)
		s.person.Login(other)
		n.granted("app", appScopes)
	}
	s.person.Login(clinician())
	n.granted("app", appScopes)
	n.granted("app", appScopes)
	rows = 0
	all, err := n.Grants(t.Context(), "user:dr")
	n.must(err)
	if len(all) != 2 || rows > 2 {
		t.Errorf("%d families, %d rows read", len(all), rows)
	}
	ended, err := n.EndGrants(t.Context(), "user:dr")
	n.must(err)
	if left, err := n.Grants(t.Context(), "user:7"); ended != 2 || err != nil || len(left) != 1 {
		t.Errorf("%d families ended; another account has %v %v", ended, left, err)
	}
}

// TestFamiliesOfEarlierVersionsEnd: their ids say nothing about the account.
func TestFamiliesOfEarlierVersionsEnd(t *testing.T) {
	t.Parallel()
	s := newTables()
	n := open(t, s, nil)
	n.app("app", client.Public)
	n.granted("app", appScopes)
	for row, err := range s.oauth.Scan(t.Context(), []byte("grant/~")) {
		n.must(err)
		for _, id := range []string{"0b8f6a52-8a2c-4a43-9d0e-0d7f3c6f1a11", "f3c1d2a4-5b6c-4d7e-8f90-a1b2c3d4e5f6"} {
			_, err = s.oauth.PutIf(t.Context(), []byte("grant/"+id), row.Value, 0)
			n.must(err)
		}
	}
	ended, err := n.EndGrants(t.Context(), "user:dr")
	n.must(err)
	for row, err := range s.oauth.Scan(t.Context(), []byte("grant/")) {
		n.must(err)
		if strings.Contains(string(row.Value), `"revoked":0`) {
			t.Errorf("%s is in force", row.Key)
		}
	}
	if ended != 3 {
		t.Errorf("%d ended", ended)
	}
}
