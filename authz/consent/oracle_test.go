package consent

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// The oracle knows nothing of compiled consents. It reads the JSON of a Consent
// each time and tries every world: each provision with something that cannot be
// understood either applies or does not. A request is permitted when it is in
// all of them.

type object = map[string]any

// access is a question in plain words.
type access struct {
	action, purpose string
	own             bool
	actors          []string // references
	resource        string   // reference
	labels          []string // system|code
	codes           []string // system|code; nil: cannot be told
	from, until     string   // dates
}

var clock = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func oracle(consents [][]byte, a access, optIn []string) (permitted, ok bool) {
	if a.own || a.purpose == "PUBHLTH" {
		return true, true
	}
	if a.purpose == "BTG" && !slices.ContainsFunc(a.labels, func(l string) bool {
		return strings.HasSuffix(l, "Confidentiality|V") || strings.Contains(l, "ActCode|")
	}) {
		return true, true
	}
	parsed := make([]object, len(consents))
	for i, c := range consents {
		if json.Unmarshal(c, &parsed[i]) != nil {
			panic("no JSON")
		}
	}
	worlds := 1
	for n := 0; n < worlds; n++ {
		w := world{bits: n, access: a}
		permits, denies := false, false
		for _, r := range parsed {
			switch w.consent(r) {
			case "permit":
				permits = true
			case "deny":
				denies = true
			}
		}
		if w.used > 7 { // too many worlds
			return false, false
		}
		worlds = max(worlds, 1<<w.used)
		base := !slices.Contains(optIn, a.purpose)
		if denies || !permits && !base {
			return false, true
		}
	}
	return true, true
}

type world struct {
	bits, used int
	access
}

// guess takes the next choice of this world.
func (w *world) guess() bool {
	w.used++
	return w.bits>>(w.used-1)&1 == 1
}

func list(v any) (objects []object) {
	items, _ := v.([]any)
	for _, i := range items {
		objects = append(objects, i.(object))
	}
	return objects
}

func pair(v object) string {
	s, _ := v["system"].(string)
	c, _ := v["code"].(string)
	return s + "|" + c
}

func (w *world) consent(r object) string {
	scope := false
	if s, ok := r["scope"].(object); ok {
		for _, c := range list(s["coding"]) {
			scope = scope || pair(c) == "http://terminology.hl7.org/CodeSystem/consentscope|patient-privacy"
		}
	}
	if r["status"] != "active" || !scope {
		return ""
	}
	base := "deny"
	if rule, ok := r["policyRule"].(object); ok {
		for _, c := range list(rule["coding"]) {
			if pair(c) == "http://terminology.hl7.org/CodeSystem/v3-ActCode|OPTIN" {
				base = "permit"
			}
		}
	}
	p, ok := r["provision"].(object)
	if !ok {
		return base
	}
	return w.provision(p, base, 0)
}

// provision: what it says in this world. The choices of all provisions are
// taken whether or not they matter, so that they stay the same.
func (w *world) provision(p object, base string, depth int) string {
	effect, _ := p["type"].(string)
	if effect == "" {
		effect = base
	}
	applies, vague := true, depth > 3
	if depth <= 3 {
		applies, vague = w.elements(p, effect)
	}
	if vague {
		applies = w.guess() && applies
	}
	if depth > 3 {
		effect = "deny"
		p = object{}
	}
	inner := ""
	for _, e := range list(p["provision"]) {
		switch w.provision(e, "deny", depth+1) {
		case "deny":
			inner = "deny"
		case "permit":
			if inner == "" {
				inner = "permit"
			}
		}
	}
	switch {
	case !applies:
		return ""
	case inner != "":
		return inner
	}
	return effect
}

// elements: whether all elements match that can be told, and whether one cannot.
func (w *world) elements(p object, effect string) (applies, vague bool) {
	applies = true
	for name, v := range p {
		match, unsure := false, false
		switch name {
		case "type", "provision":
			continue
		case "period":
			match = within(v.(object), clock)
		case "dataPeriod":
			match, unsure = w.dataPeriod(v.(object), effect)
		case "actor":
			match, unsure = w.actors_(list(v))
		case "action":
			match, unsure = w.actions(list(v))
		case "purpose":
			match, unsure = w.purposes(list(v))
		case "securityLabel":
			match = w.securityLabels(list(v), effect)
		case "class":
			match, unsure = w.classes(list(v))
		case "code":
			match, unsure = w.codes_(list(v))
		case "data":
			match, unsure = w.data(list(v))
		default:
			match, unsure = true, true
		}
		// An element of which one value matches needs no guess.
		if name != "modifierExtension" && match {
			unsure = false
		}
		applies = applies && (match || unsure)
		vague = vague || unsure
	}
	return applies, vague
}

