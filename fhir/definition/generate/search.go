package main

import (
	"slices"
	"strings"
)

type parameterJSON struct {
	URL         string   `json:"url"`
	Code        string   `json:"code"`
	Type        string   `json:"type"`
	Expression  string   `json:"expression"`
	Base        []string `json:"base"`
	Target      []string `json:"target"`
	Modifier    []string `json:"modifier"`
	Comparator  []string `json:"comparator"`
	MultipleOr  *bool    `json:"multipleOr"`
	MultipleAnd *bool    `json:"multipleAnd"`
	Component   []struct {
		Definition string `json:"definition"`
		Expression string `json:"expression"`
	} `json:"component"`
}

func buildSearchParameters(in []*parameterJSON) []*paramDef {
	var out []*paramDef
	for _, p := range in {
		d := &paramDef{
			url: p.URL, code: p.Code, typ: p.Type, expression: p.Expression,
			base: p.Base, target: p.Target, modifiers: p.Modifier, comparators: p.Comparator,
			multipleOr:  p.MultipleOr == nil || *p.MultipleOr,
			multipleAnd: p.MultipleAnd == nil || *p.MultipleAnd,
		}
		for _, c := range p.Component {
			d.componentDefinition = append(d.componentDefinition, c.Definition)
			d.componentExpression = append(d.componentExpression, c.Expression)
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b *paramDef) int { return strings.Compare(a.url, b.url) })
	return out
}

type compartmentJSON struct {
	URL      string `json:"url"`
	Code     string `json:"code"`
	Resource []struct {
		Code  string   `json:"code"`
		Param []string `json:"param"`
	} `json:"resource"`
}

func buildCompartments(in []*compartmentJSON) []*compartmentDef {
	var out []*compartmentDef
	for _, c := range in {
		d := &compartmentDef{code: c.Code, url: c.URL}
		for _, r := range c.Resource {
			if len(r.Param) > 0 { // no parameter means: never in this compartment
				d.resources = append(d.resources, r.Code)
				d.params = append(d.params, r.Param)
			}
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b *compartmentDef) int { return strings.Compare(a.code, b.code) })
	return out
}
