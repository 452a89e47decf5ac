package policy

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
)

const groupPrefix = "group:"

// edge is one line "g, MEMBER, OF".
type edge struct {
	line       int
	member, of string
}

// assignments are the g lines: which roles accounts, groups and other roles
// have. Every name carries its kind as a prefix and lines lead from accounts to
// groups to roles only, so that an account or a group that is called like a
// role does not become it (trap 4 of access.md).
type assignments struct {
	edges []edge
	// roles are all roles that a name leads to, the name itself included when
	// it is a role.
	roles    map[string][]string
	accounts map[string]*assigned
}

// assigned are the roles that the policy gives to one account.
type assigned struct {
	roles []string
	hash  uint64
}

var assignSeed = maphash.MakeSeed()

// assignment checks one g line.
func (p *reader) assignment(line int, f []string) {
	if len(f) != 2 {
		p.fault(line, "an assignment has 3 fields: g, MEMBER, OF; this has %d", len(f)+1)
		return
	}
	member, of := f[0], f[1]
	kind, name := split(member)
	above, _ := split(of)
	key := strings.Join([]string{"g", member, of}, "\x00")
	switch {
	case kind == "" || above == "":
		p.fault(line, "%q and %q must each be user:NAME, client:NAME, group:NAME or role:NAME", member, of)
	case above != groupPrefix && above != rolePrefix:
		p.fault(line, "%q: an account has no members; assign roles and groups only", of)
	case kind == rolePrefix && above == groupPrefix:
		p.fault(line, "%q: a role is assigned to groups, not the other way round", member)
	case above == rolePrefix && p.doc.roles[of] == "":
		p.fault(line, "unknown role %q", of)
	case kind == rolePrefix && p.doc.roles[member] == "":
		p.fault(line, "unknown role %q", member)
	case kind != rolePrefix && p.doc.roles[rolePrefix+name] != "":
		p.fault(line, "%q is named like the role %s%s: give the account or group another name", member, rolePrefix, name)
	case p.seen[key] != 0:
		p.fault(line, "repeats line %d: %s has %s", p.seen[key], member, of)
	default:
		p.seen[key] = line
		p.doc.assign.edges = append(p.doc.assign.edges, edge{line, member, of})
	}
}

// split returns the kind of a name with its colon, and the rest. A rest with a
// colon is no name: user:role:x must not read like a role.
func split(s string) (kind, name string) {
	kind, name, ok := strings.Cut(s, ":")
	if !ok || name == "" || strings.ContainsAny(name, ": \t|*") {
		return "", ""
	}
	switch kind += ":"; kind {
	case userPrefix, clientPrefix, groupPrefix, rolePrefix:
		return kind, name
	}
	return "", ""
}

// cycles refuses assignments that lead back to themselves, and closes the
// others.
func (p *reader) cycles() {
	a := &p.doc.assign
	w := walk{reader: p, up: map[string][]edge{}, state: map[string]walked{}}
	for _, e := range a.edges {
		w.up[e.member] = append(w.up[e.member], e)
	}
	a.roles, a.accounts = map[string][]string{}, map[string]*assigned{}
	for _, e := range a.edges {
		w.close(e.member, e.line)
		if kind, _ := split(e.member); kind == userPrefix || kind == clientPrefix {
			a.accounts[e.member] = &assigned{roles: a.roles[e.member], hash: maphash.String(assignSeed, e.member)}
		}
	}
}

// walk goes up from members to what they are members of.
type walk struct {
	*reader
	up    map[string][]edge
	state map[string]walked
}

type walked uint8

const (
	underway walked = iota + 1
	closed
)

// close notes all roles that a name leads to; line is the one that led here.
func (w *walk) close(name string, line int) {
	switch w.state[name] {
	case underway:
		w.fault(line, "%q leads back to itself", name)
		return
	case closed:
		return
	}
	w.state[name] = underway
	set := map[string]bool{}
	if strings.HasPrefix(name, rolePrefix) {
		set[name] = true
	}
	for _, e := range w.up[name] {
		w.close(e.of, e.line)
		for _, r := range w.doc.assign.roles[e.of] {
			set[r] = true
		}
	}
	w.doc.assign.roles[name], w.state[name] = slices.Sorted(maps.Keys(set)), closed
}

// of is what the policy assigns to an account, or nil.
func (a *assignments) of(account string) *assigned {
	if len(a.accounts) == 0 {
		return nil
	}
	return a.accounts[account]
}

// effective are all roles of an account that has the given roles and groups,
// each once.
func (a *assignments) effective(has []string, extra *assigned) []string {
	out := make([]string, 0, len(has)+4)
	add := func(roles ...string) {
		for _, r := range roles {
			if !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
	}
	for _, name := range has {
		if all, ok := a.roles[name]; ok {
			add(all...)
		} else if strings.HasPrefix(name, rolePrefix) {
			add(name)
		}
	}
	if extra != nil {
		add(extra.roles...)
	}
	return out
}

// Effective are all roles of an account: those it has, those of its groups,
// and what the policy assigns to it and to those.
func (d *Decider) Effective(account string, has []string) []string {
	return d.doc.assign.effective(has, d.doc.assign.of(account))
}

// Groups are the groups that the policy names, each with the accounts and groups
// that it makes members.
func (d *Decider) Groups() map[string][]string {
	out := map[string][]string{}
	for _, e := range d.doc.assign.edges {
		if strings.HasPrefix(e.of, groupPrefix) {
			out[e.of] = append(out[e.of], e.member)
		}
		if strings.HasPrefix(e.member, groupPrefix) && out[e.member] == nil {
			out[e.member] = []string{}
		}
	}
	return out
}
