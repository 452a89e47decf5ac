package app

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/fieldseal/fieldseal/internal/node"
	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// errUnreached is what readiness says while a database is out of reach.
var errUnreached = errors.New("a database is out of reach")

// watch logs when a database is out of reach and when it is back, and measures
// it: fieldseal.database.available, 0 or 1, by kind (store, keystore).
func (a *App) watch(s *mongostore.Store, role string) error {
	var lost time.Time
	s.OnReach(func(reachable bool) {
		if !reachable {
			lost = time.Now()
			a.log.Error("the database is out of reach; requests are refused at once until it is back", "component", role)
			return
		}
		a.log.Info("the database is back", "component", role, "duration", time.Since(lost).Round(time.Millisecond))
	})
	a.databases = append(a.databases, s)
	m := otel.Meter("github.com/fieldseal/fieldseal/internal/app")
	gauge, err := m.Int64ObservableGauge("fieldseal.database.available")
	if err != nil {
		return err
	}
	kind := metric.WithAttributes(attribute.String("kind", role))
	registration, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		available := int64(0)
		if s.Reachable() {
			available = 1
		}
		o.ObserveInt64(gauge, available, kind)
		return nil
	}, gauge)
	if err != nil {
		return err
	}
	a.onClose(registration.Unregister)
	return nil
}

// reached reports whether every database can be reached: a node without its keystore
// serves what its caches hold, and is not ready.
func (a *App) reached() error {
	for _, s := range a.databases {
		if !s.Reachable() {
			return errUnreached
		}
	}
	return nil
}

// nudge lets a node renew its row as soon as a database is back.
func nudge(r *node.Register) func(reachable bool) {
	return func(reachable bool) {
		if reachable {
			r.Nudge()
		}
	}
}
