package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Override lets a policy break one golden decision, named and with a reason.
type Override struct {
	Golden string `json:"golden"`
	Reason string `json:"reason"`
}

// Review is New with everything that is asked of a policy before it may be
// activated: no fault, no broken promise, nobody locked out, every golden
// decision that no override names. The error tells all refusals with line and
// reason; warnings are rules without effect.
func Review(o Options, overrides []Override) (d *Decider, warnings Problems, err error) {
	d, err = New(o)
	if err != nil {
		return nil, nil, err
	}
	refused := d.lockedOut()
	broken, err := d.Broken()
	if err != nil {
		return nil, nil, err
	}
	goldens, err := Goldens()
	if err != nil {
		return nil, nil, err
	}
	overridden := map[string]bool{}
	for _, v := range overrides {
		switch {
		case !slices.ContainsFunc(goldens, func(g Golden) bool { return g.Name == v.Golden }):
			refused = append(refused, Problem{0, fmt.Sprintf("there is no golden decision %q to override", v.Golden)})
		case strings.TrimSpace(v.Reason) == "":
			refused = append(refused, Problem{0, fmt.Sprintf("overriding the golden decision %s needs a reason", v.Golden)})
		}
		overridden[v.Golden] = true
	}
	for _, b := range broken {
		if !overridden[b.Name] {
			refused = append(refused, Problem{0, fmt.Sprintf("breaks the golden decision %s: %s", b.Name, b.Reason)})
		}
	}
	if len(refused) > 0 {
		return nil, nil, refused
	}
	return d, d.Warnings(), nil
}
