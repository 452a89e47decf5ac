// Package node is the register of the processes that work on one database: who
// is alive, who has taken over what was changed, and who does the work that one
// must do alone.
//
// Start with Join. It needs a table with compare-and-set and nothing else: no
// node speaks to another, and no clock is compared with another. A node renews
// its row; whoever sees a row unchanged for long enough by its own clock removes it. A node that could not renew its row for Options.Validity knows
// itself that it must not work (Valid), well before anybody removes it.
//
// Rounds (Barrier): who changed keys or the rules of the index begins a round.
// Every node takes over what is stored, lets the requests end that began before,
// and acknowledges. When Barrier returns, every node has, or is dead.
//
// Leases (Alone): work that only one node may do. A lease lives as long as the
// row of its holder; the work's context ends with it.
//
// Security. Erasure rests on rounds: keys count as destroyed only when no node
// has them in memory. Dead must exceed Validity by the longest operation of the
// store, so that what a node began while it was valid has ended before it
// counts as dead; Valid is asked before each operation.
//
// Rows hold a node's name, a random instance and counters; see
// docs/format/nodes.md.
package node
