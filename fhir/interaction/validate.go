package interaction

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/conformance/profile"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
	"github.com/fieldseal/fieldseal/fhir/model"
)

// validate answers $validate (R4 resource-operation-validate.html): the
// findings about a resource, its structure above all, as an OperationOutcome
// with 200 whatever they are. Nothing is stored.
func (s *Service) validate(ctx context.Context, c Call, in *invocation) (*Answer, error) {
	mode := in.args.values.Get("mode")
	action, ok := map[string]authz.Action{"": authz.Read, "create": authz.Create, "update": authz.Update, "delete": authz.Delete}[mode]
	if !ok || len(in.args.values["profile"]) > 1 {
		f := fail(Malformed, nil, "the modes are create, update and delete, and one profile can be named")
		f.Issues[0].Code = "not-supported"
		return nil, f
	}
	g, err := s.decideValidation(ctx, c, in, action)
	if err != nil {
		return nil, err
	}
	issues, err := s.findings(ctx, c, g, in, mode)
	if err != nil {
		return nil, err
	}
	receipt, err := s.durable(ctx, c, in.ev)
	if err != nil {
		return nil, failure(err)
	}
	return s.release(c, g, receipt, Answer{status: http.StatusOK, body: model.OperationOutcome(issues)})
}

// decideValidation asks for the action that the mode is a rehearsal of.
func (s *Service) decideValidation(ctx context.Context, c Call, in *invocation, action authz.Action) (authz.Grant, error) {
	if action == authz.Read {
		return s.decide(ctx, c, &in.ev, action, in.Type)
	}
	return s.decideWrite(ctx, c, &in.ev, action, in.Type)
}

func (s *Service) findings(ctx context.Context, c Call, g authz.Grant, in *invocation, mode string) (fhir.Issues, error) {
	r := in.args.body
	switch {
	case mode == "create" && in.ID != "":
		return nil, fail(Malformed, nil, "mode create is for the type, not for a resource")
	case mode == "delete" && in.ID == "", mode != "delete" && in.ID == "" && r == nil, mode == "update" && r == nil:
		return nil, fail(Malformed, nil, "there is nothing to validate: a resource in the body or an id is missing")
	case mode == "delete" || r == nil:
		return s.storedFindings(ctx, c, g, in, mode)
	case r.Type() != in.Type:
		return nil, fail(Malformed, nil, "the body's resourceType is not the type in the URL")
	}
	issues, err := s.conformance(ctx, in, r)
	if err != nil {
		return nil, err
	}
	if mode == "create" {
		if err := s.checkNew(g, r); err != nil {
			issues = append(issues, failure(err).Issues...)
		}
	}
	if in.ID != "" && r.ID() != in.ID || mode == "update" && r.ID() == "" {
		issues = append(issues, fhir.Issue{Severity: fhir.Error, Code: "invalid", Diagnostics: "an update needs the id of the resource", Expression: []string{in.Type + ".id"}})
	}
	return issues, nil
}

// storedFindings looks at what is stored, as far as the caller may see it.
func (s *Service) storedFindings(ctx context.Context, c Call, g authz.Grant, in *invocation, mode string) (fhir.Issues, error) {
	st, err := s.load(ctx, in.Type, in.ID, "")
	if err != nil {
		return nil, s.erased(ctx, g, in.Type, in.ID, err)
	}
	mask, err := s.judge(ctx, g, st, false)
	if err != nil {
		return nil, err
	}
	in.ev.Entities[0] = entity(st.Head, in.Type, uint64(st.Record.Version), 0)
	if mode == "delete" {
		return nil, nil // whoever may delete it may
	}
	if !c.room.take(len(st.Record.Body)) {
		return nil, answerTooLarge()
	}
	body, _, err := s.view(c, st, mask)
	if err != nil {
		return nil, err
	}
	r, err := fhir.Parse(body, s.Limits)
	if err != nil {
		return nil, err
	}
	return s.conformance(ctx, in, r)
}

// conformance is what is found about a resource: by the definition of its type,
// and by the profile that is named.
func (s *Service) conformance(ctx context.Context, in *invocation, r *fhir.Resource) (fhir.Issues, error) {
	issues := s.Validator.Validate(r)
	canonical := in.args.values.Get("profile")
	if canonical == "" {
		return issues, nil
	}
	c := profile.Checker{Source: &Definitions{s.Catalog, s.Vault, s.Store}, Terminology: memberships{s.Terminology}}
	more, err := c.Check(ctx, canonical, fhirpath.Root(r))
	switch {
	case errors.Is(err, profile.ErrUnsupported), errors.Is(err, profile.ErrNoProfile): // names definitions, and no value
		f := fail(Unprocessable, err, "it cannot be judged here whether the resource conforms to the profile: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
		f.Issues[0].Code = "not-supported"
		return nil, f
	case errors.Is(err, profile.ErrUnknown):
		f := fail(Malformed, err, "the profile is not known here: store its StructureDefinition, with a snapshot")
		f.Issues[0].Code = "not-supported"
		return nil, f
	}
	return append(issues, more...), err
}

// memberships answers memberOf in the invariants of profiles.
type memberships struct{ Terminology }

func (m memberships) MemberOf(ctx context.Context, valueSet, system, code string) (bool, error) {
	return m.Contains(ctx, valueSet, system, code)
}
