package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.opentelemetry.io/otel"

	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz/consent"
	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/conformance/terminology"
	"github.com/fieldseal/fieldseal/conformance/validation"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/kms/localfile"
	"github.com/fieldseal/fieldseal/crypto/kms/vault"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/compartment"
	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/internal/config"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// openKeystore opens the KMS, the keystore and the ring. Keys are made only
// when neither keystore nor data exist yet.
func (a *App) openKeystore(ctx context.Context) error {
	fresh, virgin, err := a.fresh(ctx)
	if err != nil {
		return err
	}
	kms, err := a.openKMS(ctx, virgin)
	if err != nil {
		return err
	}
	if err := a.openKeystoreEngine(ctx); err != nil {
		return err
	}
	o := keyring.Options{Table: a.keystore.Table("keys"), Wrapper: kms, KEKTTL: a.cfg.KEKTTL,
		OwnerTTL: a.cfg.OwnerKeyTTL, Grace: a.cfg.KMSGrace,
		Holds: func(ctx context.Context, o repository.Owner) (bool, error) { return a.store.HoldsOwner(ctx, o) }}
	if fresh {
		a.ring, err = keyring.Init(ctx, o)
		if !errors.Is(err, keyring.ErrInitialized) {
			return err
		}
	}
	a.ring, err = keyring.Open(ctx, o)
	if errors.Is(err, keyring.ErrNotInitialized) {
		return errors.New("there is data but the keystore holds no keys: restore the keystore from its backup; nothing was changed")
	}
	return err
}

func (a *App) openKMS(ctx context.Context, virgin bool) (keyring.Wrapper, error) {
	if a.cfg.KMS == config.KMSVault {
		return a.openVault(ctx)
	}
	path, create := a.cfg.KEKPath()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && create && virgin {
		return localfile.Create(path)
	}
	return localfile.Open(path)
}

func (a *App) openVault(ctx context.Context) (keyring.Wrapper, error) {
	v := a.cfg.Vault
	kms, err := vault.Open(ctx, vault.Options{Address: v.Address, Namespace: v.Namespace, Mount: v.Mount, Key: v.Key, CACert: v.CACert,
		TokenFile: v.TokenFile, RoleID: v.RoleID, SecretIDFile: v.SecretIDFile, OnTrouble: a.trouble("kms")})
	if err != nil {
		return nil, err
	}
	a.onClose(kms.Close)
	return kms, nil
}

func (a *App) openStore(ctx context.Context) error {
	if err := a.openStoreEngine(ctx); err != nil {
		return err
	}
	if err := a.checkTenant(ctx); err != nil {
		return err
	}
	if err := a.checkRollback(ctx); err != nil {
		return err
	}
	if a.node != nil {
		return nil // afterRestore
	}
	return a.replayErasures(ctx)
}

// purgePage is how many records one commit of a replayed erasure removes.
const purgePage = 500

// replayErasures removes what an older data backup brought back of owners whose
// keys were destroyed since (decision 9). The records are unreadable anyway;
// their tokens and bookkeeping go as well.
func (a *App) replayErasures(ctx context.Context) error {
	for owner, err := range a.ring.ErasedOwners(ctx) {
		if err != nil {
			return fmt.Errorf("reading erasures: %w", err)
		}
		// An erasure that is under way or was interrupted is finished by its command,
		// which still has to find what names the patient.
		if erased, err := a.ring.Erased(ctx, owner); err != nil {
			return fmt.Errorf("reading erasures: %w", err)
		} else if !erased {
			continue
		}
		for done := false; !done; {
			var removed int
			if removed, done, err = a.store.PurgeOwner(ctx, owner, purgePage); err != nil {
				return fmt.Errorf("replaying an erasure: %w", err)
			}
			if removed > 0 {
				a.log.Info("removed records of an erased owner that a restore brought back", "count", removed)
			}
		}
	}
	return nil
}

// trouble logs background errors of an engine, which hold no record bytes.
func (a *App) trouble(part string) func(error) {
	return func(err error) { a.log.Warn("trouble in the background", "component", part, "error", err.Error()) }
}

