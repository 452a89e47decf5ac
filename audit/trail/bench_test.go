package trail

import (
	"fmt"
	"sync"
	"testing"
)

// BenchmarkRecord measures durable events with group commit; ns/op is the
// inverse of the throughput.
func BenchmarkRecord(b *testing.B) {
	for _, writers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			opt := testOptions(b, newFakeKeys())
			opt.SegmentRecords, opt.CheckpointEvents = DefaultSegmentRecords, DefaultCheckpointEvents
			tr := mustOpen(b, opt)
			b.ResetTimer()
			var wg sync.WaitGroup
			for w := range writers {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for i := w; i < b.N; i += writers {
						if _, err := tr.Record(b.Context(), readEvent(byte(i))); err != nil {
							b.Error(err)
							return
						}
					}
				}()
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(b.Elapsed().Seconds()*1e3*float64(writers)/float64(b.N), "ms/wait")
			tr.Close()
		})
	}
}

// BenchmarkSeal measures the CPU of one event with two seals, without disk.
func BenchmarkSeal(b *testing.B) {
	tr := mustOpen(b, testOptions(b, newFakeKeys()))
	e := readEvent(1)
	var d draft
	var block []byte
	b.ReportAllocs()
	for b.Loop() {
		if err := tr.prepare(b.Context(), &d, &e); err != nil {
			b.Fatal(err)
		}
		block = d.appendBlock(block[:0], "n1", 1)
	}
	b.SetBytes(int64(len(block)))
}
