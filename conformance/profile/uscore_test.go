package profile_test

import (
	"archive/tar"
	"bytes"
	"context"
	_ "embed" // the guide
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/fieldseal/fieldseal/conformance/profile"
	"github.com/fieldseal/fieldseal/conformance/terminology"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

//go:embed testdata/us-core.tar.zst
var usCoreArchive []byte

// guide is an implementation guide: a Source of profiles and of terminology.
type guide struct {
	profiles map[string]*profile.Structure
	terms    map[string]*terminology.Stored // by type and URL
	examples map[string]*fhir.Resource
}

func (g *guide) Profile(_ context.Context, url, _ string) (*profile.Structure, error) {
	return g.profiles[url], nil
}

func (g *guide) CodeSystem(_ context.Context, url, _ string) (*terminology.Stored, error) {
	return g.terms["CodeSystem "+url], nil
}

func (g *guide) ValueSet(_ context.Context, url, _ string) (*terminology.Stored, error) {
	return g.terms["ValueSet "+url], nil
}

func (g *guide) CodeSystemOf(context.Context, string, string) (*terminology.Stored, error) {
	return nil, nil
}

func (g *guide) add(name string, text []byte) error {
	r, err := fhir.Parse(text, fhir.Limits{})
	if err != nil {
		return err
	}
	url := r.Root().Member("url").Text()
	switch {
	case strings.HasPrefix(name, "examples/"):
		g.examples[name[len("examples/"):]] = r
	case r.Type() == "StructureDefinition":
		s, err := profile.Parse(r)
		if err != nil {
			return err
		}
		g.profiles[url] = s
	default:
		g.terms[r.Type()+" "+url] = &terminology.Stored{Tag: url, Load: func(context.Context) (*fhir.Resource, error) { return r, nil }}
	}
	return nil
}

var usCore = sync.OnceValues(func() (*guide, error) {
	g := &guide{map[string]*profile.Structure{}, map[string]*terminology.Stored{}, map[string]*fhir.Resource{}}
	z, err := zstd.NewReader(bytes.NewReader(usCoreArchive))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return g, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(r)
		if err == nil {
			err = g.add(h.Name, text)
		}
		if err != nil {
			return nil, err
		}
	}
})

func usChecker(t *testing.T) (*guide, profile.Checker) {
	t.Helper()
	g, err := usCore()
	if err != nil {
		t.Fatal(err)
	}
	terms, err := terminology.New(terminology.Options{Source: g})
	if err != nil {
		t.Fatal(err)
	}
	return g, profile.Checker{Source: g, Terminology: terms}
}

// The examples of US Core conform to the profiles that they name, or what their
// profile asks cannot be judged here.
func TestExamplesOfUSCoreConform(t *testing.T) {
	t.Parallel()
	g, c := usChecker(t)
	judged, open := 0, 0
	for name, r := range g.examples {
		list := r.Root().Member("meta").Member("profile")
		for i := 0; list != nil && i < list.Len(); i++ {
			issues, err := c.Check(t.Context(), list.At(i).Text(), fhirpath.Root(r))
			switch {
			case errors.Is(err, profile.ErrUnsupported), errors.Is(err, profile.ErrUnknown):
				t.Log(name, err)
				open++
			case err != nil:
				t.Errorf("%s: %v", name, err)
			case issues.HasErrors():
				t.Errorf("%s: %v", name, issues)
			default:
				judged++
			}
		}
	}
	if judged < 80 {
		t.Errorf("%d judged, %d not", judged, open)
	}
}

// What a profile demands is missed when it is taken away.
func TestExamplesOfUSCoreWithoutWhatIsDemanded(t *testing.T) {
	t.Parallel()
	g, c := usChecker(t)
	cut := 0
	for name, r := range g.examples {
		list := r.Root().Member("meta").Member("profile")
		if list == nil {
			continue
		}
		url := list.At(0).Text()
		if issues, err := c.Check(t.Context(), url, fhirpath.Root(r)); err != nil || issues.HasErrors() {
			continue
		}
		for _, member := range g.profiles[url].Demanded() {
			whole := r.Root().Clone()
			if !whole.Remove(member) {
				continue // a choice
			}
			less, err := fhir.NewResource(whole)
			if err != nil {
				t.Fatal(err)
			}
			cut++
			if issues, err := c.Check(t.Context(), url, fhirpath.Root(less)); err == nil && !issues.HasErrors() {
				t.Errorf("%s conforms without its %s", name, member)
			}
		}
	}
	if cut < 200 {
		t.Errorf("only %d elements were taken away", cut)
	}
}
