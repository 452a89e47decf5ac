// Package localstore is the embedded engine: a repository.Store, Purger and
// any number of repository.Tables in one Pebble database per folder.
//
// Start with Open (open.go), then Commit (commit.go) and Find (find.go). The
// stored format is written down in docs/format/localstore.md; keys.go and
// record.go are its code.
//
// Commit order. One mutex covers checking preconditions, building the batch
// and handing it to Pebble's log, so positions in the change feed are the
// order of the log. The fsync is awaited outside the mutex, so writers that
// commit together share it.
//
// Durability. What a method returns is on stable storage: a reader that meets
// a write whose fsync is still under way waits for it. This is what lets the
// keystore live in a database of its own: nobody seals data under a key that a
// crash could take back.
//
// Failure. Pebble cannot go on after a failed write to its log or manifest. The
// store then latches: every call returns repository.ErrUnavailable, writes to
// the folder are refused below Pebble, and Options.OnFatal is called once; the
// process should exit with an error and be started again. The library never
// exits by itself. Before a disk is full, writes are refused with
// repository.ErrFull (Options.MinFree).
//
// Queries. plan.go says who leads: lists of single tokens are leapt along, an
// OR of many tokens is merged lazily (union.go) when sampling (estimate.go)
// says that it selects most, else it is tested against forward rows (test.go).
// The index by time leads when it selects most. Page.Read counts every entry,
// sample and row that was looked at, and a query ends with its context within
// 256 of them.
//
// Memory. Bounded by Options: three memtables (96 MiB by default, only while
// writers are faster than the disk), the block cache (256 MiB when full), a few KiB for
// each of up to 1000 open table files, one batch for each caller of Commit and
// one page for each caller of Find. An OR of 500 tokens reads ahead up to 64
// entries of each, 256 KiB.
//
// Security. The engine sees sealed bodies, keyed ids and keyed tokens only.
// Checksums here find accidental damage; malicious change is found by the
// field cipher above. Deleted bytes stay in table files and in the log until
// Scrub returns.
//
// Kept compatible: every later release opens what this one wrote.
package localstore
