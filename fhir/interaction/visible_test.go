package interaction

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/pseudonym"
	"github.com/fieldseal/fieldseal/authz/redact/redacttest"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/fhir/search/searchtest"
	"github.com/fieldseal/fieldseal/repository"
)

// randomRoles are policy rows of n roles that see random classes, some of them
// under conditions, and scopes of some.
func randomRoles(rng *rand.Rand, n int) (rows string, scopes map[string][]string) {
	var b strings.Builder
	scopes = map[string][]string{}
	all := field.AllClasses.Classes()
	some := func() string {
		var names []string
		for _, c := range all {
			if rng.IntN(3) > 0 {
				names = append(names, c.String())
			}
		}
		if !slices.Contains(names, "administrative") && rng.IntN(6) > 0 { // most modifier elements are: else little is left
			names = append(names, "administrative")
		}
		return strings.Join(names, "|")
	}
	one := func(of ...string) string { return of[rng.IntN(len(of))] }
	for i := range n {
		fmt.Fprintf(&b, "role, role:any%d, random%s\n", i, one("", "", "", ", conceal_changes", ", pseudonymous_ids", ", conceal_changes|pseudonymous_ids"))
		fmt.Fprintf(&b, "p, role:any%d, record, read|search, %s, *, %s, allow\n", i, some(), one("all_patients", "all_patients", "label(R)", "label(V+HIV)", "consent", "relationship & consent", "org"))
		if rng.IntN(2) == 0 {
			fmt.Fprintf(&b, "p, role:any%d, record, read|search, %s, BTG, %s, allow\n", i, some(), one("btg", "btg & label(R)", "btg & consent & label(V+*)"))
			fmt.Fprintf(&b, "p, role:any%d, record, read|search, %s, TREAT, restricted_label, deny\n", i, all[rng.IntN(len(all))])
		}
		fmt.Fprintf(&b, "p, role:any%d, record, read|search, %s, *, not_patient_data, allow\n", i, some())
		if classes := some(); rng.IntN(2) == 0 {
			fmt.Fprintf(&b, "p, role:any%d, Patient|Observation|Condition, read|search, %s, *, %s, allow\n", i, classes, one("not_restricted_label", "relationship & label(R)"))
		}
		if rng.IntN(2) == 0 {
			fmt.Fprintf(&b, "p, role:any%d, record, read|search, %s, *, restricted_label, deny\n", i, all[rng.IntN(len(all))])
		}
		switch rng.IntN(4) {
		case 0:
			scopes[fmt.Sprint("any", i)] = []string{"user/Patient.rs", "user/Encounter.rs", "user/Observation.rs?category=laboratory"}
		case 1:
			scopes[fmt.Sprint("any", i)] = []string{"user/Patient.rs", "user/Observation.rs", "user/Claim.rs", "user/Practitioner.rs"}
		}
	}
	return b.String(), scopes
}

// face is how a role asks: the service, or one with a planted defect.
type face struct {
	read    func(typ, id string) ([]byte, error)
	history func(typ, id string) ([]json.RawMessage, error)
	search  func(target string) (walked, error)
}

func (p *shop) face(c Call) face {
	body := func(a *Answer, err error) ([]byte, error) {
		if err != nil {
			return nil, err
		}
		return bytes.Clone(a.Body()), nil
	}
	return face{
		read: func(typ, id string) ([]byte, error) { return body(p.Read(p.t.Context(), c, typ, id)) },
		history: func(typ, id string) ([]json.RawMessage, error) {
			b, err := body(p.History(p.t.Context(), c, typ, id, ""))
			return entries(b), err
		},
		search: func(target string) (walked, error) { return p.walk(c, target) },
	}
}

// entries are the resources of a Bundle, byte for byte.
func entries(bundle []byte) (list []json.RawMessage) {
	var b struct {
		Entry []struct{ Resource json.RawMessage }
	}
	if json.Unmarshal(bundle, &b) != nil {
		return nil
	}
	for _, e := range b.Entry {
		list = append(list, e.Resource)
	}
	return list
}

