package authz

import (
	"testing"
	"time"
)

// access.md, step-up: a second factor, and no longer ago than 15 minutes.
func TestStepUpNeedsAFreshSecondFactor(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name string
		amr  []string
		at   time.Time
		want bool
	}{
		{"second factor just now", []string{"pwd", "otp"}, now, true},
		{"as old as it may be", []string{"mfa"}, now.Add(-StepUpAge), true},
		{"too old", []string{"mfa"}, now.Add(-StepUpAge - time.Second), false},
		{"password only", []string{"pwd"}, now, false},
		{"no method", nil, now, false},
		{"unknown method", []string{"MFA", "mfa2"}, now, false},
		{"unknown time", []string{"mfa"}, time.Time{}, false},
		{"time ahead", []string{"mfa"}, now.Add(2 * time.Minute), false},
	} {
		if got := NewSubject(SubjectClaims{ID: "user:x", AMR: c.amr, AuthTime: c.at}).SteppedUp(now); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
