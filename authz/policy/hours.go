package policy

import (
	"errors"
	"strings"
	"time"
	_ "time/tzdata" // the container image has no time zones
)

var hours = predicate{
	name: "hours",
	doc:  "the time of day lies in the interval, in the server's time zone or in the one that is named; one that ends before it begins goes over midnight: hours(07:00-19:00@Europe/Berlin)",
	with: func(argument string) (func(input) bool, error) {
		times, name, named := strings.Cut(argument, "@")
		where := time.Local
		if named {
			var err error
			if where, err = time.LoadLocation(name); err != nil || name == "" {
				return nil, errors.New("the time zone is unknown")
			}
		}
		from, until, _ := strings.Cut(times, "-")
		first, err1 := time.Parse("15:04", from)
		last, err2 := time.Parse("15:04", until)
		if err := errors.Join(err1, err2); err != nil || first.Equal(last) {
			return nil, errors.New("an interval is written HH:MM-HH:MM")
		}
		a, b := minuteOfDay(first), minuteOfDay(last)
		return func(in input) bool {
			now := minuteOfDay(in.now().In(where))
			if a < b {
				return a <= now && now < b
			}
			return a <= now || now < b
		}, nil
	},
}

func minuteOfDay(t time.Time) int { return t.Hour()*60 + t.Minute() }
