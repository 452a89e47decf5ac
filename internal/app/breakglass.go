package app

import (
	"context"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/internal/adminapi"
	"github.com/fieldseal/fieldseal/internal/config"
)

// BreakGlassList implements adminapi.Backend. It names patients, so that it
// leaves an event.
func (a *App) BreakGlassList(ctx context.Context) ([]adminapi.Emergency, error) {
	if err := a.record(ctx, a.operatorEvent(audit.Security, "break-glass-list", audit.Read)); err != nil {
		return nil, err
	}
	all, err := a.glasses.All(ctx)
	out := make([]adminapi.Emergency, 0, len(all))
	for _, r := range all {
		out = append(out, adminapi.Emergency{Record: r, Due: r.Due(), Overdue: r.Overdue(time.Now())})
	}
	return out, err
}

// BreakGlassReview implements adminapi.Backend.
func (a *App) BreakGlassReview(ctx context.Context, r adminapi.ReviewRequest) (glass.Record, error) {
	if a.cfg.Profile == config.Production { // a reviewer who is nobody's account is no second person
		if _, err := a.office.AdmitLocal(ctx, adminapi.ProcessUser(), r.By); err != nil {
			return glass.Record{}, err
		}
	}
	ev := a.operatorEvent(audit.Security, "break-glass-review", audit.Update)
	ev.Reason, ev.Query = string(r.Decision), "grant="+r.ID+"&by="+r.By
	if err := a.record(ctx, ev); err != nil {
		return glass.Record{}, err
	}
	return a.glasses.Close(ctx, r.ID, glass.Review{By: r.By, Decision: r.Decision, Comment: r.Comment})
}

// remindOverdue tells the log, and with it whoever is alerted by it, that
// emergency accesses wait for their review too long.
func (a *App) remindOverdue(ctx context.Context) error {
	n, err := a.glasses.Overdue(ctx)
	if err != nil {
		return fmt.Errorf("looking for overdue reviews of emergency accesses: %w", err)
	}
	if n > 0 {
		a.log.Warn("reviews of emergency accesses are overdue: fieldseal break-glass list", "count", n)
	}
	return nil
}

// forgetErased takes out of emergency accesses what a restored backup brought
// back of erased patients.
func (a *App) forgetErased(ctx context.Context) error {
	all, err := a.glasses.All(ctx)
	for _, r := range all {
		if r.Patient == "" {
			continue
		}
		erased, err := a.ring.Erased(ctx, a.vault.PatientOwner(r.Patient))
		if err == nil && erased {
			err = a.glasses.Forget(ctx, r.Patient)
		}
		if err != nil {
			return fmt.Errorf("forgetting erased patients in emergency accesses: %w", err)
		}
	}
	return err
}
