// Package repositorytest is the contract of package repository as tests. Every
// engine runs the same suite; an engine's own test is a few lines:
//
//	func TestContract(t *testing.T) {
//		repositorytest.TestStore(t, open)
//		repositorytest.TestTable(t, open)
//	}
//
// Start with TestStore. TestFaults and TestCrash take hooks, because only an
// engine knows how its disk fills or its process dies.
package repositorytest
