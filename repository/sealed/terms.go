package sealed

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fieldseal/fieldseal/crypto/blind"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/compartment"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// tokenList collects the tokens of one resource.
type tokenList struct {
	policy    *IndexPolicy
	storageID func(resourceType, id string) repository.StorageID

	typ     string
	makers  []maker
	list    []repository.Token
	current []*blind.Tokenizer // of the parameter under way
	code    string
}

// maker makes tokens of one reach.
type maker struct {
	tokens *blind.Tokenizer
	reach  reach
}

// resourceTokens are the tokens of a resource, sorted: of its values, and of
// the patients' compartments that it lies in. keys are those of its owner.
func (v *Vault) resourceTokens(r *fhir.Resource, keys *keyring.OwnerKeys, patients []field.StorageID) []repository.Token {
	l := &tokenList{policy: v.policy, storageID: v.ring.StorageID, typ: r.Type(), list: make([]repository.Token, 0, 48)}
	write := v.index.Load().write
	l.makers = append(l.makers, maker{write, population})
	if kind, _ := v.comp.Owner(r); kind == compartment.Patient {
		l.makers = append(l.makers, maker{v.tokenizer(keys.IndexKey(), v.ring.Tenant()), patient})
	}
	l.values(v.catalog, r)
	for _, id := range patients {
		l.list = append(l.list, repository.Token(write.TokenBytes(l.typ, memberParameter, blind.Member, id[:])))
	}
	slices.Sort(l.list)
	return slices.Compact(l.list)
}

// values adds the tokens of every value. A covered parameter has those of the
// one that covers it.
func (l *tokenList) values(catalog *search.Catalog, r *fhir.Resource) {
	catalog.ExtractAll(r, func(p *search.Parameter, value *search.Value) {
		if p.Covering == "" {
			l.value(p, value)
		}
	})
}

// memberParameter stands for the compartment in tokens; no parameter of FHIR
// has a colon.
const memberParameter = "compartment:Patient"

// value adds the tokens of one value.
func (l *tokenList) value(p *search.Parameter, value *search.Value) {
	reach := l.policy.reach[p]
	l.current, l.code = l.current[:0], p.Code
	for _, m := range l.makers {
		if reach&m.reach != 0 {
			l.current = append(l.current, m.tokens)
		}
	}
	if len(l.current) == 0 {
		return
	}
	switch value.Kind {
	case search.TokenKind:
		l.tokenValue(p, value)
	case search.String:
		l.stringValue(p, value)
	case search.ReferenceKind:
		l.reference(value)
	case search.URI:
		l.uri(value.Text)
	case search.Date:
		l.date(value)
	case search.Number:
		l.number(value, blind.NumberBucket)
	case search.QuantityKind:
		l.quantity(value)
	}
}

func (l *tokenList) add(kind blind.Kind, parts ...string) {
	for _, t := range l.current {
		l.list = append(l.list, repository.Token(t.Token(l.typ, l.code, kind, parts...)))
	}
}

// tokenValue: codes are folded, because most code systems are case insensitive.
func (l *tokenList) tokenValue(p *search.Parameter, v *search.Value) {
	code := search.FoldCode(v.Code)
	if code != "" {
		l.add(blind.TokenCode, code)
		if v.System != "" && !v.ImpliedSystem {
			l.add(blind.TokenSystemCode, v.System, code)
		}
	}
	if !p.HoldsType("Identifier") {
		return
	}
	if v.System != "" {
		l.add(blind.TokenSystem, v.System)
	}
	for _, t := range v.OfType {
		l.add(blind.TokenOfType, t.System, t.Code, v.Code)
	}
}

func (l *tokenList) stringValue(p *search.Parameter, v *search.Value) {
	l.add(blind.StringExact, v.Text)
	folded := search.Fold(v.Text)
	for _, n := range l.policy.prefixesOf(p) {
		if prefix, ok := firstLetters(folded, n); ok {
			l.add(blind.StringPrefix, prefix)
		}
	}
}

// firstLetters returns the first n letters; false when there are fewer.
func firstLetters(s string, n int) (string, bool) {
	end := 0
	for range n {
		_, size := utf8.DecodeRuneInString(s[end:])
		if size == 0 {
			return "", false
		}
		end += size
	}
	return s[:end], true
}

func (l *tokenList) reference(v *search.Value) {
	if v.ID != "" {
		id := l.storageID(v.Type, v.ID)
		for _, t := range l.current {
			l.list = append(l.list, repository.Token(t.TokenBytes(l.typ, l.code, blind.ReferenceKey, []byte(v.Type), id[:])))
		}
	}
	if v.URL != "" {
		l.add(blind.ReferenceURL, v.URL)
		if url, _, versioned := strings.Cut(v.URL, "|"); versioned {
			l.add(blind.ReferenceURL, url)
		}
	}
	if i := v.Identifier; i != nil && i.Code != "" {
		l.add(blind.ReferenceValue, i.Code)
		if i.System != "" {
			l.add(blind.ReferenceIdentifier, i.System, i.Code)
		}
	}
}

func (l *tokenList) uri(text string) {
	l.add(blind.URIExact, text)
	if url, _, versioned := strings.Cut(text, "|"); versioned {
		l.add(blind.URIExact, url)
	}
	if trimmed := strings.TrimRight(text, "/"); trimmed != text {
		l.add(blind.URIExact, trimmed)
	}
	segments(text, func(prefix string) { l.add(blind.URIPrefix, prefix) })
}

// segments visits the beginnings of a URL that end before a slash, and the
// whole: what :below may name. A URN has none.
func segments(text string, visit func(string)) {
	if strings.HasPrefix(text, "urn:") {
		return
	}
	for i := 1; i < len(text); i++ {
		if text[i] == '/' && text[i-1] != '/' {
			visit(text[:i])
		}
	}
	visit(strings.TrimRight(text, "/"))
}

// date: an interval within one day has one set of nodes, others one for each
// end.
func (l *tokenList) date(v *search.Value) {
	first, last := dayOf(v.From), dayOf(lastMoment(v.Until))
	if first == last {
		first.nodes(func(n string) { l.add(blind.DatePoint, n) })
		return
	}
	first.nodes(func(n string) { l.add(blind.DateLow, n) })
	last.nodes(func(n string) { l.add(blind.DateHigh, n) })
}

// lastMoment is the last microsecond before the end of an interval.
func lastMoment(until int64) int64 {
	if until == search.EndOfTime || until == search.Beginning {
		return until
	}
	return until - 1
}

// interval marks ranges of numbers: there are few, and every query finds them.
const interval = "interval"

func (l *tokenList) number(v *search.Value, kind blind.Kind, unit ...string) {
	if v.Low == nil || v.High == nil || v.Low.Cmp(v.High) != 0 {
		l.add(kind, append(unit, interval)...)
		return
	}
	buckets(v.Low, func(b string) { l.add(kind, append(unit, b)...) })
}

// quantity: the number as it is written, for queries without a unit or with a
// unit of any system, and in the base unit where there is a system.
func (l *tokenList) quantity(v *search.Value) {
	l.number(v, blind.NumberBucket)
	if v.System == "" || v.Code == "" {
		return
	}
	if low, high, unit, ok := search.CanonicalEnds(v); ok {
		base := search.Value{Low: low, High: high}
		l.number(&base, blind.QuantityBucket, unit)
		return
	}
	l.number(v, blind.QuantityBucket, v.System+"|"+v.Code)
}
