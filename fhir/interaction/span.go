package interaction

import (
	"context"
	"errors"
	"math/bits"
	"strconv"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
)

// start begins the span of an interaction and its allowance. The returned
// function ends it.
func (s *Service) start(ctx context.Context, c *Call, i trace.Interaction) (context.Context, func(error)) {
	ctx, c.span = s.Tracer.Start(collecting(ctx), i)
	c.TraceID = c.span.ID()
	c.span.Set(c.Route)
	traits := s.Decider.Traits(c.Subject)
	c.traits = &traits
	if c.room == nil { // an entry shares its Bundle's
		c.room = newAllowance()
	}
	t := new(taken) // an entry of a batch ends for itself
	c.taken = t
	span := c.span
	return ctx, func(err error) {
		s.underway.end(t)
		span.End(spanOutcome(err))
	}
}

// step runs a part of an interaction inside a span of its own.
func (s *Service) step(ctx context.Context, step trace.Step, run func(context.Context) error) error {
	ctx, span := s.Tracer.Step(ctx, step)
	err := run(ctx)
	span.End(spanOutcome(err))
	return err
}

// durable records the event of an answer that is about to leave and adds the
// access event to the interaction's span. An interaction that met a doubt is
// refused: what was found may lack something.
func (s *Service) durable(ctx context.Context, c Call, ev audit.Event) (receipt audit.Receipt, err error) {
	if d := doubtful(ctx); d != nil {
		return receipt, s.refuse(ctx, ev, d)
	}
	s.named(ctx, &ev, nil)
	err = s.step(ctx, trace.Audit, func(ctx context.Context) error {
		receipt, err = s.Recorder.Record(ctx, ev)
		return err
	})
	if err == nil && c.span.Recording() {
		c.span.Access(access(ev, receipt))
	}
	return receipt, err
}

func access(ev audit.Event, r audit.Receipt) trace.Access {
	a := trace.Access{Receipt: r.Seq(), Resources: len(ev.Entities)}
	a.Revision, _ = strconv.ParseUint(ev.PolicyRevision[:min(16, len(ev.PolicyRevision))], 16, 64)
	for _, e := range ev.Entities {
		a.Patients += len(e.Patients)
		a.Classes |= e.Classes
	}
	return a
}

func spanOutcome(err error) trace.Outcome {
	switch {
	case err == nil:
		return trace.OK
	case errors.Is(err, context.Canceled):
		return trace.Cancelled
	}
	switch failure(err).Kind {
	case Denied:
		return trace.Denied
	case NotFound, Gone:
		return trace.NotFound
	case Conflict, Precondition:
		return trace.Conflict
	case Unavailable:
		return trace.Unavailable
	case Internal:
		return trace.Failed
	}
	return trace.Invalid
}

// classCount is how many element classes a mask shows.
func classCount(mask maskSet) int { return bits.OnesCount16(uint16(mask)) }
