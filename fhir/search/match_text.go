package search

import (
	"math"
	"strings"
)

// acceptsString compares a string (R4 search.html#string): by default the
// folded value equals or starts with the folded operand. A value is one part of
// a name or address, compared from its beginning: R4 does not look at later
// words of a part ("Berg" does not find "van den Berg"; :contains does).
func acceptsString(m Modifier, o *Operand, value string) bool {
	switch m {
	case ExactText:
		return value == o.Text
	case Contains:
		return strings.Contains(Fold(value), o.fold())
	}
	return strings.HasPrefix(Fold(value), o.fold())
}

// fold is the folded Text, which the parser has made already.
func (o *Operand) fold() string {
	if o.folded != "" {
		return o.folded
	}
	return Fold(o.Text)
}

// acceptsURI compares a URI, case sensitively and whole (R4 search.html#uri).
// :below finds what lies below the operand, :above what it lies below, both by
// whole path segments and itself included. A canonical without version finds
// every version (R4 references.html#canonical).
func acceptsURI(m Modifier, operand, value string) bool {
	switch m {
	case Below:
		return below(value, operand)
	case Above:
		return below(operand, value)
	}
	return sameCanonical(operand, value)
}

// below reports whether the URL a is b or lies below it.
func below(a, b string) bool {
	if strings.HasPrefix(a, "urn:") || strings.HasPrefix(b, "urn:") {
		return a == b
	}
	b = strings.TrimRight(b, "/")
	rest, ok := strings.CutPrefix(a, b)
	return ok && b != "" && (rest == "" || rest[0] == '/')
}

func sameCanonical(operand, value string) bool {
	if operand == value {
		return true
	}
	url, _, versioned := strings.Cut(value, "|")
	return versioned && operand == url
}

// acceptsReference compares a reference (R4 search.html#reference). An id alone
// means the types that the parameter may lead to.
func acceptsReference(p *Parameter, o *Operand, v *Value) bool {
	if o.URL != "" {
		return v.URL != "" && sameCanonical(o.URL, v.URL)
	}
	return v.ID == o.ID && (v.Type == o.Type || o.Type == "" && p.LeadsTo(v.Type))
}

// acceptsIdentifier compares the identifier of a reference, always case
// sensitively (R4 datatypes.html#Identifier).
func acceptsIdentifier(o *Operand, v *Value) bool {
	if v.Identifier == nil {
		return false
	}
	i := Value{System: v.Identifier.System, Code: v.Identifier.Code}
	return sameSystem(o, &i) && (o.Form == AnyValue || i.Code == o.Code)
}

// earthRadius is the mean radius in metres (IUGG).
const earthRadius = 6_371_008.8

// distance is the way along a great circle between two positions in degrees,
// in metres, by the haversine formula.
func distance(lat1, long1, lat2, long2 float64) float64 {
	const radian = math.Pi / 180
	sinLat, sinLong := math.Sin((lat2-lat1)*radian/2), math.Sin((long2-long1)*radian/2)
	h := sinLat*sinLat + math.Cos(lat1*radian)*math.Cos(lat2*radian)*sinLong*sinLong
	return 2 * earthRadius * math.Asin(math.Sqrt(min(1, h)))
}
