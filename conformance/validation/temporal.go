package validation

import "time"

// validDate matches YYYY, YYYY-MM or YYYY-MM-DD with a day of the calendar.
func validDate(s string) bool {
	switch len(s) {
	case 4, 7, 10:
		return dateLen(s) == len(s)
	}
	return false
}

// validDateTime matches a date, or a date and time with seconds and zone.
func validDateTime(s string) bool {
	return len(s) <= 10 && validDate(s) || validInstant(s)
}

// validInstant matches YYYY-MM-DDThh:mm:ss[.f…] and a zone.
func validInstant(s string) bool {
	if len(s) < len("2006-01-02T15:04:05Z") || dateLen(s) != 10 || s[10] != 'T' {
		return false
	}
	n := timeLen(s[11:])
	return n > 0 && validZone(s[11+n:])
}

// validTime matches hh:mm:ss[.f…]; 24:00 is not allowed, a leap second is.
func validTime(s string) bool { return s != "" && timeLen(s) == len(s) }

// dateLen is the length of the date at the start of s, at most 10; 0 when
// there is none.
func dateLen(s string) int {
	if len(s) < 4 {
		return 0
	}
	year, ok := number(s[:4])
	if !ok || year == 0 {
		return 0
	}
	if len(s) < 7 || s[4] != '-' {
		return 4
	}
	month, ok := number(s[5:7])
	if !ok || month < 1 || month > 12 {
		return 0
	}
	if len(s) < 10 || s[7] != '-' {
		return 7
	}
	day, ok := number(s[8:10])
	if !ok || day < 1 || day > daysIn(year, month) {
		return 0
	}
	return 10
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// timeLen is the length of the time at the start of s, 0 when there is none.
func timeLen(s string) int {
	if len(s) < 8 || s[2] != ':' || s[5] != ':' {
		return 0
	}
	h, ok1 := number(s[:2])
	m, ok2 := number(s[3:5])
	sec, ok3 := number(s[6:8])
	if !ok1 || !ok2 || !ok3 || h > 23 || m > 59 || sec > 60 {
		return 0
	}
	if len(s) == 8 || s[8] != '.' {
		return 8
	}
	n := 9
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	if n == 9 {
		return 0
	}
	return n
}

// validZone matches Z or ±hh:mm up to 14:00.
func validZone(s string) bool {
	if s == "Z" {
		return true
	}
	if len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return false
	}
	h, ok1 := number(s[1:3])
	m, ok2 := number(s[4:6])
	return ok1 && ok2 && m <= 59 && (h <= 13 || h == 14 && m == 0)
}

func number(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}
