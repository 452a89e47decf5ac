package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fieldseal/fieldseal/conformance/profile"
	"github.com/fieldseal/fieldseal/conformance/terminology"
	"github.com/fieldseal/fieldseal/fhir"
)

// pathDefinitions are the definitions of files, by type and canonical URL. Of
// several versions the last one read is the current one.
type pathDefinitions struct {
	all    map[[2]string][]*fhir.Resource
	parsed map[*fhir.Resource]*profile.Structure
}

// readDefinitions reads files and, of folders, every .json file.
func readDefinitions(paths []string) (*pathDefinitions, error) {
	d := &pathDefinitions{all: map[[2]string][]*fhir.Resource{}, parsed: map[*fhir.Resource]*profile.Structure{}}
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || name != path && filepath.Ext(name) != ".json" {
				return err
			}
			return d.read(name)
		})
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *pathDefinitions) read(name string) error {
	data, err := os.ReadFile(name) // #nosec G304 -- the user's own file
	if err != nil {
		return err
	}
	n, err := fhir.ParseValue(bytes.TrimPrefix(data, []byte("\ufeff")), fhir.Limits{})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r, err := fhir.NewResource(n)
	if err != nil {
		return nil // what lies beside definitions in a package
	}
	switch r.Type() {
	case "StructureDefinition", "ValueSet", "CodeSystem":
		key := [2]string{r.Type(), r.Root().Member("url").Text()}
		d.all[key] = append(d.all[key], r)
	}
	return nil
}

func (d *pathDefinitions) find(typ, url, version string) *fhir.Resource {
	list := d.all[[2]string{typ, url}]
	for i := len(list) - 1; i >= 0; i-- {
		if version == "" || list[i].Root().Member("version").Text() == version {
			return list[i]
		}
	}
	return nil
}

// Profile implements profile.Source.
func (d *pathDefinitions) Profile(_ context.Context, url, version string) (*profile.Structure, error) {
	r := d.find("StructureDefinition", url, version)
	if r == nil {
		return nil, nil
	}
	if d.parsed[r] == nil {
		s, err := profile.Parse(r)
		if err != nil {
			return nil, err
		}
		d.parsed[r] = s
	}
	return d.parsed[r], nil
}

func (d *pathDefinitions) stored(typ, url, version string) (*terminology.Stored, error) {
	r := d.find(typ, url, version)
	if r == nil {
		return nil, nil
	}
	return &terminology.Stored{Tag: fmt.Sprintf("%s %s %p", typ, url, r), Load: func(context.Context) (*fhir.Resource, error) { return r, nil }}, nil
}

// CodeSystem implements terminology.Source.
func (d *pathDefinitions) CodeSystem(_ context.Context, url, version string) (*terminology.Stored, error) {
	return d.stored("CodeSystem", url, version)
}

// ValueSet implements terminology.Source.
func (d *pathDefinitions) ValueSet(_ context.Context, url, version string) (*terminology.Stored, error) {
	return d.stored("ValueSet", url, version)
}

// CodeSystemOf implements terminology.Source.
func (d *pathDefinitions) CodeSystemOf(_ context.Context, valueSet, _ string) (*terminology.Stored, error) {
	for key, list := range d.all {
		for _, r := range list {
			if key[0] == "CodeSystem" && r.Root().Member("valueSet").Text() == valueSet {
				return d.stored("CodeSystem", key[1], r.Root().Member("version").Text())
			}
		}
	}
	return nil, nil
}
