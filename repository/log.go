package repository

// LogEntry is one entry of an append-only log, as the audit trail keeps its
// frames in a database. Entries are written once and never changed.
type LogEntry struct {
	ID    string // unique; entries are ordered by its bytes
	Time  int64  // microseconds since the Unix epoch; 0: not found by LogQuery
	Terms []Token
	Body  []byte
}

// LogQuery selects entries that have a Time: those that carry a term of each
// clause, newest first; of one time the highest ID first.
type LogQuery struct {
	All      [][]Token
	From, To int64 // both included
	// BeforeTime and BeforeID are the place of the last entry of the page
	// before; an empty BeforeID begins.
	BeforeTime int64
	BeforeID   string
	Limit      int
}
