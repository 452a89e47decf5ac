package app

import (
	"context"
	"errors"
	"fmt"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/issuer"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/authz/policy/archive"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/internal/config"
)

// policyOptions are how policies are read here.
func (a *App) policyOptions() policy.Options {
	patient := a.definitions.Compartment("Patient")
	return policy.Options{Types: a.definitions.ResourceTypes(), PatientType: func(t string) bool { return patient.Params(t) != nil },
		Unlabelled: a.cfg.DefaultConfidentiality}
}

func (a *App) openPolicy(ctx context.Context) (err error) {
	a.policies, err = archive.New(archive.Options{Table: a.store.Table("policy"), PRF: a.ring.StorageID,
		Policy: a.policyOptions(), OnTrouble: a.policyTrouble})
	if err != nil {
		return err
	}
	if err := a.bootstrapPolicy(ctx); err != nil {
		return err
	}
	if err := a.policyMetrics(); err != nil {
		return err
	}
	return a.openTokens()
}

// openTokens needs the accounts for which external issuers' tokens stand.
func (a *App) openTokens() (err error) {
	a.accounts = account.NewDirectory(a.store.Table("accounts"), a.ring)
	o := token.Options{Table: a.store.Table("tokens"), StorageID: a.ring.StorageID, AllowDemo: a.cfg.Profile == config.Development}
	if a.cfg.Issuers != "" {
		settings, err := issuer.Load(a.cfg.Issuers)
		if err != nil {
			return err
		}
		a.issuers, err = issuer.New(issuer.Options{Issuers: settings, Accounts: a.accounts, Base: a.base, Purposes: purposes, Log: a.log})
		if err != nil {
			return err
		}
		if a.issuers.Accepts() {
			o.External = a.issuers
		}
	}
	a.tokens, err = token.New(o)
	return err
}

// bootstrapPolicy makes the built-in policy, or the file of --policy, version 1
// of a store that has none. A store whose policy cannot be read or verified is
// opened all the same: nothing is served from it until the policy can be.
func (a *App) bootstrapPolicy(ctx context.Context) error {
	text := string(policy.Default())
	if a.cfg.Policy != "" {
		b, err := os.ReadFile(a.cfg.Policy)
		if err != nil {
			return fmt.Errorf("reading the policy file: %w", err)
		}
		text = string(b)
	}
	err := a.policies.Bootstrap(ctx, text, "setup", "first start")
	var faults policy.Problems
	if errors.As(err, &faults) {
		return fmt.Errorf("the policy of the first start is refused: %w", err)
	}
	v, _, active := a.policies.Active()
	switch {
	case err != nil && active != nil:
		a.log.Error("no policy can be read; nothing is served until it can be", "error", err.Error())
	case a.cfg.Policy != "" && v.Text != text:
		a.log.Warn("the policy file is not used: it was for the first start, and another version is in force", "version", v.Number)
	}
	if active == nil && v.Model != policy.ModelHash() {
		a.log.Warn("the policy in force was reviewed by another release; propose it again", "version", v.Number)
	}
	return nil
}

// policyTrouble logs each change between trouble and none.
func (a *App) policyTrouble(err error) {
	if err == nil {
		a.log.Info("the policy can be read and verified again")
		return
	}
	a.log.Error("the policy cannot be read or verified; the last verified version stays in force", "error", err.Error())
}

// policyMetrics are the version in force, and whether it may be an old one.
func (a *App) policyMetrics() error {
	m := otel.Meter("github.com/fieldseal/fieldseal/internal/app")
	version, err1 := m.Int64ObservableGauge("fieldseal.policy.version")
	verified, err2 := m.Int64ObservableGauge("fieldseal.policy.verified") // 0: kept because the pointer cannot be followed
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	registered, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := a.policies.Status()
		o.ObserveInt64(version, int64(s.Version)) // #nosec G115 -- versions count changes by people
		if s.Trouble == nil && s.Version != 0 {
			o.ObserveInt64(verified, 1)
		} else {
			o.ObserveInt64(verified, 0)
		}
		return nil
	}, version, verified)
	if err != nil {
		return err
	}
	a.onClose(registered.Unregister)
	return nil
}

// followPolicy owns the goroutine that follows other nodes' activations; stop
// ends it and waits.
func (a *App) followPolicy(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.policies.Run(ctx)
	}()
	return func() { cancel(); <-done }
}

// note is what readiness says of a policy that may be an old one, or of people
// and systems that are refused since an external issuer does not answer: others
// are served, so that the node is ready.
func (a *App) note() string {
	if s := a.policies.Status(); s.Trouble != nil && s.Version != 0 {
		return fmt.Sprintf("policy version %d stays in force: a newer one could not be read and verified", s.Version)
	}
	if a.issuers != nil && a.issuers.Away() {
		return "an external issuer does not answer"
	}
	return ""
}