// kept is a resource as it is stored, nothing hidden.
type kept struct {
	typ, id  string
	versions [][]byte // the newest last
}

func (k *kept) ref() string     { return k.typ + "/" + k.id }
func (k *kept) current() []byte { return k.versions[len(k.versions)-1] }

// everything is all that is stored.
func (p *shop) allStored() (list []*kept) {
	p.t.Helper()
	seen := map[repository.Key]*kept{}
	for ch, err := range p.store.Changes(p.t.Context(), "") {
		p.must(err)
		st, err := p.Vault.LoadVersion(p.t.Context(), ch.Key, ch.Version)
		p.must(err)
		full, _, err := p.Vault.OpenAll(st)
		p.must(err)
		k := seen[ch.Key]
		if k == nil {
			k = &kept{typ: ch.Key.Type, id: st.Head.ID}
			seen[ch.Key], list = k, append(list, k)
		}
		k.versions = append(k.versions, full.AppendJSON(nil))
	}
	return list
}

// inspection compares what a role is shown with what the judge says.
type inspection struct {
	*redacttest.Differences
	p       *shop
	c       Call
	stored  []*kept
	judge   *judge
	named   func(id string) string // as the role knows it
	visible map[string][]byte      // views by reference, as the role knows both
	world   *searchtest.World
	shown   int
	tally   tally
}

// inspection is that of a role, under an emergency access when the glass is
// broken for a patient.
func (p *shop) inspection(role, glass string, stored []*kept) *inspection {
	p.t.Helper()
	texts := make([][]byte, len(stored))
	for i, k := range stored {
		texts[i] = k.current()
	}
	in := &inspection{Differences: &redacttest.Differences{}, p: p, c: p.as(role), stored: stored, judge: p.newJudge(role, glass, texts),
		visible: map[string][]byte{}, world: searchtest.New(p.Definitions, subsumption{p.Terminology}, base)}
	in.named = p.names(in.c)
	for _, k := range stored {
		if view := in.view(k.current(), nil); view != nil {
			in.visible[in.ref(k)] = view
			in.world.Add(in.known(in.judge.searched(k.current())))
		}
	}
	return in
}

// names says how a caller knows ids.
func (p *shop) names(c Call) func(string) string {
	p.t.Helper()
	project, err := p.project(c)
	p.must(err)
	if project == nil {
		return func(id string) string { return id }
	}
	r := pseudonym.Rewriter{Project: project, Base: base, Type: p.Definitions.IsResource}
	return func(id string) string {
		if strings.HasPrefix(id, "urn:") {
			return r.Text(id)
		}
		return project.Of(id)
	}
}

func (in *inspection) ref(k *kept) string { return k.typ + "/" + in.named(k.id) }

// view is what the judge says.
func (in *inspection) view(text, current []byte) []byte {
	return in.known(in.judge.view(text, current))
}

// known is a view with ids as the role knows them.
func (in *inspection) known(view []byte) []byte {
	if view == nil || in.c.traits.Project == "" {
		return view
	}
	return redacttest.Named(view, base, in.p.Definitions.IsResource, in.named)
}

// reads compares one resource in step, from one of the first on.
func (in *inspection) reads(f face, from, step int) {
	for i := from % step; i < len(in.stored); i += step {
		k := in.stored[i]
		got, err := f.read(k.typ, in.named(k.id))
		if err != nil && failure(err).Kind != Denied && failure(err).Kind != NotFound {
			in.Note(k.typ+": "+failure(err).Error(), "a read")
		}
		in.Compare("a read of "+k.typ, got, in.visible[in.ref(k)])
	}
}

