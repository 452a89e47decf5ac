package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/internal/demo"
	"github.com/fieldseal/fieldseal/internal/node"
	"github.com/fieldseal/fieldseal/repository"
)

// CredentialsName is the file of the demo users' tokens inside the data
// folder.
const CredentialsName = "demo-credentials.json"

// Credentials are the demo users' tokens; the file has mode 0600.
type Credentials struct {
	Base    string            `json:"base"`
	Patient string            `json:"patient"` // logical id of the patient user
	Tokens  map[string]string `json:"tokens"`  // by role
	// Passwords of the demo's people, by name, for the pages. They are drawn at
	// the first start.
	Passwords map[string]string `json:"passwords"`
}

// demo loads the bundled patients once and makes sure of the demo users.
func (a *App) demo(ctx context.Context, progress io.Writer) (*Credentials, error) {
	found, err := a.demoOnce(ctx, progress)
	if err != nil {
		return nil, err
	}
	return a.demoUsers(ctx, *found)
}

// demoWait is how long a node waits between two looks at whether another one
// has loaded the demo.
const demoWait = 200 * time.Millisecond

// demoOnce loads the patients unless that was done, also by another node.
func (a *App) demoOnce(ctx context.Context, progress io.Writer) (found *demoFound, err error) {
	for {
		err = a.peers.Alone(ctx, workDemo, func(ctx context.Context) (err error) {
			if found, err = a.demoLoaded(ctx); err == nil && found == nil {
				found, err = a.loadDemo(ctx, progress)
			}
			return err
		})
		if !errors.Is(err, node.ErrBusy) {
			return found, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(demoWait):
		}
	}
}

// demoFound is what demo users are linked to, kept in the store so that it
// survives a lost credentials file.
type demoFound struct{ Patient, Practitioner string }

func (a *App) demoLoaded(ctx context.Context) (*demoFound, error) {
	row, err := a.store.Table("meta").Get(ctx, []byte("demo"))
	if errors.Is(err, repository.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var d demoFound
	return &d, json.Unmarshal(row.Value, &d)
}

func (a *App) loadDemo(ctx context.Context, progress io.Writer) (*demoFound, error) {
	loader, err := a.demoSubject(ctx)
	if err != nil {
		return nil, err
	}
	bar := progressbar.NewOptions(demo.Count(), progressbar.OptionSetWriter(progress),
		progressbar.OptionSetDescription("loading synthetic patients"), progressbar.OptionClearOnFinish())
	var d demoFound
	for name, bundle := range demo.Bundles() {
		a, err := a.service.Bundle(ctx, interaction.Call{Subject: loader, Return: interaction.Minimal}, bundle)
		if err != nil {
			return nil, fmt.Errorf("bundle %s: %w", name, err)
		}
		if err := d.note(a.Body()); err != nil {
			return nil, err
		}
		_ = bar.Add(1) // a progress bar that cannot be drawn stops nothing
	}
	if _, err := a.service.Bundle(ctx, interaction.Call{Subject: loader, Return: interaction.Minimal}, d.care()); err != nil {
		return nil, fmt.Errorf("the care team and the consent: %w", err)
	}
	value, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	_, err = a.store.Table("meta").PutIf(ctx, []byte("demo"), value, 0)
	return &d, err
}

// demoSubject is the integration user that loads the demo, for ten minutes.
func (a *App) demoSubject(ctx context.Context) (authz.Subject, error) {
	claims, err := token.DemoClaims("integration", "", "")
	if err != nil {
		return authz.Subject{}, err
	}
	claims.Client = developmentClient
	opaque, err := a.tokens.Issue(ctx, claims)
	if err != nil {
		return authz.Subject{}, err
	}
	return a.tokens.Verify(ctx, opaque, "local")
}

// note takes the first Patient and Practitioner from a transaction response.
func (d *demoFound) note(body []byte) error {
	r, err := fhir.Parse(body, fhir.Limits{MaxBytes: len(body), MaxDepth: fhir.DefaultLimits.MaxDepth})
	if err != nil {
		return err
	}
	entries := r.Root().Member("entry")
	for i := range entries.Len() {
		typ, rest, _ := strings.Cut(entries.At(i).Member("response").Member("location").Text(), "/")
		id, _, _ := strings.Cut(rest, "/")
		switch {
		case typ == "Patient" && d.Patient == "":
			d.Patient = id
		case typ == "Practitioner" && d.Practitioner == "":
			d.Practitioner = id
		}
	}
	return nil
}

// care is a transaction that puts the demo's physician among those who care for
// the demo's patient, and withholds this patient's Conditions: the role asks for
// a relationship and for consent.
func (d *demoFound) care() []byte {
	return fmt.Appendf(nil, `{"resourceType":"Bundle","type":"transaction","entry":[`+
		`{"resource":{"resourceType":"CareTeam","status":"active","subject":{"reference":"Patient/%[1]s"},`+
		`"participant":[{"member":{"reference":"Practitioner/%[2]s"}}]},"request":{"method":"POST","url":"CareTeam"}},`+
		`{"resource":{"resourceType":"Consent","status":"active","patient":{"reference":"Patient/%[1]s"},`+
		`"scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},`+
		`"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],`+
		`"policyRule":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTIN"}]},`+
		`"provision":{"type":"permit","provision":[{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Condition"}]}]}},`+
		`"request":{"method":"POST","url":"Consent"}}]}`, d.Patient, d.Practitioner)
}

// demoUsers reads the credentials file, or issues new tokens and writes it.
func (a *App) demoUsers(ctx context.Context, d demoFound) (*Credentials, error) {
	path := a.path(CredentialsName)
	c := &Credentials{Base: a.base, Patient: d.Patient, Tokens: map[string]string{}}
	if b, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(b, c); err != nil {
			return nil, fmt.Errorf("reading %s: it is damaged; remove it to have new tokens issued", CredentialsName)
		}
		c.Base = a.base
	}
	for _, role := range token.DemoRoles() {
		if _, err := a.tokens.Verify(ctx, c.Tokens[role], "local"); err == nil {
			continue
		}
		claims, err := token.DemoClaims(role, d.Practitioner, d.Patient)
		if err != nil {
			return nil, err
		}
		claims.AuthTime = time.Now()
		if c.Tokens[role], err = a.tokens.Issue(ctx, claims); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(a.demoPeople(ctx, d, c), a.demoApp(ctx)); err != nil {
		return nil, err
	}
	return c, writeSecret(path, c)
}

// writeSecret replaces a file of mode 0600 atomically.
func writeSecret(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".credentials-*") // CreateTemp makes files of mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(b, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}
