package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/fhir"
)

// pagesClient is in whose name the pages search. Ids that begin with fieldseal are
// never those of an app.
const pagesClient = "fieldseal-pages"

// perPage is how many patients a page of the picker lists.
const perPage = "10"

// maxFindBytes bounds what is typed into the picker.
const maxFindBytes = 100

// person is a patient as the user may see one.
type person struct{ ID, Name, Born, Sex string }

// found is a page of the picker.
type found struct {
	Asked  bool
	Name   string
	Born   string
	People []person
	More   string // sealed position of the next page
	Error  string
}

// picker shows the search for a patient.
func (q *asking) picker(f found) error {
	status := http.StatusOK
	if f.Error != "" {
		status = http.StatusUnprocessableEntity
	}
	q.page(status, chrome{Title: "Choose a patient", Wide: true}, q.app, pickerPage(q, f))
	return nil
}

// choose shows those for whom an account without patients of its own may act.
func (q *asking) choose(own []account.Context) error {
	if len(own) == 0 {
		return q.noPatient()
	}
	var f found
	for _, c := range own {
		who, err := q.look(c.Patient)
		if err != nil && !errors.Is(err, ErrDenied) {
			q.down(q.w, q.r, err)
			return nil
		}
		if who.Name == "" {
			who.Name = "Somebody whose name you may not see"
		}
		if c.Own {
			who.Name += " (you)"
		}
		who.ID = c.Patient
		f.People = append(f.People, who)
	}
	q.page(http.StatusOK, chrome{Title: "Whose record?", Wide: true}, q.app, choosePage(q, f))
	return nil
}

// find answers the picker's search. What was typed stands in the form and in the
// audit trail, not in an address.
func (q *asking) find() (*oauth.Decision, error) {
	if _, search := q.rec.Contexts(q.Now()); !search {
		return q.begin()
	}
	f := found{Asked: true, Name: strings.TrimSpace(q.form("who")), Born: strings.TrimSpace(q.form("born"))}
	query := url.Values{"_count": {perPage}, "_elements": {"name,birthDate,gender"}}
	if f.Name != "" {
		query.Set("name", escape(f.Name))
	}
	if f.Born != "" {
		query.Set("birthdate", f.Born)
		if _, err := time.Parse(time.DateOnly, f.Born); err != nil {
			f.Error = "Write the birth date as year-month-day, like 1985-04-12."
		}
	}
	if f.Name != "" || f.Born != "" {
		query.Set("_sort", "family")
	}
	if len(f.Name) > maxFindBytes {
		f.Error = "The name is too long."
	}
	if more := q.form("more"); more != "" {
		query = url.Values{"_page": {more}}
	}
	if f.Error != "" {
		return nil, q.picker(f)
	}
	var err error
	f.People, f.More, err = q.search("", query)
	switch {
	case errors.Is(err, ErrDenied):
		return nil, q.noPatient()
	case errors.Is(err, ErrQuery):
		f.Error = "This search could not be carried out. Search again."
	case err != nil:
		q.down(q.w, q.r, err)
		return nil, nil
	}
	return nil, q.picker(f)
}

// escape keeps a comma from being read as an alternative (R4 search.html#escaping).
func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, ",", `\,`, "|", `\|`, "$", `\$`).Replace(text)
}

// pick goes on with a patient that the user may see, whoever named it.
func (q *asking) pick(id string) (*oauth.Decision, error) {
	who, err := q.look(id)
	if errors.Is(err, ErrDenied) || errors.Is(err, ErrQuery) {
		return nil, q.noPatient()
	}
	if err != nil {
		q.down(q.w, q.r, err)
		return nil, nil
	}
	return q.consent(id, who)
}

// look finds one patient as the user, or ErrDenied. An account that acts for
// certain patients looks at those only; whether it may read their names is for
// the policy to say.
func (q *asking) look(id string) (who person, err error) {
	if !fhir.ValidID(id) {
		return who, ErrDenied
	}
	if _, err := q.claimsFor(id, q.asked.Scopes); err != nil {
		return who, ErrDenied
	}
	people, _, err := q.search(id, url.Values{"_id": {id}, "_elements": {"name,birthDate,gender"}})
	own, search := q.rec.Contexts(q.Now())
	acts := !search && slices.ContainsFunc(own, func(c account.Context) bool { return c.Patient == id })
	if acts && (errors.Is(err, ErrDenied) || err == nil && len(people) != 1) {
		return person{ID: id}, nil // a delegation without the right to read the name
	}
	if err == nil && (len(people) != 1 || people[0].ID != id) {
		err = ErrDenied
	}
	if err != nil {
		return who, err
	}
	return people[0], nil
}
