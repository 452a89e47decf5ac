package policy

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

//go:embed model.conf
var modelText string

// oracle answers the same questions as the compiled programs with a plain
// casbin.Enforcer on the same rows. It is slow (tens of microseconds) and
// serves the start-up self-test and the equality test; no request waits for
// it. The caching enforcers of Casbin are never used: they keep answering
// allow after role and policy are gone (trap 1 of access.md).
type oracle struct{ enforcer *casbin.Enforcer }

func newOracle(rows []row) (*oracle, error) {
	m, err := model.NewModelFromString(modelText)
	if err != nil {
		return nil, fmt.Errorf("reading the policy model: %w", err)
	}
	e, err := casbin.NewEnforcer(m)
	if err != nil {
		return nil, fmt.Errorf("building the enforcer: %w", err)
	}
	e.AddFunction("member", func(args ...any) (any, error) {
		return slices.Contains(args[0].(*roleSet).roles, args[1].(string)), nil
	})
	e.AddFunction("covers", func(args ...any) (any, error) {
		return covers(args[0].(string), args[1].(string)), nil
	})
	e.AddFunction("holds", func(args ...any) (any, error) {
		return holds(args[0].(string), args[1].(string), *args[2].(*input)), nil
	})
	rules := make([][]string, len(rows))
	for i, r := range rows {
		rules[i] = r.fields()
	}
	if _, err := e.AddPolicies(rules); err != nil {
		return nil, fmt.Errorf("loading the policy rows: %w", err)
	}
	return &oracle{e}, nil
}

// roleSet is the request's sub: roles come from the verified token only, never
// from a grouping table in which an account could be named like a role.
type roleSet struct{ roles []string }

// allows asks Casbin whether the roles may touch one class. Scopes are not
// part of the question.
func (o *oracle) allows(roles []string, r authz.Request, class field.Class, purpose string, in input) (bool, error) {
	return o.enforcer.Enforce(&roleSet{roles}, r.Type, string(r.Action), class.String(), purpose, &in)
}

// askedOf is what the oracle is told of a request.
func askedOf(s *authz.Subject, patientType bool, f authz.Facts, env *environment) input {
	in := inputOf(s, patientType, f, env)
	in.feat = featuresOf(s)
	return in
}

// holds evaluates a condition column by name; an unknown name does not hold.
// What is unknown of the resource meets the conditions of a denial.
func holds(cond, effect string, in input) bool {
	for name := range strings.SplitSeq(cond, "&") {
		c, err := newCondition(strings.TrimSpace(name))
		if err != nil {
			return false
		}
		if !in.feat.has(c.needs) {
			return false
		}
		if t := c.decide(in); t == no || t == unknown && effect != "deny" {
			return false
		}
	}
	return true
}
