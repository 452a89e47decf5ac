package interaction

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
)

// Glasses keeps emergency accesses (authz/glass).
type Glasses interface {
	Open(ctx context.Context, r glass.Record) error
	InForce(ctx context.Context, id, subject, client string) (glass.Record, error)
	Stop(ctx context.Context, id, subject, client string) (glass.Record, error)
}

// Under is the call with an emergency access in force, as its id in the request
// asks. It is refused, and recorded, when the access is unknown, over, or that
// of another account or client: the four are not told apart.
func (s *Service) Under(ctx context.Context, c Call, id string) (Call, error) {
	err := error(glass.ErrNotInForce)
	var r glass.Record
	if s.Glasses != nil {
		r, err = s.Glasses.InForce(ctx, id, c.Subject.ID(), c.Subject.Client())
	}
	if err != nil {
		ev := begin(c, audit.Execute, "break-glass")
		ev.Kind = audit.Security
		return c, s.refuse(ctx, ev, glassFailure(err))
	}
	c.Subject = c.Subject.WithGlass(authz.Glass{ID: r.ID, Reason: r.Reason, Patient: s.Vault.Key("Patient", r.Patient).ID, Until: r.Ends})
	return c, nil
}

func glassFailure(err error) error {
	switch {
	case errors.Is(err, glass.ErrNotInForce):
		return fail(Denied, err, "%s", glass.ErrNotInForce.Error())
	case errors.Is(err, glass.ErrInvalid):
		return fail(Malformed, err, "%s", err.Error())
	}
	return err
}

// agentRoles are the roles in force, and with them the emergency access, so
// that every event under it names the access and its reason.
func agentRoles(s authz.Subject) []string {
	g, broken := s.Glass()
	if !broken {
		return s.Roles()
	}
	return append(append([]string{}, s.Roles()...), "break-glass:"+g.ID+":"+g.Reason)
}

// breakGlass opens an emergency access to the record of one patient: for a
// person who has just authenticated with a second factor, whose role is
// eligible, with a reason. It is recorded before it is in force.
func (s *Service) breakGlass(ctx context.Context, c Call, in *invocation) (*Answer, error) {
	in.ev.Kind, in.ev.Subtype = audit.Security, "break-glass-start"
	r, err := s.emergency(c, in)
	if err != nil {
		return nil, err
	}
	key := s.Vault.Key("Patient", in.ID)
	c.Subject = c.Subject.WithGlass(authz.Glass{ID: r.ID, Reason: r.Reason, Patient: key.ID, Until: r.Ends})
	in.ev.Agent = begin(c, audit.Execute, "").Agent
	g, err := s.decide(ctx, c, &in.ev, authz.Read, "Patient")
	if err == nil && !g.Emergency() {
		err = fail(Denied, nil, "the caller's roles are not eligible for emergency access")
	}
	if err != nil {
		return nil, err
	}
	st, err := s.Vault.Load(ctx, key)
	if err != nil {
		return nil, hideErased(g, err)
	}
	if s.visible(ctx, g, st) == 0 || st.Head.Deleted {
		return nil, repository.ErrNotFound
	}
	in.ev.Entities = []audit.Entity{entity(st.Head, "Patient", uint64(st.Record.Version), 0)}
	receipt, err := s.glassChange(ctx, in.ev, func() error { return s.Glasses.Open(ctx, r) })
	if err != nil {
		return nil, err
	}
	return s.release(c, g, receipt, Answer{status: http.StatusCreated, body: glassParameters(r)})
}

// emergency checks what can be checked before anything is looked up.
func (s *Service) emergency(c Call, in *invocation) (r glass.Record, err error) {
	if s.Glasses == nil {
		return r, fail(NotFound, nil, "emergency access is not served here")
	}
	if _, broken := c.Subject.Glass(); broken || c.Subject.System() {
		return r, fail(Denied, nil, "emergency access is for a person, for one patient at a time")
	}
	now := s.now()
	if !authz.Strong(c.Subject.AMR(), c.Subject.AuthTime(), now, glass.AuthAge) {
		return r, fail(Denied, nil, "emergency access needs a second factor, used in the last %d minutes", int(glass.AuthAge.Minutes()))
	}
	life := glass.MaxLife
	if text := in.args.values.Get("minutes"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > int(glass.MaxLife.Minutes()) {
			return r, fail(Malformed, err, "minutes must be 1 to %d", int(glass.MaxLife.Minutes()))
		}
		life = time.Duration(n) * time.Minute
	}
	r = glass.Record{ID: glass.NewID(), Subject: c.Subject.ID(), Client: c.Subject.Client(), Who: c.Subject.Who(), Patient: in.ID,
		Reason: in.args.values.Get("reason"), Text: in.args.values.Get("text"), Started: now.UTC(), Ends: now.Add(life).UTC()}
	return r, glassFailure(r.Check())
}

// endGlass ends an emergency access before its time.
func (s *Service) endGlass(ctx context.Context, c Call, in *invocation) (*Answer, error) {
	in.ev.Kind, in.ev.Subtype = audit.Security, "break-glass-stop"
	u, err := s.Under(ctx, c, in.args.values.Get("grant"))
	if err != nil {
		return nil, err
	}
	held, _ := u.Subject.Glass()
	key := s.Vault.Key("Patient", in.ID)
	if held.Patient != key.ID {
		return nil, glassFailure(glass.ErrNotInForce)
	}
	in.ev.Agent = begin(u, audit.Execute, "").Agent
	g, err := s.decide(ctx, u, &in.ev, authz.Read, "Patient")
	if err != nil {
		return nil, err
	}
	var r glass.Record
	receipt, err := s.glassChange(ctx, in.ev, func() error {
		r, err = s.Glasses.Stop(ctx, held.ID, c.Subject.ID(), c.Subject.Client())
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.release(c, g, receipt, Answer{status: http.StatusOK, body: glassParameters(r)})
}

// glassChange makes the intent durable before the change and queues the
// outcome.
func (s *Service) glassChange(ctx context.Context, ev audit.Event, change func() error) (audit.Receipt, error) {
	intent := ev
	intent.Outcome = audit.Intent
	receipt, err := s.Recorder.Record(ctx, intent)
	if err != nil {
		return receipt, err
	}
	err = change()
	s.conclude(ev, receipt, err)
	return receipt, glassFailure(err)
}

func glassParameters(r glass.Record) []byte {
	part := func(name, value string, v fhir.Node) fhir.Node {
		return fhir.NewObject(fhir.NewString(name).Named("name"), v.Named(value))
	}
	root := fhir.NewObject(fhir.NewString("Parameters").Named("resourceType"), fhir.NewArray(
		part("grant", "valueString", fhir.NewString(r.ID)),
		part("until", "valueInstant", fhir.NewString(fhir.FormatInstant(r.Over())))).Named("parameter"))
	return root.AppendJSON(nil)
}

// Banner says under which emergency access the call runs, empty when under
// none: the access, its reason and its end, nothing about the patient.
func (c Call) Banner() string {
	g, broken := c.Subject.Glass()
	if !broken {
		return ""
	}
	return "grant=" + g.ID + ", reason=" + g.Reason + ", until=" + g.Until.UTC().Format(time.RFC3339)
}
