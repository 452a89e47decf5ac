package pages

import (
	"iter"
	"net/url"
	"strings"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/fhir"
)

// searchScopes are what the pages search with: what the user may see, and what
// is in the compartment of the patient that an account acts for.
var searchScopes = []string{"user/Patient.rs", "patient/Patient.rs"}

// search runs a search of Patient as the user, in the context of a patient when
// the account acts for certain ones only.
func (q *asking) search(patient string, query url.Values) (people []person, more string, err error) {
	s := account.Session{Client: pagesClient, Scopes: searchScopes, AMR: q.session.AMR, AuthTime: q.session.AuthTime}
	if _, all := q.rec.Contexts(q.Now()); !all {
		s.Patient = patient
	}
	claims, err := q.Pages.claims(q.rec, s)
	if err != nil {
		return nil, "", ErrDenied
	}
	body, err := q.Patients.Search(q.r.Context(), claims, q.peer, query.Encode())
	if err != nil {
		return nil, "", err
	}
	bundle, err := fhir.Parse(body, fhir.Limits{MaxBytes: len(body), MaxDepth: fhir.DefaultLimits.MaxDepth})
	if err != nil {
		return nil, "", err
	}
	for entry := range items(bundle.Root().Member("entry")) {
		if r := entry.Member("resource"); r.Member("resourceType").Text() == "Patient" {
			people = append(people, personOf(r))
		}
	}
	return people, nextPage(bundle), nil
}

// items are those of an array, none when it is not there.
func items(n *fhir.Node) iter.Seq[*fhir.Node] {
	return func(yield func(*fhir.Node) bool) {
		for i := 0; n != nil && i < n.Len() && yield(n.At(i)); i++ {
		}
	}
}

// nextPage is the sealed position of the link to the next page.
func nextPage(bundle *fhir.Resource) string {
	for link := range items(bundle.Root().Member("link")) {
		if link.Member("relation").Text() != "next" {
			continue
		}
		if u, err := url.Parse(link.Member("url").Text()); err == nil {
			return u.Query().Get("_page")
		}
	}
	return ""
}

// personOf is what a picker shows of a Patient: what the answer holds of it.
func personOf(r *fhir.Node) person {
	p := person{ID: r.Member("id").Text(), Name: humanName(r.Member("name")), Born: r.Member("birthDate").Text(), Sex: r.Member("gender").Text()}
	if p.Name == "" {
		p.Name = "Name not shown"
	}
	return p
}

// humanName is the usual or official name, else the first (R4
// datatypes.html#HumanName).
func humanName(names *fhir.Node) (best string) {
	rank := 0
	for n := range items(names) {
		r := map[string]int{"usual": 3, "official": 2, "": 1}[n.Member("use").Text()]
		if text := nameText(n); text != "" && (best == "" || r > rank) {
			best, rank = text, r
		}
	}
	return best
}

func nameText(n *fhir.Node) string {
	if text := n.Member("text").Text(); text != "" {
		return text
	}
	var parts []string
	for _, part := range []string{"prefix", "given"} {
		for item := range items(n.Member(part)) {
			if text := item.Text(); text != "" {
				parts = append(parts, text)
			}
		}
	}
	if family := n.Member("family").Text(); family != "" {
		parts = append(parts, family)
	}
	return strings.Join(parts, " ")
}
