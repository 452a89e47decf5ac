// Package mongostore is the engine for several nodes: a repository.Store, its
// optional abilities and any number of repository.Tables in one MongoDB
// database. Nodes keep nothing of their own; any number may be connected.
//
// Start with Open (open.go), then Commit (committer.go, transaction.go, state.go) and
// Find (find.go). The stored format is written down in
// docs/format/mongostore.md; record.go and names.go are its code.
//
// Commits. Requests that arrive while a commit is under way are committed
// together, in one transaction with majority write concern. Every transaction
// takes its positions in the change feed from one counter document, so that
// two transactions conflict, whichever node runs them, until one is committed:
// the order of positions is the order of commits, and what a reader of the
// feed sees has no gap. The loser starts again. Preconditions are filters of
// the writes themselves, and what a transaction only relies upon (a guard) it
// writes too, so that snapshot isolation cannot let two of them pass.
//
// Outcome. A commit whose outcome the server could not tell is asked about
// again by the driver under the same transaction number, which neither repeats
// nor loses it. When the deadline passes first, the caller gets
// repository.ErrUnavailable and the outcome is unknown, never half-applied.
//
// Reads see what a majority of the replica set has: nothing that was shown is
// rolled back by an election.
//
// Security. The engine sees sealed bodies, keyed ids and keyed tokens only.
// Errors and spans carry names of commands and collections, never a filter, a
// document or an address.
//
// Kept compatible: every later release reads what this one wrote.
package mongostore
