package search

import (
	"fmt"
	"slices"
	"strings"
)

// include reads _include or _revinclude (R4 search.html#include):
//
//	Source:parameter, Source:parameter:Target, Source:*, *
//
// with the modifier :iterate, or :recurse, its name before R4.
func (p *searchParser) include(code string, nv nameValue) error {
	in := Include{Reverse: code == "_revinclude"}
	switch modifier := nv.name[len(code):]; modifier {
	case "":
	case ":iterate", ":recurse":
		in.Iterate = true
	default:
		return &ParameterError{Parameter: printable(nv.name), Reason: "allowed: :iterate", Err: ErrModifier}
	}
	if len(p.search.Includes) == MaxIncludes {
		return malformed(code, fmt.Sprintf("more than %d inclusions", MaxIncludes))
	}
	if len(nv.value) > MaxValueBytes {
		return malformed(code, fmt.Sprintf("value is longer than %d bytes", MaxValueBytes))
	}
	if err := p.includePath(code, nv.value, &in); err != nil {
		return err
	}
	if !p.applies(in) {
		p.warn("informational", code+": leads from no searched type; "+code+":iterate follows from included resources")
		return nil
	}
	if !slices.Contains(p.search.Includes, in) {
		p.search.Includes = append(p.search.Includes, in)
	}
	return nil
}

// includePath reads the value of an inclusion.
func (p *searchParser) includePath(code, value string, in *Include) error {
	if value == "*" {
		in.Source, in.Wildcard = "*", true
		return nil
	}
	parts := strings.Split(value, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return malformed(code, "want Type:parameter, Type:parameter:TargetType, Type:* or *")
	}
	in.Source = parts[0]
	if !p.catalog.isResource(in.Source) {
		return malformed(code, "unknown resource type")
	}
	if len(parts) == 3 {
		if in.Target = parts[2]; !p.catalog.isResource(in.Target) {
			return malformed(code, "unknown target type")
		}
	}
	if parts[1] == "*" {
		in.Wildcard = true
		return nil
	}
	in.Parameter = p.catalog.Parameter(in.Source, parts[1])
	switch {
	case in.Parameter == nil:
		return &ParameterError{Parameter: code, Reason: "of " + in.Source, Err: ErrUnknownParameter}
	case in.Parameter.Kind != ReferenceKind:
		return malformed(code, in.Parameter.Code+" is no reference parameter")
	case in.Target != "" && !in.Parameter.LeadsTo(in.Target):
		return malformed(code, in.Parameter.Code+" does not lead to "+in.Target)
	}
	return nil
}

// applies reports whether the inclusion can start at a searched type. One that
// iterates may start at a resource that another one brought.
func (p *searchParser) applies(in Include) bool {
	if in.Iterate || in.Source == "*" {
		return true
	}
	for _, e := range p.search.Expressions {
		switch {
		case !in.Reverse && in.Source == e.Type,
			in.Reverse && in.Parameter == nil && (in.Target == "" || in.Target == e.Type),
			in.Reverse && in.Parameter != nil && in.Parameter.LeadsTo(e.Type) && (in.Target == "" || in.Target == e.Type):
			return true
		}
	}
	return false
}

// circles refuses iterating inclusions that follow the same references to and
// fro: they would walk over everything that hangs together.
func (p *searchParser) circles() error {
	for _, in := range p.search.Includes {
		for _, back := range p.search.Includes {
			if in.Iterate && back.Iterate && !in.Reverse && back.Reverse && in.Source == back.Source && in.Parameter == back.Parameter {
				return malformed("_include:iterate", "goes in circles with _revinclude:iterate, which follows the same references back")
			}
		}
	}
	return nil
}

// LeadsTo reports whether a reference parameter may lead to the type.
func (p *Parameter) LeadsTo(resourceType string) bool {
	return len(p.Targets) == 0 || slices.Contains(p.Targets, resourceType)
}
