package testscript

import (
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// compare applies an operator (R4 valueset-assert-operator-codes) to what was
// found and what is wanted. Several found values satisfy it when one does; a
// negative operator wants that of all.
func compare(operator string, found []string, wanted string) error {
	switch operator {
	case "empty":
		if strings.Join(found, "") != "" {
			return differ("is not empty")
		}
		return nil
	case "notEmpty":
		if strings.Join(found, "") == "" {
			return differ("is empty")
		}
		return nil
	}
	holds, known := operators[operator]
	if !known {
		return differ("the operator %q is not known", operator)
	}
	negative := strings.HasPrefix(operator, "not")
	satisfied := negative
	for _, f := range found {
		if ok := holds(f, wanted); ok != negative {
			satisfied = ok
		}
	}
	if !satisfied {
		if len(found) == 0 {
			return differ("there is no value; wanted %s %q", orEquals(operator), shorten(wanted))
		}
		return differ("is %q; wanted %s %q", shorten(strings.Join(found, ", ")), orEquals(operator), shorten(wanted))
	}
	return nil
}

func orEquals(operator string) string {
	if operator == "" {
		return "equals"
	}
	return operator
}

func shorten(text string) string {
	if len(text) > 120 {
		return text[:120] + "…"
	}
	return text
}

var operators = map[string]func(found, wanted string) bool{
	"":             equals,
	"equals":       equals,
	"notEquals":    func(f, w string) bool { return !equals(f, w) },
	"in":           in,
	"notIn":        func(f, w string) bool { return !in(f, w) },
	"contains":     strings.Contains,
	"notContains":  func(f, w string) bool { return !strings.Contains(f, w) },
	"greaterThan":  func(f, w string) bool { return order(f, w) > 0 },
	"lessThan":     func(f, w string) bool { return order(f, w) < 0 },
	"eval":         equals,
	"matchesRegex": matches, // of later versions of FHIR
}

func equals(found, wanted string) bool {
	return found == wanted || numbers(found, wanted) && order(found, wanted) == 0
}

func in(found, wanted string) bool {
	return slices.ContainsFunc(strings.Split(wanted, ","), func(w string) bool { return equals(found, strings.TrimSpace(w)) })
}

// order compares numbers as numbers and everything else, dates included, as
// text.
func order(a, b string) int {
	if !numbers(a, b) {
		return strings.Compare(a, b)
	}
	x, _ := new(big.Rat).SetString(a)
	y, _ := new(big.Rat).SetString(b)
	return x.Cmp(y)
}

// decimal is a number as FHIR writes it; big.Rat would read fractions and
// hexadecimal too.
var decimal = regexp.MustCompile(`^-?\d{1,40}(\.\d{1,40})?$`)

func numbers(a, b string) bool { return decimal.MatchString(a) && decimal.MatchString(b) }

func matches(found, wanted string) bool {
	re, err := regexp.Compile(wanted)
	return err == nil && re.MatchString(found)
}
