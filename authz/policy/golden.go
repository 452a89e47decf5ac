package policy

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/crypto/field"
)

//go:embed golden.csv
var goldenText []byte

// Golden is one decision that every activated policy must give.
type Golden struct {
	Name    string
	Allowed bool
	account string
	roles   []string
	purpose string
	request authz.Request
	classes field.ClassSet
	facts   []string
}

// Broken is a golden decision that a policy does not give.
type Broken struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Goldens are the golden decisions that are built in (golden.csv).
func Goldens() ([]Golden, error) {
	r := csv.NewReader(bytes.NewReader(goldenText))
	r.Comment, r.TrimLeadingSpace = '#', true
	records, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading the golden decisions: %w", err)
	}
	out := make([]Golden, len(records))
	for i, f := range records {
		if out[i], err = golden(f); err != nil {
			return nil, fmt.Errorf("golden decision %q: %w", f[0], err)
		}
	}
	return out, nil
}

// golden reads one record: NAME, EXPECT, ACCOUNT, ROLES, PURPOSE, TYPE, ACTION,
// CLASS, FACTS.
func golden(f []string) (Golden, error) {
	if len(f) != 9 || (f[1] != "allow" && f[1] != "deny") || (f[2] != "user" && f[2] != "client") {
		return Golden{}, fmt.Errorf("is not NAME, allow|deny, user|client, ROLES, PURPOSE, TYPE, ACTION, CLASS, FACTS")
	}
	g := Golden{Name: f[0], Allowed: f[1] == "allow", account: f[2] + ":golden", purpose: f[4],
		request: authz.Request{Type: f[5], Action: authz.Action(f[6])}, classes: classSet(f[7])}
	if f[3] != "-" {
		g.roles = strings.Split(f[3], "+")
	}
	if f[8] != "-" {
		g.facts = strings.Split(f[8], "&")
	}
	for _, w := range g.facts {
		if !slices.Contains([]string{"own", "other", "foreign", "patient", "restricted"}, w) {
			return Golden{}, fmt.Errorf("unknown fact %q", w)
		}
	}
	return g, nil
}

// Identities of golden decisions: the patient in context, and another one.
var goldenOwn, goldenOther = field.StorageID{1}, field.StorageID{2}

func (g *Golden) claims() authz.SubjectClaims {
	c := authz.SubjectClaims{ID: g.account, Roles: g.roles, Purpose: g.purpose, Scopes: []string{"user/*.cruds", AdminScope}}
	if strings.HasPrefix(g.account, clientPrefix) {
		c.Scopes = []string{"system/*.cruds", AdminScope}
	}
	if slices.Contains(g.facts, "patient") {
		c.Patient, c.PatientKey = "golden", goldenOwn
	}
	return c
}

// resource are the facts of the resource that is asked for.
func (g *Golden) resource() authz.Facts {
	var f authz.Facts
	for _, w := range g.facts {
		switch w {
		case "own":
			f.Patients, f.Owner = append(f.Patients, goldenOwn), goldenOwn
		case "other":
			f.Patients, f.Owner = append(f.Patients, goldenOther), goldenOther
		case "foreign":
			f.Orgs = append(f.Orgs, goldenOther)
		case "restricted":
			f.Security = append(f.Security, field.Label{System: label.Confidentiality, Code: "R"})
		}
	}
	return f
}

// Broken asks every golden decision and returns those that the policy answers
// otherwise. An allowance for a role that the policy does not have is not
// asked: there is nobody to allow.
func (d *Decider) Broken() ([]Broken, error) {
	goldens, err := Goldens()
	if err != nil {
		return nil, err
	}
	var out []Broken
	for i := range goldens {
		g := &goldens[i]
		if g.Allowed && slices.ContainsFunc(g.roles, func(r string) bool { return d.doc.roles[r] == "" }) {
			continue
		}
		s := suppose(g.claims())
		visible := d.compile(&s, g.request, featuresOf(&s)).program.Mask(s, g.resource())
		switch {
		case g.Allowed && !visible.Contains(g.classes):
			out = append(out, Broken{g.Name, fmt.Sprintf("%v of %v is denied", g.classes&^visible, g.classes)})
		case !g.Allowed && visible&g.classes != 0:
			out = append(out, Broken{g.Name, fmt.Sprintf("%v is allowed", visible&g.classes)})
		}
	}
	return out, nil
}