// histories compares what every version of every resource shows, the newest
// first; from whom changes are concealed, what does not show is left out.
func (in *inspection) histories(f face) {
	for _, k := range in.stored {
		if len(k.versions) == 1 && len(k.id)%8 > 0 { // those with more say more
			continue
		}
		var want [][]byte
		for i, text := range k.versions {
			current := k.current()
			if i == len(k.versions)-1 {
				current = nil
			}
			view := in.view(text, current)
			if in.visible[in.ref(k)] == nil || view == nil || in.judge.conceal && len(want) > 0 && bytes.Equal(want[0], view) {
				continue
			}
			want = slices.Insert(want, 0, view)
		}
		got, err := f.history(k.typ, in.named(k.id))
		if err != nil && failure(err).Kind != Denied && failure(err).Kind != NotFound || len(got) != len(want) {
			in.Note(fmt.Sprintf("%s: a history of %d versions shows %d", k.typ, len(want), len(got)), k.typ)
			continue
		}
		for i := range got {
			in.Compare("a version of "+k.typ, got[i], want[i])
		}
	}
}

// searches asks n questions.
func (in *inspection) searches(f face, seed uint64, n int) {
	if len(in.visible) == 0 {
		return
	}
	q := searchtest.NewQuestions(in.world, seed)
	q.Asks = func(typ, code string) bool { // the marks of a redacted view are made for who reads it
		return code != "_tag" && code != "_security" && in.p.sees(in.c, typ, code)
	}
	for range n {
		in.ask(f, q.Next())
	}
}

func (in *inspection) ask(f face, target string) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(searchtest.Undecided); !ok {
				panic(fmt.Sprint(target, ": ", r))
			}
			in.tally.undecided++
		}
	}()
	got, err := f.search(target)
	if err != nil {
		switch fl := failure(err); {
		case fl.Kind == Denied:
			in.tally.refused++
		case fl.Issues[0].Code == "too-costly":
			in.tally.costly++
		case errors.As(err, new(*search.UndecidedError)):
			in.tally.undecided++
		default:
			in.Note("a search fails: "+fl.Error(), target)
		}
		return
	}
	for _, body := range got.bodies {
		in.disclosed("a resource of "+target, body)
	}
	want := in.world.Answer(target)
	if in.tally.matched++; len(want.Matches) == 0 {
		in.tally.matched, in.tally.empty = in.tally.matched-1, in.tally.empty+1
	}
	if want.Sort != "" && !slices.ContainsFunc(got.matches, func(ref string) bool { return in.world.Find(ref) == nil }) {
		if err := in.world.Ordered(want.Sort, got.matches); err != nil {
			in.Note("a search is in the wrong order", target)
		}
	}
	if got.total >= 0 && got.total != len(want.Matches) {
		in.Note("a search counts wrongly", target)
	}
	included := slices.DeleteFunc(slices.Clone(got.included), func(ref string) bool { return slices.Contains(want.Matches, ref) })
	in.sets("matches", target, got.matches, want.Matches)
	in.sets("includes", target, slices.Compact(slices.Sorted(slices.Values(included))), want.Included)
}

// sets notes, by type, what a search shows and must not, and what it lacks.
func (in *inspection) sets(what, target string, got, want []string) {
	for _, ref := range got {
		if !slices.Contains(want, ref) {
			in.Note(fmt.Sprintf("a search %s %s, but must not", what, ref[:strings.IndexByte(ref, '/')]), target)
		}
	}
	for _, ref := range want {
		if !slices.Contains(got, ref) {
			in.Note(fmt.Sprintf("a search lacks a %s among its %s", ref[:strings.IndexByte(ref, '/')], what), target)
		}
	}
	if slices.Sort(got); len(slices.Compact(got)) != len(got) {
		in.Note("a search shows a resource twice among its "+what, target)
	}
}

// disclosed compares a resource of any answer.
func (in *inspection) disclosed(what string, body []byte) {
	var id struct{ ResourceType, ID string }
	if err := json.Unmarshal(body, &id); err != nil {
		in.Note(what+" is no JSON", what)
		return
	}
	if id.ResourceType != "OperationOutcome" {
		in.shown++
		in.Compare(what, body, in.visible[id.ResourceType+"/"+id.ID])
	}
}

