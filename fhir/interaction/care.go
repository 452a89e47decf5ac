package interaction

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz/consent"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// DefaultCareWindow is how long after its end an encounter, and how long around
// its time an appointment, still is a relationship: letters are written and
// findings arrive in that time.
const DefaultCareWindow = 30 * 24 * time.Hour

// circle is whom a person cares for and under which names it acts.
type circle struct {
	names    []string         // references: the person and its roles
	actors   []consent.Target // the same, its organizations and care teams
	patients map[field.StorageID]bool
}

func (c *circle) has(patient field.StorageID) bool { return c.patients[patient] }

// owners are the patients, for a plan.
func (c *circle) owners() []repository.Owner {
	list := make([]repository.Owner, 0, len(c.patients))
	for p := range c.patients {
		list = append(list, repository.Owner(p))
	}
	return list
}

// circleOf is the circle of a subject's reference; nobody's is empty.
func (s *Service) circleOf(ctx context.Context, who string) (*circle, error) {
	if who == "" {
		return &circle{}, nil
	}
	return s.circles.of(ctx, who)
}

func (s *Service) loadCircle(ctx context.Context, who string) (*circle, error) {
	c := &circle{patients: map[field.StorageID]bool{}}
	ref, ok := fhir.ParseReference(who)
	if !ok {
		return c, nil
	}
	s.name(c, ref)
	if ref.Type == "Practitioner" {
		if err := s.roles(ctx, c); err != nil {
			return nil, err
		}
	}
	if ref.Type != "Practitioner" && ref.Type != "PractitionerRole" {
		return c, nil
	}
	now := time.Now()
	for _, k := range careKinds(now, s.CareWindow) {
		e, err := s.Catalog.ParseConditions(k.resource, k.query+"&"+k.member+"="+url.QueryEscape(strings.Join(c.names, ",")))
		if err != nil {
			return nil, err
		}
		err = s.each(ctx, e, nil, s.careClasses(k.resource), maxCare, func(st *sealed.Stored, r *fhir.Resource) {
			if k.inForce != nil && !k.inForce(r.Root(), now, s.CareWindow) {
				return
			}
			if k.resource == "CareTeam" {
				c.actors = append(c.actors, consent.Target{Type: "CareTeam", Key: st.Record.Key.ID})
			}
			s.caredFor(c, k, r.Root())
		})
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// name adds a reference under which the person acts.
func (s *Service) name(c *circle, ref fhir.Reference) {
	c.names = append(c.names, ref.Type+"/"+ref.ID)
	c.actors = append(c.actors, s.targetOf(ref))
}

func (s *Service) targetOf(ref fhir.Reference) consent.Target {
	return consent.Target{Type: ref.Type, Key: s.Vault.Key(ref.Type, ref.ID).ID}
}

// roles adds the PractitionerRoles that are in force, and their organizations.
func (s *Service) roles(ctx context.Context, c *circle) error {
	e, err := s.Catalog.ParseConditions("PractitionerRole", "practitioner="+url.QueryEscape(c.names[0]))
	if err != nil {
		return err
	}
	return s.each(ctx, e, nil, s.careClasses("PractitionerRole"), maxConsents, func(st *sealed.Stored, r *fhir.Resource) {
		root := r.Root()
		if active := root.Member("active"); active != nil && string(active.Raw()) == "false" || !during(root.Member("period"), time.Now(), 0, 0) {
			return
		}
		s.name(c, fhir.Reference{Type: "PractitionerRole", ID: st.Head.ID})
		if org, local := s.localReference(root.Member("organization").Member("reference").Text()); local && org.Type == "Organization" {
			c.actors = append(c.actors, s.targetOf(org))
		}
	})
}

// careKind is one way to care for somebody.
type careKind struct {
	resource string
	member   string // search parameter that leads to the person
	query    string // what narrows further
	patients string // element with the patient, or with elements that have one as actor
	inForce  func(root *fhir.Node, now time.Time, window time.Duration) bool
}

// careKinds: the care team, the encounter until some time after its end, the
// appointment some time around it, the service request to be performed.
func careKinds(now time.Time, window time.Duration) []careKind {
	since, ahead := day(now.Add(-window-24*time.Hour)), day(now.Add(window+24*time.Hour))
	return []careKind{
		{resource: "CareTeam", member: "participant", query: "status=active", patients: "subject",
			inForce: func(root *fhir.Node, now time.Time, _ time.Duration) bool {
				return during(root.Member("period"), now, 0, 0)
			}},
		{resource: "Encounter", member: "participant", query: "status=planned,arrived,triaged,in-progress,onleave,finished&date=ge" + since, patients: "subject",
			inForce: func(root *fhir.Node, now time.Time, window time.Duration) bool {
				p := root.Member("period")
				if p == nil {
					return root.Member("status").Text() != "finished"
				}
				return during(p, now, 24*time.Hour, window)
			}},
		{resource: "Appointment", member: "actor", query: "status=proposed,pending,booked,arrived,fulfilled,checked-in,waitlist&date=ge" + since + "&date=le" + ahead, patients: "participant",
			inForce: func(root *fhir.Node, now time.Time, window time.Duration) bool {
				return during(root, now, window, window)
			}},
		{resource: "ServiceRequest", member: "performer", query: "status=active", patients: "subject"},
	}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// during reports whether now lies in the period, so much before its start and
// after its end included. An end that cannot be read has passed, a start that
// cannot be read has not come.
func during(period *fhir.Node, now time.Time, before, after time.Duration) bool {
	if start := period.Member("start").Text(); start != "" {
		from, _, ok := search.ParseTime(start)
		if !ok || now.Before(time.UnixMicro(from).Add(-before)) {
			return false
		}
	}
	if end := period.Member("end").Text(); end != "" {
		_, until, ok := search.ParseTime(end)
		if !ok || !now.Before(time.UnixMicro(until).Add(after)) {
			return false
		}
	}
	return true
}

// caredFor adds the patients that a resource names.
func (s *Service) caredFor(c *circle, k careKind, root *fhir.Node) {
	add := func(n *fhir.Node) {
		if ref, local := s.localReference(n.Member("reference").Text()); local && ref.Type == "Patient" {
			c.patients[s.Vault.Key("Patient", ref.ID).ID] = true
		}
	}
	n := root.Member(k.patients)
	if n == nil || n.Kind() != fhir.Array {
		add(n)
		return
	}
	for i := range n.Len() {
		add(n.At(i).Member("actor"))
	}
}

// careElements are what is read of a resource that relates.
var careElements = map[string][]string{
	"CareTeam":         {"status", "period", "subject.reference"},
	"Encounter":        {"status", "period", "subject.reference"},
	"Appointment":      {"status", "start", "end", "participant.actor.reference"},
	"ServiceRequest":   {"status", "subject.reference"},
	"PractitionerRole": {"active", "period", "organization.reference"},
}

func (s *Service) careClasses(resourceType string) (classes field.ClassSet) {
	for _, e := range careElements[resourceType] {
		classes |= s.Classes.ElementClasses(resourceType + "." + e)
	}
	return classes
}

// noticed drops the answers that written changes may have made wrong.
func (s *Service) noticed(changes []change) {
	for _, ch := range changes {
		head, key := ch.draft.Head, ch.draft.Write.Record.Key
		switch {
		case key.Type == "Consent":
			s.consents.forget(head.Patients)
		case key.Type == "Patient":
			s.adults.forget(head.Patients)
		case key.Type == "PractitionerRole":
			s.circles.drop(func(string, *circle) bool { return true })
		case careElements[key.Type] != nil:
			var names []string
			if ch.resource != nil {
				references(ch.resource.Root(), func(text string) { names = append(names, text) })
			}
			s.circles.drop(func(_ string, c *circle) bool {
				return slices.ContainsFunc(head.Patients, c.has) || slices.ContainsFunc(c.names, func(n string) bool {
					return slices.ContainsFunc(names, func(text string) bool { return strings.HasSuffix(text, n) })
				})
			})
		}
	}
}

// references visits the text of every literal reference.
func references(n *fhir.Node, visit func(string)) {
	if n.Name() == "reference" && n.Kind() == fhir.String {
		visit(n.Text())
	}
	for i := range n.Len() {
		references(n.At(i), visit)
	}
}
