package interaction

import (
	"context"
	"slices"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Operation is one served operation (R4 operations.html) on some types.
type Operation struct {
	Code     string
	Types    []string // nil: every resource type but AuditEvent
	System   bool     // may be invoked on the system
	Type     bool     // may be invoked on the type
	Instance bool     // may be invoked on a resource
	Changes  bool     // something that is stored: by POST only
	Alone    bool     // not in a Bundle
	run      func(*Service, context.Context, Call, *invocation) (*Answer, error)
}

// operations is the table of what is served; each has a file of its own.
var operations = []Operation{
	{Code: "break-glass", Types: []string{"Patient"}, Instance: true, Changes: true, Alone: true, run: (*Service).breakGlass},
	{Code: "break-glass-end", Types: []string{"Patient"}, Instance: true, Changes: true, Alone: true, run: (*Service).endGlass},
	{Code: "document", Types: []string{"Composition"}, Instance: true, run: (*Service).document},
	{Code: "everything", Types: []string{"Patient"}, Type: true, Instance: true, run: (*Service).everything},
	{Code: "everything", Types: []string{"Encounter"}, Instance: true, run: (*Service).everything},
	{Code: "lastn", Types: []string{"Observation"}, Type: true, run: (*Service).lastn},
	{Code: "meta", System: true, Type: true, Instance: true, run: (*Service).metaOf},
	{Code: "meta-add", Instance: true, Changes: true, run: (*Service).changeMeta},
	{Code: "meta-delete", Instance: true, Changes: true, run: (*Service).changeMeta},
	{Code: "validate", Type: true, Instance: true, run: (*Service).validate},
}

// Operations lists what is served, for routes and the CapabilityStatement.
func Operations() []Operation { return slices.Clone(operations) }

// Serves reports whether the operation is served on a type.
func (o *Operation) Serves(resourceType string) bool {
	if o.Types == nil {
		return resourceType != auditEvent
	}
	return slices.Contains(o.Types, resourceType)
}

// Invocation says what was invoked, and with what. Body is Parameters, or the
// resource itself where the operation takes one; nil when there is none.
type Invocation struct {
	Code, Type string // the type is empty on the system
	ID         string // empty on the type
	Query      string
	Body       []byte
}

// invocation is one that is served.
type invocation struct {
	Invocation
	def  *definition.Operation
	args arguments
	ev   audit.Event
	from position // of a page link
}

// path is where the operation was invoked, below the base.
func (in *invocation) path() string {
	switch {
	case in.Type == "":
		return "$" + in.Code
	case in.ID == "":
		return in.Type + "/$" + in.Code
	}
	return in.Type + "/" + in.ID + "/$" + in.Code
}

// Operate runs an operation.
func (s *Service) Operate(ctx context.Context, c Call, call Invocation) (a *Answer, err error) {
	ctx, end := s.start(ctx, &c, trace.Operation)
	in := &invocation{Invocation: call, ev: begin(c, audit.Execute, "operation")}
	in.ev.Query = "$" + call.Code
	defer func() {
		if a == nil || a.more == nil { // a stream ends later
			end(err)
		}
	}()
	if a, err = s.operate(ctx, c, in); err != nil {
		return nil, s.refuse(ctx, in.ev, lostRace(c, err))
	}
	if a.more != nil {
		a.ended = end
	}
	return a, nil
}

func (s *Service) operate(ctx context.Context, c Call, in *invocation) (*Answer, error) {
	op, err := s.invoked(c, in)
	if err != nil {
		return nil, err
	}
	return op.run(s, ctx, c, in)
}

// invoked finds the operation and reads what it was invoked with.
func (s *Service) invoked(c Call, in *invocation) (*Operation, error) {
	if in.Type != "" && !s.Definitions.IsResource(in.Type) {
		return nil, fail(NotFound, nil, "unknown resource type")
	}
	op := servedOperation(in.Invocation)
	if op == nil {
		return nil, notServedHere()
	}
	if in.ID != "" {
		if f := s.known(in.Type, in.ID); f != nil {
			return nil, f
		}
		var err error
		if in.ID, err = s.meant(c, in.ID); err != nil {
			return nil, err
		}
		in.ev.Entities = []audit.Entity{{Type: in.Type, ID: in.ID}}
	}
	in.def = s.operationDefinition(op.Code, in.Type)
	var err error
	if in.Query, in.from, err = s.resume(c, in.path(), in.Query); err != nil {
		return nil, err
	}
	if in.args, err = s.arguments(in); err != nil {
		return nil, err
	}
	if encoded := in.args.values.Encode(); encoded != "" {
		in.ev.Query += "?" + encoded
	}
	return op, nil
}

func notServedHere() *Failure {
	f := fail(NotFound, nil, "this operation is not served here")
	f.Issues[0].Code = "not-supported"
	return f
}

func servedOperation(in Invocation) *Operation {
	for i := range operations {
		o := &operations[i]
		if o.Code == in.Code && o.Serves(in.Type) && o.servedAt(in) {
			return o
		}
	}
	return nil
}

func (o *Operation) servedAt(in Invocation) bool {
	switch {
	case in.Type == "":
		return o.System
	case in.ID == "":
		return o.Type
	}
	return o.Instance
}

// operationDefinition is the definition of a served operation, the official one
// where there is one.
func (s *Service) operationDefinition(code, resourceType string) *definition.Operation {
	for _, o := range slices.Concat(s.Definitions.Operations(), s.own) {
		if o.Code == code && !o.Query && (slices.Contains(o.Resources, resourceType) || slices.Contains(o.Resources, "Resource")) {
			return o
		}
	}
	return &definition.Operation{Code: code}
}

// takes is the in parameter of the name, nil when there is none.
func takes(def *definition.Operation, name string) *definition.OperationParameter {
	for i := range def.Parameters {
		if p := &def.Parameters[i]; p.Use == "in" && p.Name == name {
			return p
		}
	}
	return nil
}
