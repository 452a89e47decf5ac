package fhirpath

import (
	"time"

	"github.com/cockroachdb/apd/v3"
)

// clocks are the functions of N1 §5.9.2, and those that take a date apart.
var clocks = map[string]*function{
	"now":              {returns: ofSystem, eval: now},
	"today":            {returns: ofSystem, eval: today},
	"timeOfDay":        {returns: ofSystem, eval: timeOfDay},
	"yearOf":           {returns: ofSystem, eval: component(toYear, 1)},
	"monthOf":          {returns: ofSystem, eval: component(toMonth, 1)},
	"dayOf":            {returns: ofSystem, eval: component(toDay, 1)},
	"hourOf":           {returns: ofSystem, eval: component(toHour, 1)},
	"minuteOf":         {returns: ofSystem, eval: component(toMinute, 1)},
	"secondOf":         {returns: ofSystem, eval: component(toSecond, int64(time.Second))},
	"millisecondOf":    {returns: ofSystem, eval: component(toSecond, int64(time.Millisecond))},
	"timezoneOffsetOf": {returns: ofSystem, eval: offsetOf},
	"dateOf":           {returns: ofSystem, eval: datePart},
	"timeOf":           {returns: ofSystem, eval: timePart},
}

// moment is the time of the evaluation to the millisecond.
func (in *invocation) moment() temporal {
	v := in.ev.now().Truncate(time.Millisecond)
	_, offset := v.Zone()
	t := temporal{precision: toSecond, digits: 3, zoned: true, offset: offset / 60}
	t.setTime(v)
	return t
}

func now(in *invocation, _ Collection) (Collection, error) {
	return Collection{DateTime{in.moment()}}, nil
}

func today(in *invocation, _ Collection) (Collection, error) {
	return Collection{DateTime{in.moment()}.date()}, nil
}

func timeOfDay(in *invocation, _ Collection) (Collection, error) {
	return Collection{DateTime{in.moment()}.time()}, nil
}

func (d DateTime) time() Time {
	return Time{temporal{hour: d.hour, minute: d.minute, second: d.second, nano: d.nano, digits: d.digits, precision: d.precision}}
}

// parts are the fields of the input; dates tells that it has years.
func (in *invocation) parts(c Collection) (t temporal, dates, ok bool, err error) {
	item, ok, err := in.one(c)
	if err != nil || !ok {
		return t, false, false, err
	}
	if t, ok := dateOf(item); ok {
		return t, true, true, nil
	}
	if v, ok := item.(Time); ok {
		return v.temporal, false, true, nil
	}
	return t, false, false, in.failed("a date or a time is expected")
}

// component is one field, empty when it is not known.
func component(p precision, unit int64) func(*invocation, Collection) (Collection, error) {
	return func(in *invocation, c Collection) (Collection, error) {
		t, dates, ok, err := in.parts(c)
		if err != nil || !ok {
			return nil, err
		}
		if t.precision < p || !dates && p < toHour || unit == int64(time.Millisecond) && t.digits == 0 {
			return nil, nil
		}
		v := t.part(p) / unit
		if unit == int64(time.Millisecond) {
			v %= 1000
		}
		return Collection{Integer(v)}, nil
	}
}

// offsetOf is the offset in hours.
func offsetOf(in *invocation, c Collection) (Collection, error) {
	t, _, ok, err := in.parts(c)
	if err != nil || !ok || !t.zoned {
		return nil, err
	}
	d := divide(apd.New(int64(t.offset), 0), apd.New(60, 0))
	if d != nil && d.Exponent == 0 {
		d = rounded(d, 1, apd.RoundHalfUp)
	}
	return result(d, false), nil
}

func datePart(in *invocation, c Collection) (Collection, error) {
	t, dates, ok, err := in.parts(c)
	if err != nil || !ok {
		return nil, err
	}
	if !dates {
		return nil, in.failed("a date is expected")
	}
	return Collection{DateTime{t}.date()}, nil
}

func timePart(in *invocation, c Collection) (Collection, error) {
	t, _, ok, err := in.parts(c)
	if err != nil || !ok || t.precision < toHour {
		return nil, err
	}
	return Collection{DateTime{t}.time()}, nil
}
