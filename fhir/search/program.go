package search

// program is a parameter's compiled expression.
type program struct{}
