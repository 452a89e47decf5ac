package localstore_test

import (
	"crypto/rand"
	"encoding/binary"
	mathrand "math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
)

// sealed is a write like those of the server: a body that does not compress
// and twenty tokens, of which four are common.
func sealed(n uint64, size int) repository.Write {
	w := repository.Write{Record: repository.Record{
		Key: repository.Key{Type: "Observation"}, Version: 1, Updated: 1_700_000_000_000_000 + repository.Stamp(n),
	}}
	r := &w.Record
	binary.BigEndian.PutUint64(r.Key.ID[:], n*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(r.Key.ID[8:], n)
	binary.BigEndian.PutUint64(r.Owner[:], n/500)
	r.Body = make([]byte, size)
	rand.Read(r.Body)
	for i := range uint64(16) {
		r.Tokens = append(r.Tokens, repository.Token((n*31+i)*0xD6E8FEB86659FD93))
	}
	for i := range uint64(4) {
		r.Tokens = append(r.Tokens, repository.Token((n%10*4+i)*0xA0761D6478BD642F))
	}
	return w
}

const benchBody = 2000

func benchStore(b *testing.B, count int) *localstore.Store {
	b.Helper()
	s := open(b, localstore.Options{Dir: b.TempDir(), Ballast: -1})
	for n := 0; n < count; {
		var batch repository.Batch
		for ; n < count && len(batch.Writes) < 200; n++ {
			batch.Writes = append(batch.Writes, sealed(uint64(n), benchBody))
		}
		if _, err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkGet(b *testing.B) {
	const count = 10_000
	s := benchStore(b, count)
	if err := s.Compact(b.Context()); err != nil {
		b.Fatal(err)
	}
	keys := make([]repository.Key, count)
	for n := range keys {
		keys[n] = sealed(uint64(n), 0).Record.Key
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		if _, err := s.Get(b.Context(), keys[n*7919%count]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommit(b *testing.B) {
	s := benchStore(b, 0)
	b.ReportAllocs()
	n := uint64(0)
	for b.Loop() {
		n++
		if _, err := s.Commit(b.Context(), repository.Batch{Writes: []repository.Write{sealed(n, benchBody)}}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommit64Writers(b *testing.B) {
	s := benchStore(b, 0)
	var n atomic.Uint64
	b.SetParallelism(32) // of two processors
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w := sealed(n.Add(1), benchBody)
			if _, err := s.Commit(b.Context(), repository.Batch{Writes: []repository.Write{w}}); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkCommitBundleOf100 commits what belongs together, as an import does.
func BenchmarkCommitBundleOf100(b *testing.B) {
	s := benchStore(b, 0)
	n, used := uint64(0), cpu()
	random := mathrand.NewChaCha8([32]byte{})
	defer func() { b.ReportMetric(float64((cpu()-used).Microseconds())/float64(n), "cpu-µs/resource") }()
	for b.Loop() {
		var batch repository.Batch
		for range 100 {
			batch.Writes = append(batch.Writes, millionWrite(n, random, make([]byte, benchBody)))
			n++
		}
		if _, err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFind reads a page of 20 among 10,000: one common token and two.
func BenchmarkFind(b *testing.B) {
	s := benchStore(b, 10_000)
	tokens := sealed(5, 0).Record.Tokens
	for name, all := range map[string][][]repository.Token{
		"identifier": {{tokens[0]}},
		"common":     {{tokens[16]}},
		"two common": {{tokens[16]}, {tokens[17], tokens[0]}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Find(b.Context(), repository.Query{Type: "Observation", All: all, Limit: 20}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBytesPerResource reports sizes, not time.
func BenchmarkBytesPerResource(b *testing.B) {
	const count = 20_000
	for b.Loop() {
		s := benchStore(b, count)
		if err := s.Compact(b.Context()); err != nil {
			b.Fatal(err)
		}
		st, err := s.Stats(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(st.Current.Bytes)/count, "current-B")
		b.ReportMetric(float64(st.Index.Bytes)/count, "index-B")
		b.ReportMetric(float64(st.Feed.Bytes)/count, "feed-B")
	}
}
