package fhirpath

import "github.com/cockroachdb/apd/v3"

// Singleton evaluation of collections (N1 §4.5): ok is false for an empty
// collection; several items, or one of another type, are an error.

func singleton[T Item](c Collection, pos int, what string) (v T, ok bool, err error) {
	switch len(c) {
	case 0:
		return v, false, nil
	case 1:
		if v, ok = convert(c[0]).(T); ok {
			return v, true, nil
		}
		return v, false, fail(ErrEvaluation, pos, "%s is expected", what)
	}
	return v, false, fail(ErrEvaluation, pos, "%s is expected, and there are several items", what)
}

func integer(c Collection, pos int) (Integer, bool, error) {
	return singleton[Integer](c, pos, "an integer")
}

func text(c Collection, pos int) (string, bool, error) {
	s, ok, err := singleton[String](c, pos, "a string")
	return string(s), ok, err
}

// numeric takes an Integer or a Decimal.
func numeric(c Collection, pos int) (*apd.Decimal, bool, error) {
	if len(c) == 1 {
		if d, ok := number(convert(c[0])); ok {
			return d, true, nil
		}
	}
	_, ok, err := singleton[Decimal](c, pos, "a number")
	return nil, ok, err
}

// boolean takes one item of any other type as true.
func boolean(c Collection, pos int) (v, ok bool, err error) {
	switch len(c) {
	case 0:
		return false, false, nil
	case 1:
		if b, isBool := convert(c[0]).(Boolean); isBool {
			return bool(b), true, nil
		}
		return true, true, nil
	}
	return false, false, fail(ErrEvaluation, pos, "a boolean is expected, and there are several items")
}

func truth(b bool) Collection { return Collection{Boolean(b)} }
