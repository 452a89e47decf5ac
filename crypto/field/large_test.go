package field

import (
	"math"
	"runtime"
	"strings"
	"testing"
)

// TestManySlotsAreNotCopiedOverAndOver: memory that a record with many slots
// takes grows with its length, when sealing and when opening. It is not parallel,
// since it counts what the process allocates.
func TestManySlotsAreNotCopiedOverAndOver(t *testing.T) {
	keys, c := ownerKeys(t, newRing(t), [16]byte{1}), newCipher(t, SuiteDerived)
	allocated := func(names int) (seal, open float64) {
		// Each name has an extension, which stands alone.
		one := `{"family":"Lee","extension":[{"url":"urn:x","valueString":"` + strings.Repeat("x", 200) + `"}]},`
		doc := `{"resourceType":"Patient","id":"p1","name":[` + strings.TrimSuffix(strings.Repeat(one, names), ",") + `]}`
		r := parse(t, doc)
		body := sealed(t, c, keys, binding("Patient"), doc)
		h, err := c.OpenHead(binding("Patient"), keys, body)
		if err != nil {
			t.Fatal(err)
		}
		seal = bytesPerRun(func() { _, _ = c.Seal(nil, binding("Patient"), keys, &Head{ID: "p1"}, r) })
		open = bytesPerRun(func() { _, _ = c.AppendVisible(nil, binding("Patient"), keys, &h, body, AllClasses) })
		return seal, open
	}
	seal1, open1 := allocated(1000)
	seal4, open4 := allocated(4000)
	if seal4 > 8*seal1 || open4 > 8*open1 {
		t.Errorf("four times the slots take %.1f times the memory to seal, %.1f times to open", seal4/seal1, open4/open1)
	}
}

// bytesPerRun is what a call allocates, the least of some.
func bytesPerRun(f func()) float64 {
	least := math.Inf(1)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.TotalAlloc-before.TotalAlloc))
	}
	return least
}
