package pages

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// What an earlier release marked as used stays used, and goes when its time has
// come (docs/format/pages.md).
func TestFrozenRowsAreRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	frozen, err := os.ReadFile("testdata/format/v1/rows.json")
	h.must(err)
	var rows map[string]json.RawMessage
	h.must(json.Unmarshal(frozen, &rows))
	q := &asking{visit: &visit{Pages: h.Pages, r: httptest.NewRequest(http.MethodGet, authorizePath, nil)}}
	for key, value := range rows {
		_, err := h.Table.PutIf(t.Context(), []byte(key), value, 0)
		h.must(err)
		if first, err := q.use(consentForm{id: key[len(rowForms):]}); first || err != nil {
			t.Errorf("%s is used again: %v", key, err)
		}
	}
	h.clock.Advance(time.Unix(1_767_324_005, 0).Sub(h.clock.Now()))
	if n, err := h.Sweep(t.Context()); n != len(rows) || err != nil {
		t.Errorf("%d of %d rows went: %v", n, len(rows), err)
	}
}