// openDefinitions builds what follows from definitions and settings alone.
func (a *App) openDefinitions(context.Context) (err error) {
	if a.classes, err = field.DefaultTable(a.definitions); err != nil {
		return err
	}
	catalog, err := search.NewCatalog(a.definitions, a.classes)
	if err != nil {
		return err
	}
	a.catalog = catalog.WithBases(a.base)
	a.indexPolicy, err = sealed.NewIndexPolicy(a.cfg.IndexProfile, a.catalog)
	return err
}

func (a *App) openService(ctx context.Context) error {
	suite := field.SuiteDerived
	if a.cfg.Suite == config.SuiteFIPS {
		suite = field.SuiteDrawn
	}
	cipher, err := field.NewCipher(field.Options{Table: a.classes, Suite: suite, Tenant: a.ring.Tenant()})
	if err != nil {
		return err
	}
	return a.assemble(ctx, cipher)
}

// assemble builds vault, service and face over a cipher.
func (a *App) assemble(ctx context.Context, cipher sealed.Cipher) error {
	compartments, err := compartment.New(compartment.Options{Definitions: a.definitions, Bases: []string{a.base}})
	if err != nil {
		return err
	}
	a.vault, err = sealed.New(ctx, sealed.Options{Ring: a.ring, Cipher: cipher, Store: a.store,
		Compartments: compartments, Catalog: a.catalog, Policy: a.indexPolicy, Table: a.store.Table("index"), Drain: a.peers.Barrier})
	if err != nil {
		return err
	}
	terms, err := terminology.New(terminology.Options{Source: &interaction.Definitions{Catalog: a.catalog, Vault: a.vault, Store: a.store}})
	if err != nil {
		return err
	}
	a.glasses = glass.NewBook(a.store.Table("break-glass"), a.ring, nil)
	labels, unlabelled, err := a.labelling()
	if err != nil {
		return err
	}
	a.service = interaction.New(interaction.Options{Definitions: a.definitions, Vault: a.vault, Store: a.store,
		Decider: a.policies, Recorder: a.trail, Trail: a.trail, Tracer: trace.New(otel.GetTracerProvider()), Validator: validation.New(a.definitions),
		Redactor: redact.New(a.definitions, a.classes), Classes: a.classes, Catalog: a.catalog, Terminology: terms,
		Glasses: a.glasses, Replays: a.store.Table("idempotency"), ReplayLife: a.cfg.IdempotencyTTL, ReplayWait: a.replayWait(),
		Limits: fhir.Limits{MaxBytes: int(a.cfg.MaxResource), MaxDepth: fhir.DefaultLimits.MaxDepth},
		Base:   a.base, MaxEntries: a.cfg.MaxBundleEntries, BundleBytes: int(a.cfg.MaxBody),
		DeleteMultiple: a.cfg.ConditionalDelete == config.DeleteMultiple, Integrity: a.integrity(),
		Labels: labels, Unlabelled: unlabelled, ConsentBase: consent.Base{OptIn: a.cfg.ConsentOptIn}, CareWindow: a.cfg.CareWindow})
	resolved, err := a.service.Recover(ctx)
	if err != nil {
		return fmt.Errorf("resolving interrupted writes: %w", err)
	}
	if resolved > 0 {
		a.log.Info("resolved writes that a crash interrupted", "count", resolved)
	}
	a.concludeOrphans()
	return a.openFace(ctx)
}

// labelling are the rules that label what is written, and what counts for what
// has no label.
func (a *App) labelling() (*label.Rules, label.Level, error) {
	unlabelled, ok := label.ParseLevel(a.cfg.DefaultConfidentiality)
	if !ok {
		return nil, 0, fmt.Errorf("%q is no confidentiality", a.cfg.DefaultConfidentiality)
	}
	if a.cfg.Labels == "" {
		return nil, unlabelled, nil
	}
	rules, err := label.Load(a.cfg.Labels, a.definitions.ResourceTypes())
	return rules, unlabelled, err
}

// integrity is what the setting asks for.
func (a *App) integrity() interaction.Integrity {
	mode := a.cfg.ReferenceIntegrity
	return interaction.Integrity{OnWrite: mode == config.IntegrityWrite || mode == config.IntegrityBoth,
		OnDelete: mode == config.IntegrityDelete || mode == config.IntegrityBoth}
}
