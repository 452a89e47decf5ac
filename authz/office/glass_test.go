package office

import (
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/glass"
)

func (d *desk) emergency(subject string) glass.Record {
	d.t.Helper()
	r := glass.Record{ID: glass.NewID(), Subject: subject, Client: "ehr", Patient: "p1", Reason: "ETREAT", Text: "unconscious in the emergency room",
		Started: d.clock, Ends: d.clock.Add(glass.MaxLife)}
	d.must(d.book.Open(d.t.Context(), r))
	return r
}

func TestEmergencyIsReviewedByAnotherOfficerAndOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	ann, bob := d.officer("user:ann"), d.officer("user:bob")
	r := d.emergency("user:ann")
	list, err := do[[]Emergency](d, bob, "break-glass/list", GlassQuery{Open: true})
	d.must(err)
	if len(list) != 1 || list[0].ID != r.ID || list[0].Overdue {
		t.Errorf("the queue is %+v", list)
	}
	for name, try := range map[string]struct {
		by   Actor
		says GlassReview
	}{
		"the own access": {ann, GlassReview{ID: r.ID, Decision: glass.Justified}}, "unknown access": {bob, GlassReview{ID: glass.NewID(), Decision: glass.Justified}},
		"no decision": {bob, GlassReview{ID: r.ID}},
	} {
		if _, err := do[glass.Record](d, try.by, "break-glass/review", try.says); !isRefused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	done, err := do[glass.Record](d, bob, "break-glass/review", GlassReview{ID: r.ID, Decision: glass.Unjustified, Comment: "curiosity"})
	d.must(err)
	if done.Review == nil || done.Review.By != "user:bob" || done.Review.Decision != glass.Unjustified {
		t.Errorf("%+v", done)
	}
	if _, err := do[glass.Record](d, bob, "break-glass/review", GlassReview{ID: r.ID, Decision: glass.Justified}); !isRefused(err) || !strings.Contains(err.Error(), "before") {
		t.Errorf("a second decision: %v", err)
	}
	if list, err = do[[]Emergency](d, bob, "break-glass/list", GlassQuery{Open: true}); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}