// everythings compares the resources of $everything.
func (in *inspection) everythings() {
	for _, k := range in.stored {
		if k.typ != "Patient" {
			continue
		}
		a, err := in.p.Operate(in.p.t.Context(), in.c, Invocation{Code: "everything", Type: "Patient", ID: in.named(k.id), Query: "_count=200"})
		if err != nil {
			if kind := failure(err).Kind; kind != Denied && kind != NotFound {
				in.Note("$everything fails", k.ref())
			}
			continue
		}
		body := bytes.Clone(a.Body())
		if a.Streamed() {
			body = nil
			for chunk, err := range a.Chunks(in.p.t.Context()) {
				in.p.must(err)
				body = append(body, chunk...)
			}
		}
		for _, resource := range entries(body) {
			in.disclosed("a resource of $everything", resource)
		}
	}
}

// stockVisible stores records, labels and consents, and second versions of some.
func (p *shop) stockVisible(rng *rand.Rand, long bool) []*kept {
	p.t.Helper()
	p.stock()
	if long {
		for _, text := range fhirtest.Synthea(p.t) {
			p.load(text)
		}
	}
	p.stockCare()
	for _, text := range [...]string{ // what the organization of some roles keeps
		`{"resourceType":"Patient","id":"kept","birthDate":"1960-01-02","name":[{"family":"Kept"}],"managingOrganization":{"reference":"` + base + `/Organization/o1"}}`,
		`{"resourceType":"Encounter","id":"kept","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/kept"},"serviceProvider":{"reference":"Organization/o1"}}`,
		`{"resourceType":"Encounter","id":"elsewhere","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/kept"},"serviceProvider":{"reference":"Organization/o2"}}`,
		`{"resourceType":"Consent","id":"kept","status":"inactive","scope":{"text":"x"},"category":[{"text":"x"}],"policyRule":{"text":"x"},"patient":{"reference":"Patient/p1"},"organization":[{"reference":"Organization/o2"},{"reference":"Organization/o1"}]}`,
	} {
		typ := strings.SplitN(text, `"`, 5)[3]
		id := strings.SplitN(strings.SplitN(text, `"id":"`, 2)[1], `"`, 2)[0]
		p.put(typ, id, text)
	}
	for i, text := range [...]string{
		`{"resourceType":"Patient","id":"contains","active":true,"contained":[{"resourceType":"Patient","id":"c","birthDate":"1980-05-01","deceasedBoolean":true},{"resourceType":"Organization","id":"o","name":"Kin"}],"managingOrganization":{"reference":"#o"},"link":[{"other":{"reference":"#c","display":"Old"},"type":"seealso"}],"contact":[{"telecom":[{"extension":[{"url":"urn:x","valueString":"only"}]}]}]}`,
		`{"resourceType":"Observation","id":"extended","status":"final","_status":{"extension":[{"url":"urn:x","valueDecimal":1.50}]},"code":{"text":"c","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/ordinalValue","valueDecimal":0.10}]},"subject":{"reference":"Patient/contains","display":"Kin"},"referenceRange":[{"text":"low","modifierExtension":[{"url":"urn:not","valueBoolean":true}]}]}`,
		`{"resourceType":"Binary","id":"raw","contentType":"text/plain","_contentType":{"extension":[{"url":"urn:x","valueString":"unclassed"}]},"data":"c2VjcmV0"}`,
	} {
		p.put([]string{"Patient", "Observation", "Binary"}[i], []string{"contains", "extended", "raw"}[i], text)
	}
	for i, k := range p.allStored() {
		if i%7 == rng.IntN(7) && k.typ != "Consent" && k.typ != "CareTeam" {
			_, err := p.Operate(p.t.Context(), p.as("integration"), Invocation{Code: "meta-add", Type: k.typ, ID: k.id, Body: []byte(`{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"` + []string{"R", "V", "L"}[rng.IntN(3)] + `"}` +
				[]string{"", `,{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}`, `,{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}`}[rng.IntN(3)] + `]}}]}`)})
			p.must(err)
		}
	}
	return p.allStored()
}

