package fhirpath

import (
	"strconv"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Item is one item of a Collection: an *Element, or one of the System values
// Boolean, Integer, Decimal, String, Date, DateTime, Time, Quantity and
// TypeInfo (N1 §4.1, §9.2).
type Item interface {
	// Type is the type of the item.
	Type() TypeSpecifier
}

// Collection is an ordered list of items (N1 §3).
type Collection []Item

// Boolean is a System.Boolean.
type Boolean bool

// Integer is a System.Integer.
type Integer int32

// String is a System.String.
type String string

// Decimal is a System.Decimal with the digits that it was written with.
type Decimal struct{ d *apd.Decimal }

// String is the number without an exponent.
func (d Decimal) String() string { return d.d.Text('f') }

// Number is the value; the caller must not change it.
func (d Decimal) Number() *apd.Decimal { return d.d }

// Quantity is a System.Quantity: a number with a UCUM unit, or a calendar
// duration (N1 §4.1.8).
type Quantity struct {
	value    *apd.Decimal
	unit     string // a UCUM code, or the singular word of a calendar duration
	calendar bool
	foreign  bool // of a FHIR Quantity: a unit that is not UCUM, or "" for none that compares
}

// Value is the number; the caller must not change it.
func (q Quantity) Value() *apd.Decimal { return q.value }

// Unit is the UCUM code, or the word of a calendar duration ("week").
func (q Quantity) Unit() string { return q.unit }

// Calendar reports whether the unit is a calendar duration.
func (q Quantity) Calendar() bool { return q.calendar }

// String is the literal: 4 days, 10.5 'mg'.
func (q Quantity) String() string {
	s := q.value.Text('f') + " "
	if !q.calendar {
		return s + "'" + q.unit + "'"
	}
	if q.value.Cmp(one) != 0 {
		return s + q.unit + "s"
	}
	return s + q.unit
}

// TypeInfo is what type() answers (N1 §9.2).
type TypeInfo struct {
	Namespace, Name, BaseType string
	Class                     bool // ClassInfo instead of SimpleTypeInfo
}

// TypeSpecifier is the name of a type in a namespace, FHIR or System.
type TypeSpecifier struct{ Namespace, Name string }

// String is the qualified name.
func (t TypeSpecifier) String() string { return t.Namespace + "." + t.Name }

const (
	namespaceFHIR   = "FHIR"
	namespaceSystem = "System"
)

func system(name string) TypeSpecifier { return TypeSpecifier{namespaceSystem, name} }

// Type is System.Boolean.
func (Boolean) Type() TypeSpecifier { return system("Boolean") }

// Type is System.Integer.
func (Integer) Type() TypeSpecifier { return system("Integer") }

// Type is System.String.
func (String) Type() TypeSpecifier { return system("String") }

// Type is System.Decimal.
func (Decimal) Type() TypeSpecifier { return system("Decimal") }

// Type is System.Date.
func (Date) Type() TypeSpecifier { return system("Date") }

// Type is System.DateTime.
func (DateTime) Type() TypeSpecifier { return system("DateTime") }

// Type is System.Time.
func (Time) Type() TypeSpecifier { return system("Time") }

// Type is System.Quantity.
func (Quantity) Type() TypeSpecifier { return system("Quantity") }

// Type is System.ClassInfo or System.SimpleTypeInfo.
func (t TypeInfo) Type() TypeSpecifier {
	if t.Class {
		return system("ClassInfo")
	}
	return system("SimpleTypeInfo")
}

// Type is the FHIR type; an inner element is a BackboneElement or Element.
func (e *Element) Type() TypeSpecifier {
	return TypeSpecifier{namespaceFHIR, typeName(e.typ)}
}

func typeName(t *definition.Type) string {
	if t.Kind == definition.Backbone {
		return t.Base
	}
	return t.Name
}

// systemTypes are the types of the System namespace (N1 §4.1).
var systemTypes = map[string]bool{"Any": true, "Boolean": true, "Integer": true, "String": true, "Decimal": true, "Date": true,
	"DateTime": true, "Time": true, "Quantity": true, "ClassInfo": true, "SimpleTypeInfo": true}

// typeSpec is a resolved type specifier.
type typeSpec struct {
	fhir   *definition.Type
	system string // set alone, or beside fhir for the unqualified Quantity
}

// is reports whether the item is of the type or of one derived from it
// (N1 §6.3.1).
func (t typeSpec) is(reg *definition.Registry, item Item) bool {
	e, ok := item.(*Element)
	if !ok {
		return t.system == "Any" || t.system != "" && t.system == item.Type().Name
	}
	return t.fhir != nil && derives(reg, e.typ, t.fhir)
}

func derives(reg *definition.Registry, t, base *definition.Type) bool {
	for ; t != nil; t = reg.Type(t.Base) {
		if t == base {
			return true
		}
	}
	return false
}

// selects is the narrower test of as and ofType: a primitive is itself only
// (R4 fhirpath.html#functions).
func (t typeSpec) selects(reg *definition.Registry, item Item) bool {
	if e, ok := item.(*Element); ok && e.typ.Kind == definition.Primitive && t.fhir != nil && t.fhir.Kind == definition.Primitive {
		return e.typ == t.fhir
	}
	return t.is(reg, item)
}

func (i Integer) String() string { return strconv.Itoa(int(i)) }
