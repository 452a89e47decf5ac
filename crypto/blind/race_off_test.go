//go:build !race

package blind_test

const raceEnabled = false
