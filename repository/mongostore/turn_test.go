package mongostore

import (
	"testing"
	"testing/synctest"
	"time"
)

// A node pauses after its transactions, for as long as they took within bounds,
// while it sees that others wait, and for a second more.
func TestPauseWhileOthersWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m manners
		wants := func(when string, took, want time.Duration) {
			t.Helper()
			if got := m.pause(took); got != want {
				t.Errorf("%s: a pause of %s after %s, want %s", when, got, took, want)
			}
		}
		wants("nothing seen", time.Second, 0)
		m.saw(7)
		wants("a count from before", time.Second, 0)
		m.saw(7)
		wants("nobody waits", time.Second, 0)
		m.saw(8)
		wants("somebody waits", 0, shortPause)
		wants("somebody waits", 10*time.Millisecond, 10*time.Millisecond)
		wants("somebody waits", time.Minute, longPause)
		time.Sleep(polite)
		wants("a second later", 0, shortPause)
		time.Sleep(time.Nanosecond)
		wants("later", time.Second, 0)
		m.saw(9)
		wants("somebody waits again", 0, shortPause)
	})
}