// everyWay inspects all that the role is shown.
func (in *inspection) everyWay(t *testing.T, role string, seed uint64, from, step, questions int) {
	t.Helper()
	f := in.p.face(in.c)
	in.reads(f, from, step)
	in.histories(f)
	in.searches(f, seed, questions)
	in.everythings()
	t.Logf("%s sees %d of %d resources; %+v", role, len(in.visible), len(in.stored), in.tally)
	for _, line := range in.Lines(30) {
		t.Errorf("%s: %s", role, line)
	}
}

// emergency is the inspection of a role that breaks the glass for one of the
// patients; nil when it may not, which the judge must say too.
func (p *shop) emergency(t *testing.T, role string, stored []*kept, rng *rand.Rand) *inspection {
	t.Helper()
	patients := slices.DeleteFunc(slices.Clone(stored), func(k *kept) bool { return k.typ != "Patient" })
	k := patients[rng.IntN(len(patients))]
	in := p.inspection(role, k.ref(), stored)
	mfa := p.strong(role)
	a, err := p.Operate(t.Context(), mfa, breakGlass(in.named(k.id)))
	eligible := slices.ContainsFunc(in.judge.rows, func(row []string) bool { return strings.HasPrefix(row[4], "btg") })
	if may := eligible && in.visible[in.ref(k)] != nil; may != (err == nil) {
		t.Errorf("%s: emergency access to %s: %v, want %v", role, k.ref(), err, may)
	}
	if err != nil {
		return nil
	}
	in.c = p.under(mfa, p.grant(a, err))
	return in
}

// strong is a call of a role whose user has just used a second factor.
func (p *shop) strong(role string) Call {
	p.t.Helper()
	claims, err := token.DemoClaims(role, "dr", "p1")
	if err != nil {
		claims = p.claims(role)
	}
	claims.AMR, claims.AuthTime = []string{"pwd", "mfa"}, p.clock.Now()
	return p.call(claims)
}

// TestEveryVisibleByteEqualsAReference asks in many ways as random roles, and
// compares every byte, every absence, count, order, include and version with a
// judge that reads the opened resources and shares no code with what decides,
// opens, redacts and searches. All differences are told, by type and path.
func TestEveryVisibleByteEqualsAReference(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it compares what is answered one after the other: nothing for the race detector")
	}
	seed, roles, questions, step := uint64(6), 5, 25, 4
	long := os.Getenv("FIELDSEAL_LONG") == "1"
	if long {
		seed, roles, questions, step = rand.Uint64(), 40, 400, 1
		if again, err := strconv.ParseUint(os.Getenv("FIELDSEAL_SEED"), 10, 64); err == nil {
			seed = again
		}
	}
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	rows, scopes := randomRoles(rng, roles)
	p := newShopWith(t, shopOptions{rows: rows, scopes: scopes})
	stored := p.stockVisible(rng, long)
	names := []string{"integration", "nurse", "researcher", "patient", "doctor", "scholar", "ward", "study"}
	for i := range roles {
		names = append(names, fmt.Sprint("any", i))
	}
	compared, shown, emergencies := 0, 0, 0
	for i, role := range names {
		in := p.inspection(role, "", stored)
		in.everyWay(t, role, seed+uint64(i), i, step, questions)
		compared, shown = compared+in.Compared, shown+in.shown
	}
	for i, role := range append(names[len(names)-roles:], "physician", "resident") {
		if in := p.emergency(t, role, stored, rng); in != nil {
			in.everyWay(t, role+" in an emergency", seed+uint64(i), i, step, questions)
			emergencies++
		}
	}
	if t.Logf("%d views compared, %d of them in Bundles", compared, shown); compared < 300*len(names) || shown < 100*len(names) || emergencies < 2 {
		t.Error("the test proves little")
	}
	testPlanted(t, p, stored)
}
