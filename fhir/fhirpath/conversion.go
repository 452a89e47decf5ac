package fhirpath

import (
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// conversions are the functions of N1 §5.5 but iif. Each to… returns nothing
// for what does not convert, and its convertsTo… tells whether it would.
var conversions = conversionTable(map[string]func(Item) Item{
	"Boolean":  toBoolean,
	"Integer":  toIntegerItem,
	"Decimal":  toDecimal,
	"String":   toString,
	"Date":     toDate,
	"DateTime": toDateTime,
	"Time":     toTime,
})

func conversionTable(to map[string]func(Item) Item) map[string]*function {
	table := map[string]*function{
		"toQuantity":         {max: 1, returns: ofAny, eval: toQuantity(false)},
		"convertsToQuantity": {max: 1, returns: ofSystem, eval: toQuantity(true)},
	}
	for name, convert := range to {
		table["to"+name] = &function{returns: ofSystem, eval: func(in *invocation, c Collection) (Collection, error) {
			item, ok, err := in.one(c)
			if err != nil || !ok {
				return nil, err
			}
			if v := convert(item); v != nil {
				return Collection{v}, nil
			}
			return nil, nil
		}}
		table["convertsTo"+name] = &function{returns: ofSystem, eval: func(in *invocation, c Collection) (Collection, error) {
			item, ok, err := in.one(c)
			if err != nil || !ok {
				return nil, err
			}
			return truth(convert(item) != nil), nil
		}}
	}
	return table
}

var booleanWords = map[string]Boolean{"true": true, "t": true, "yes": true, "y": true, "1": true, "1.0": true,
	"false": false, "f": false, "no": false, "n": false, "0": false, "0.0": false}

func toBoolean(item Item) Item {
	switch v := item.(type) {
	case Boolean:
		return v
	case String:
		if b, ok := booleanWords[strings.ToLower(string(v))]; ok {
			return b
		}
	case Integer, Decimal:
		d, _ := number(v)
		switch {
		case d.Sign() == 0:
			return Boolean(false)
		case d.Cmp(one) == 0:
			return Boolean(true)
		}
	}
	return nil
}

func toIntegerItem(item Item) Item {
	switch v := item.(type) {
	case Integer:
		return v
	case Boolean:
		return Integer(b2i(bool(v)))
	case String:
		if d, ok := plainNumber(string(v), false); ok {
			return toInteger(d)
		}
	}
	return nil
}

func toDecimal(item Item) Item {
	switch v := item.(type) {
	case Decimal:
		return v
	case Integer:
		return Decimal{apd.New(int64(v), 0)}
	case Boolean:
		return Decimal{apd.New(int64(b2i(bool(v)))*10, -1)}
	case String:
		if d, ok := plainNumber(string(v), true); ok {
			return Decimal{d}
		}
	}
	return nil
}

// plainNumber matches (\+|-)?\d+(\.\d+)? .
func plainNumber(s string, fraction bool) (*apd.Decimal, bool) {
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 {
		return nil, false
	}
	whole, rest, point := strings.Cut(digits, ".")
	if whole == "" || strings.Trim(whole+rest, "0123456789") != "" || point && (rest == "" || !fraction) {
		return nil, false
	}
	return parseNumber(s)
}

func toString(item Item) Item {
	switch v := item.(type) {
	case String:
		return v
	case Boolean:
		if v {
			return String("true")
		}
		return String("false")
	case Integer:
		return String(v.String())
	case Decimal:
		return String(v.String())
	case Quantity:
		return String(v.String())
	case Date:
		return String(v.String())
	case DateTime:
		return String(v.String())
	case Time:
		return String(v.String())
	}
	return nil
}

func toDate(item Item) Item {
	switch v := item.(type) {
	case Date:
		return v
	case DateTime:
		return v.date()
	case String:
		if t, hasT, ok := parseDateTime(string(v)); ok && !hasT {
			return Date{t}
		} else if ok {
			return DateTime{t}.date()
		}
	}
	return nil
}

// date is the part of years to days.
func (d DateTime) date() Date {
	return Date{temporal{year: d.year, month: d.month, day: d.day, precision: min(d.precision, toDay)}}
}

func toDateTime(item Item) Item {
	switch v := item.(type) {
	case DateTime:
		return v
	case Date:
		return DateTime(v)
	case String:
		if t, _, ok := parseDateTime(string(v)); ok {
			return DateTime{t}
		}
	}
	return nil
}

func toTime(item Item) Item {
	switch v := item.(type) {
	case Time:
		return v
	case String:
		if t, ok := parseTime(strings.TrimPrefix(string(v), "T")); ok {
			return Time{t}
		}
	}
	return nil
}

// toQuantity is toQuantity and convertsToQuantity with an optional unit to
// convert to (N1 §5.5.7).
func toQuantity(ask bool) func(*invocation, Collection) (Collection, error) {
	return func(in *invocation, c Collection) (Collection, error) {
		item, ok, err := in.one(c)
		if err != nil || !ok {
			return nil, err
		}
		unit, hasUnit, err := in.textArg(0)
		if err != nil {
			return nil, err
		}
		q, ok := quantityItem(item)
		if ok && hasUnit {
			q, ok = q.in(unit)
		}
		switch {
		case ask:
			return truth(ok), nil
		case !ok:
			return nil, nil
		}
		return Collection{q}, nil
	}
}

func quantityItem(item Item) (Quantity, bool) {
	switch v := item.(type) {
	case Quantity:
		return v, !v.foreign
	case Integer, Decimal:
		return asQuantity(v), true
	case Boolean:
		return Quantity{value: apd.New(int64(b2i(bool(v)))*10, -1), unit: "1"}, true
	case String:
		return parseQuantity(string(v))
	}
	return Quantity{}, false
}

// parseQuantity reads a number, and a unit in quotes or the word of a calendar
// duration.
func parseQuantity(s string) (Quantity, bool) {
	end := 0
	for end < len(s) && (isDigit(s[end]) || strings.IndexByte("+-.", s[end]) >= 0) {
		end++
	}
	d, ok := plainNumber(s[:end], true)
	if !ok {
		return Quantity{}, false
	}
	unit := strings.TrimLeft(s[end:], " \t\r\n")
	switch {
	case unit == "":
		return Quantity{value: d, unit: "1"}, len(s) == end
	case durations[unit] != "":
		return newQuantity(d, unit), true
	case len(unit) > 2 && unit[0] == '\'' && strings.IndexByte(unit[1:], '\'') == len(unit)-2:
		return newQuantity(d, unit[1:len(unit)-1]), true
	}
	return Quantity{}, false
}

// in converts to a unit, given as a UCUM code or a word of a calendar duration.
func (q Quantity) in(unit string) (Quantity, bool) {
	model := newQuantity(nil, unit)
	if q.unit == model.unit && q.calendar == model.calendar {
		return q, true
	}
	if q.calendar && model.calendar {
		factor := months
		if !q.long() || !model.long() {
			factor = millis
		}
		model.value = divide(times(q.value, factor[q.unit]), apd.New(factor[model.unit], 0))
		return model, model.value != nil
	}
	u, v := q.ucum(), model.ucum()
	if u == nil || v == nil || u.Base() != v.Base() || q.long() || model.long() {
		return Quantity{}, false
	}
	return q.to(u, model, v)
}