func within(p object, t time.Time) bool {
	day := t.Format("2006-01-02")
	start, _ := p["start"].(string)
	end, _ := p["end"].(string)
	return (start == "" || start <= day) && (end == "" || day <= end)
}

func (w *world) dataPeriod(p object, effect string) (match, unsure bool) {
	if w.from == "" {
		return false, true
	}
	start, _ := p["start"].(string)
	end, _ := p["end"].(string)
	if end == "" {
		end = "9999-12-31"
	}
	if effect == "permit" {
		return w.from >= start && w.until <= end, false
	}
	return w.from <= end && w.until >= start, false
}

func (w *world) actors_(as []object) (match, unsure bool) {
	for _, a := range as {
		role := ""
		for _, c := range list(a["role"].(object)["coding"]) {
			role = pair(c)
		}
		ref, _ := a["reference"].(object)["reference"].(string)
		known := (role == "http://terminology.hl7.org/CodeSystem/v3-ParticipationType|PRCP" || role == "http://terminology.hl7.org/CodeSystem/v3-ParticipationType|IRCP") &&
			ref != "" && !strings.HasPrefix(ref, "Group/") && !strings.HasPrefix(ref, "http") && !strings.HasPrefix(ref, "Device/")
		match = match || known && slices.Contains(w.actors, ref)
		unsure = unsure || !known
	}
	return match, unsure
}

func (w *world) actions(as []object) (match, unsure bool) {
	does := map[string]string{"read": "access use disclose", "search": "access use disclose", "create": "collect", "update": "correct", "delete": "correct"}[w.action]
	for _, a := range as {
		for _, c := range list(a["coding"]) {
			code, ok := strings.CutPrefix(pair(c), "http://terminology.hl7.org/CodeSystem/consentaction|")
			known := ok && strings.Contains(" collect access use disclose correct ", " "+code+" ")
			match = match || known && strings.Contains(" "+does+" ", " "+code+" ")
			unsure = unsure || !known
		}
	}
	return match, unsure
}

func (w *world) purposes(cs []object) (match, unsure bool) {
	is := map[string]string{"ETREAT": "ETREAT TREAT", "BTG": "BTG ETREAT TREAT", "HSYSADMIN": "HSYSADMIN HOPERAT"}[w.purpose]
	if is == "" {
		is = w.purpose
	}
	for _, c := range cs {
		code, ok := strings.CutPrefix(pair(c), "http://terminology.hl7.org/CodeSystem/v3-ActReason|")
		known := ok && strings.Contains(" TREAT ETREAT BTG HPAYMT HOPERAT HSYSADMIN HRESCH HMARKT PATRQT PUBHLTH ", " "+code+" ")
		match = match || known && strings.Contains(" "+is+" ", " "+code+" ")
		unsure = unsure || !known
	}
	return match, unsure
}

func (w *world) securityLabels(cs []object, effect string) bool {
	const levels = "ULMNRV"
	has := -1
	for _, l := range w.labels {
		if code, ok := strings.CutPrefix(l, "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|"); ok {
			has = max(has, strings.Index(levels, code))
		}
	}
	if has < 0 {
		has = strings.Index(levels, "N")
	}
	for _, c := range cs {
		if code, ok := strings.CutPrefix(pair(c), "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|"); ok {
			asked := strings.Index(levels, code)
			if effect == "permit" && has <= asked || effect == "deny" && has >= asked {
				return true
			}
		} else if slices.Contains(w.labels, pair(c)) {
			return true
		}
	}
	return false
}

func (w *world) classes(cs []object) (match, unsure bool) {
	typ, _, _ := strings.Cut(w.resource, "/")
	for _, c := range cs {
		code, ok := strings.CutPrefix(pair(c), "http://hl7.org/fhir/resource-types|")
		match = match || ok && code == typ
		unsure = unsure || !ok
	}
	return match, unsure
}

func (w *world) codes_(cs []object) (match, unsure bool) {
	unsure = w.codes == nil
	for _, c := range cs {
		codings := list(c["coding"])
		unsure = unsure || len(codings) == 0
		for _, k := range codings {
			match = match || slices.Contains(w.codes, pair(k))
		}
	}
	return match, unsure
}

func (w *world) data(ds []object) (match, unsure bool) {
	for _, d := range ds {
		ref, _ := d["reference"].(object)["reference"].(string)
		match = match || ref == w.resource
		unsure = unsure || d["meaning"] != "instance"
	}
	return match, unsure
}
