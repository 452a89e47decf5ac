package main

import (
	"slices"
	"strconv"
	"strings"
)

type operationJSON struct {
	Name         string               `json:"name"`
	URL          string               `json:"url"`
	Code         string               `json:"code"`
	Kind         string               `json:"kind"`
	System       bool                 `json:"system"`
	Type         bool                 `json:"type"`
	Instance     bool                 `json:"instance"`
	AffectsState bool                 `json:"affectsState"`
	Resource     []string             `json:"resource"`
	Parameter    []operationParamJSON `json:"parameter"`
}

type operationParamJSON struct {
	Name          string               `json:"name"`
	Use           string               `json:"use"`
	Min           int                  `json:"min"`
	Max           string               `json:"max"`
	Type          string               `json:"type"`
	SearchType    string               `json:"searchType"`
	TargetProfile []string             `json:"targetProfile"`
	Part          []operationParamJSON `json:"part"`
}

func buildOperations(in []*operationJSON) []*operationDef {
	var out []*operationDef
	for _, o := range in {
		out = append(out, &operationDef{
			name: o.Name, url: o.URL, code: o.Code, query: o.Kind == "query",
			system: o.System, typ: o.Type, instance: o.Instance, affects: o.AffectsState,
			resources: o.Resource, parameters: buildOperationParams(o.Parameter),
		})
	}
	slices.SortFunc(out, func(a, b *operationDef) int { return strings.Compare(a.url, b.url) })
	return out
}

func buildOperationParams(in []operationParamJSON) []*operationParamDef {
	var out []*operationParamDef
	for _, p := range in {
		d := &operationParamDef{
			name: p.Name, use: p.Use, typ: p.Type, searchType: p.SearchType,
			min: p.Min, max: -1, parts: buildOperationParams(p.Part),
		}
		if n, err := strconv.Atoi(p.Max); err == nil {
			d.max = n
		}
		for _, t := range p.TargetProfile {
			d.targets = append(d.targets, tail(t))
		}
		out = append(out, d)
	}
	return out
}
