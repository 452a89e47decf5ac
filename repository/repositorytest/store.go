package repositorytest

import "testing"

// TestStore runs the contract of repository.Store, and of repository.Purger,
// Indexer, Counter, Feeder and Gatherer where the engine implements them.
func TestStore(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Opened)
	}{
		{"reading what was written", testReadBack},
		{"an unknown resource is not found", testUnknown},
		{"a stale version conflicts", testStaleVersion},
		{"a batch is applied whole or not at all", testAtomic},
		{"malformed batches are refused", testMalformedBatch},
		{"a caller may reuse its memory", testCallerMemory},
		{"one of many writers wins", testRacingWriters},
		{"a tombstone is a version", testTombstone},
		{"gathering agrees with reading one by one", testGather},
		{"history is newest first", testHistoryOrder},
		{"history pages hold still while versions are added", testHistoryCursor},
		{"find is an and of ors", testFindClauses},
		{"find keeps types apart", testFindTypes},
		{"find by owner", testFindOwner},
		{"find shows the last page as the last", testFindLimit},
		{"find between two times", testFindTimes},
		{"an or of hundreds of tokens", testFindManyTokens},
		{"find by time holds still while others write", testTimeCursor},
		{"find ends with its context", testFindCancelled},
		{"positions of another engine are refused", testForeignPositions},
		{"tokens of old versions are gone", testOldTokens},
		{"find pages hold still while others write", testFindCursor},
		{"two requests that found none cannot both insert", testGuards},
		{"a guard taken before a write does not hold after it", testStaleGuard},
		{"the feed misses nothing under sixteen writers", testFeedGapless},
		{"the feed resumes", testFeedResume},
		{"the feed read backwards", testFeedBackwards},
		{"the feed from a time on", testFeedSince},
		{"a write that lags behind the feed is refused", testFeedLag},
		{"stamps increase", testStamps},
		{"a cancelled context has no effect", testCancellation},
		{"purging an owner", testPurge},
		{"purging keeps the versions of others", testPurgeOthers},
		{"retoken replaces tokens and nothing else", testRetoken},
		{"retoken skips what changed meanwhile", testRetokenSkips},
		{"retoken races with writers", testRetokenRace},
		{"count agrees with find", testCount},
		{"estimates of small numbers are exact", testEstimate},
		{"everything survives a restart", testRestart},
		{"random commands match a model", testModel},
		{"random queries match a look at every record", testFindModel},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, open(t))
		})
	}
}
