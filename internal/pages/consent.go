package pages

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/smart"
)

// offer is one scope on the consent page, with the finer ones that may be given
// instead of it (access.md, SMART 5).
type offer struct {
	Scope   string
	Title   string
	Detail  string
	Group   string
	Changes bool   // it lets the app change data
	Read    string // the same without changes; empty: none
	Kinds   []kind // parts that may be given alone
}

// kind is a part of a scope, by a category (SMART App Launch 2.2, finer-grained
// resource constraints).
type kind struct{ Code, Name, Scope string }

// Groups of the consent page, in their order.
const (
	groupRecord  = "Health record of the patient"
	groupUser    = "Data that you can see yourself"
	groupServer  = "Administration"
	groupContext = "What the app is told"
	groupStay    = "How long"
)

var groups = []string{groupRecord, groupUser, groupServer, groupContext, groupStay}

// categories are the kinds of data that can be chosen one by one.
var categories = map[string][]kind{
	"Observation": categoryOf("http://terminology.hl7.org/CodeSystem/observation-category|",
		"vital-signs", "Vital signs", "laboratory", "Laboratory results", "social-history", "Social history", "imaging", "Imaging",
		"survey", "Questionnaires and scores", "exam", "Examinations", "procedure", "Procedures", "therapy", "Therapy", "activity", "Activity"),
	"Condition": append(categoryOf("http://terminology.hl7.org/CodeSystem/condition-category|",
		"problem-list-item", "Problem list", "encounter-diagnosis", "Diagnoses of visits"),
		categoryOf("http://hl7.org/fhir/us/core/CodeSystem/condition-category|", "health-concern", "Health concerns")...),
}

func categoryOf(system string, codesAndNames ...string) (out []kind) {
	for i := 0; i+1 < len(codesAndNames); i += 2 {
		out = append(out, kind{codesAndNames[i], codesAndNames[i+1], system + codesAndNames[i]})
	}
	return out
}

// offers are the scopes in the order of the page.
func offers(scopes []string) (out []offer) {
	for _, text := range scopes {
		if o := offerOf(text); !slices.ContainsFunc(out, func(have offer) bool { return have.Scope == text }) {
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(a, b offer) int { return slices.Index(groups, a.Group) - slices.Index(groups, b.Group) })
	return out
}

func offerOf(text string) offer {
	s, err := smart.Parse(text)
	if err != nil {
		return contextOffer(text)
	}
	o := offer{Scope: text, Group: groupUser, Changes: strings.ContainsAny(s.Letters, "cud")}
	if s.Level == smart.Patient {
		o.Group = groupRecord
	}
	o.Title, o.Detail = typeName(s.Type), does(s.Letters)
	if s.Query != "" {
		o.Detail += ", only where " + condition(s.Query)
	}
	reading := s
	reading.Letters = only(s.Letters, "rs")
	if o.Changes && reading.Letters != "" {
		o.Read = reading.String()
	}
	if reading.Letters != "" && s.Query == "" {
		for _, k := range categories[s.Type] {
			part := reading
			part.Query = "category=" + k.Scope
			o.Kinds = append(o.Kinds, kind{k.Code, k.Name, part.String()})
		}
	}
	return o
}

func only(letters, of string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(of, r) {
			return r
		}
		return -1
	}, letters)
}

// chosen reads a consent form. It is false when the form holds anything that the
// page did not offer: a scope that was not asked for has no name here.
func chosen(all []offer, form url.Values) (granted []string, ok bool) {
	known := map[string]bool{"csrf": true, "form": true, "step": true, "answer": true}
	for i, o := range all {
		n := strconv.Itoa(i)
		known["s"+n], known["x"+n], known["k"+n] = true, true, true
		picked, fine := o.picked(form["x"+n], form["k"+n])
		if !fine {
			return nil, false
		}
		switch given := form["s"+n]; {
		case len(given) == 0:
		case len(given) == 1 && given[0] == "on":
			granted = append(granted, picked...)
		default:
			return nil, false
		}
	}
	for name := range form {
		if !known[name] {
			return nil, false
		}
	}
	return granted, true
}

// picked is what is given of one scope.
func (o offer) picked(extent, kinds []string) (scopes []string, ok bool) {
	for _, code := range kinds {
		i := slices.IndexFunc(o.Kinds, func(k kind) bool { return k.Code == code })
		if i < 0 {
			return nil, false
		}
		scopes = append(scopes, o.Kinds[i].Scope)
	}
	switch {
	case len(extent) == 0 || extent[0] == "all":
		return []string{o.Scope}, len(extent) < 2
	case len(extent) > 1:
		return nil, false
	case extent[0] == "read" && o.Read != "":
		return []string{o.Read}, true
	case extent[0] == "some" && len(o.Kinds) > 0:
		return scopes, true
	}
	return nil, false
}

// consentView is what the consent page shows.
type consentView struct {
	*asking
	Form   string
	Person person // whose record; without an id: of nobody in particular
	Offers []offer
	Host   string // where the app runs
	Writes bool
	Kept   string // for how long the answer is remembered; empty: not at all
}

// consent shows what the app asks for, unless that was allowed before.
func (q *asking) consent(patient string, who person) (*oauth.Decision, error) {
	claims, err := q.claimsFor(patient, q.asked.Scopes)
	if err != nil {
		return nil, q.noPatient()
	}
	d, err := q.recall(claims)
	if err != nil {
		q.down(q.w, q.r, err)
		return nil, nil
	}
	if d != nil {
		return d, nil
	}
	c := consentView{asking: q, Form: q.prove(patient, claims.Scopes), Person: who, Offers: offers(claims.Scopes)}
	c.Kept = long(q.asked.Memory.Lifetime())
	c.Writes = slices.ContainsFunc(c.Offers, func(o offer) bool { return o.Changes })
	if u, err := url.Parse(q.r.URL.Query().Get("redirect_uri")); err == nil {
		c.Host = u.Host
	}
	q.page(http.StatusOK, chrome{Title: "Allow " + q.asked.Client.Name + "?", Wide: true}, q.app, consentPage(c))
	return nil, nil
}

// noPatient says that there is nobody for whom the app can be used.
func (q *asking) noPatient() error {
	q.page(http.StatusForbidden, chrome{Title: "No patient is available"}, q.app, noPatientPage(q))
	return nil
}
