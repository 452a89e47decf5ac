//go:build race

package blind_test

// raceEnabled: under the race detector sync.Pool drops entries at random.
const raceEnabled = true
