package synthea_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/conformance/bench/synthea"
	"github.com/fieldseal/fieldseal/fhir"
)

func groups(t *testing.T, o synthea.Options) []synthea.Group {
	t.Helper()
	m, err := synthea.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var all []synthea.Group
	for g, err := range m.Groups() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
	}
	return all
}

// flat are the resources of all groups.
func flat(all []synthea.Group) (list []synthea.Resource) {
	for _, g := range all {
		list = append(list, g.Resources...)
	}
	return list
}

// more is enough for every demo patient to come twice.
const more = 9000

func TestReferencesLeadToWhatIsMade(t *testing.T) {
	t.Parallel()
	list := flat(groups(t, synthea.Options{Seed: 1, Resources: more}))
	if len(list) != more {
		t.Fatalf("%d resources, want %d", len(list), more)
	}
	have := map[string]bool{}
	for _, r := range list {
		key := r.Type + "/" + r.ID
		if have[key] {
			t.Fatalf("%s comes twice", key)
		}
		have[key] = true
	}
	dangling := map[string]bool{}
	for _, r := range list {
		res, err := fhir.Parse(r.JSON, fhir.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		if res.Type() != r.Type || res.ID() != r.ID {
			t.Fatalf("%s/%s is %s/%s inside", r.Type, r.ID, res.Type(), res.ID())
		}
		fhir.WalkReferences(res.Root(), func(ref *fhir.Node) {
			if s := ref.Text(); !strings.HasPrefix(s, "#") && !have[s] {
				dangling[s] = true
			}
		})
	}
	if last := list[more-1]; len(dangling) > 5 { // the last record is cut
		t.Errorf("%d references lead nowhere; the last resource is a %s", len(dangling), last.Type)
	}
}

func TestPersonsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	persons := 0
	for _, g := range groups(t, synthea.Options{Seed: 1, Resources: more}) {
		if g.Shared {
			continue
		}
		persons++
		p, err := fhir.Parse(g.Resources[0].JSON, fhir.DefaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		if p.Type() != "Patient" {
			t.Fatalf("a record begins with a %s", p.Type())
		}
		ids := p.Root().Member("identifier")
		for i := range ids.Len() {
			key := ids.At(i).Member("system").Text() + "|" + ids.At(i).Member("value").Text()
			if seen[key]++; seen[key] > 1 {
				t.Errorf("two persons share an identifier of %s", ids.At(i).Member("system").Text())
			}
		}
		who := p.Root().Member("birthDate").Text() + string(p.Root().Member("name").AppendJSON(nil))
		if seen[who]++; seen[who] > 1 {
			t.Error("two persons share name and birth date")
		}
	}
	if persons < 30 {
		t.Fatalf("%d persons", persons)
	}
}

// Nothing of a copied person's identity stays, and everybody's record agrees
// with itself.
func TestCopiesKeepNoOldIdentity(t *testing.T) {
	t.Parallel()
	a, b := groups(t, synthea.Options{Seed: 1, Resources: more}), groups(t, synthea.Options{Seed: 2, Resources: more})
	uuid := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	common := map[string]bool{}
	for _, r := range a[0].Resources {
		for _, id := range uuid.FindAllString(string(r.JSON), -1) {
			common[id] = true // what is shared keeps its content
		}
	}
	first := map[string]bool{}
	for _, r := range flat(a[1:]) {
		for _, id := range uuid.FindAllString(string(r.JSON), -1) {
			first[id] = true
		}
	}
	for _, r := range flat(b[1:]) {
		for _, id := range uuid.FindAllString(string(r.JSON), -1) {
			if first[id] && !common[id] {
				t.Fatalf("a %s of another seed has an old uuid", r.Type)
			}
		}
	}
}

func TestSameOptionsGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	large, again, small := flat(groups(t, synthea.Options{Seed: 7, Resources: 600})), flat(groups(t, synthea.Options{Seed: 7, Resources: 600})), flat(groups(t, synthea.Options{Seed: 7, Resources: 500}))
	for i := range large {
		if !bytes.Equal(large[i].JSON, again[i].JSON) {
			t.Fatalf("resource %d differs", i)
		}
	}
	for i := range small {
		if !bytes.Equal(large[i].JSON, small[i].JSON) {
			t.Fatalf("resource %d of the smaller set differs", i)
		}
	}
}

func TestFewerThanOneResourceIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := synthea.New(synthea.Options{}); err == nil {
		t.Error("no error")
	}
}
