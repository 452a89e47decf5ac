// Package house holds the rules of the house as tests: which package may
// import which (table_test.go), which constructors have one caller, what no
// source file may contain, and what the container image must be. It has no
// code of its own.
package house
