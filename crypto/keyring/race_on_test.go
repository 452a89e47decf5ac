//go:build race

package keyring_test

// raceEnabled: under the race detector sync.Pool drops entries at random.
const raceEnabled = true
