package localstore_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
)

// Synthetic resources as full search makes them: bodies of ciphertext, and 30
// tokens each. Patient n/200 has resources that are written together.
const (
	perPatient = 200
	millionKey = "FIELDSEAL_LONG"
	keepStores = "FIELDSEAL_BENCH_DIR" // keeps the filled folders for the next run
)

const (
	ofPatient = iota // one list of each patient, and the next four likewise
	ofCode    = 5    // 300 codes, the first of them most often
	ofDay     = 6    // 3000 days, and 10 coarser nodes
	ofStatus  = 16   // 8 lists that everything is in
	ofItself  = 24   // 6 that nothing else has
)

func millionToken(kind int, n uint64) repository.Token {
	h := (uint64(kind)<<48 | n + 1) * 0x9E3779B97F4A7C15
	return repository.Token((h ^ h>>29) * 0xBF58476D1CE4E5B9)
}

// codeOf makes a tenth of everything code 0.
func codeOf(n uint64) uint64 {
	if n%10 == 0 {
		return 0
	}
	return 1 + n*2654435761%299
}

func dayOf(n uint64) uint64 { return n * 2654435761 >> 7 % 3000 }

func millionWrite(n uint64, random *rand.ChaCha8, body []byte) repository.Write {
	w := repository.Write{Record: repository.Record{
		Key: repository.Key{Type: "Observation"}, Version: 1, Updated: 1_700_000_000_000_000 + repository.Stamp(n*400), Body: body,
	}}
	random.Read(body)
	r := &w.Record
	binary.BigEndian.PutUint64(r.Key.ID[:], uint64(millionToken(100, n)))
	binary.BigEndian.PutUint64(r.Key.ID[8:], n)
	binary.BigEndian.PutUint64(r.Owner[:], n/perPatient)
	for k := range 5 {
		r.Tokens = append(r.Tokens, millionToken(ofPatient+k, n/perPatient))
	}
	r.Tokens = append(r.Tokens, millionToken(ofCode, codeOf(n)))
	for k := range uint64(10) {
		r.Tokens = append(r.Tokens, millionToken(ofDay+int(k), dayOf(n)>>k))
	}
	for k := range 8 {
		r.Tokens = append(r.Tokens, millionToken(ofStatus+k, 0))
	}
	for k := range 6 {
		r.Tokens = append(r.Tokens, millionToken(ofItself+k, n))
	}
	return w
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// millionStore fills a store in batches of fifty and reports for each tenth how
// much time and CPU a resource took.
func millionStore(b *testing.B, count uint64) *localstore.Store {
	b.Helper()
	if os.Getenv(millionKey) == "" {
		b.Skip(millionKey + " is not set")
	}
	dir := b.TempDir()
	if keep := os.Getenv(keepStores); keep != "" {
		dir = filepath.Join(keep, fmt.Sprint(count))
	}
	s := open(b, localstore.Options{Dir: dir, Ballast: -1})
	have, err := s.Count(b.Context(), repository.Query{Type: "Observation"}, 1<<30)
	if err != nil {
		b.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{1})
	wall, used := time.Now(), cpu()
	for n := uint64(have); n < count; {
		var batch repository.Batch
		for range min(50, count-n) {
			batch.Writes = append(batch.Writes, millionWrite(n, random, make([]byte, 1900)))
			n++
		}
		if _, err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		if n%(count/10) == 0 {
			part := time.Duration(count / 10)
			b.Logf("%d: %v a resource, %v of CPU", n, time.Since(wall)/part, (cpu()-used)/part)
			wall, used = time.Now(), cpu()
		}
	}
	return s
}

// BenchmarkMillion measures queries on 100,000 and on 1,000,000 resources.
// FIELDSEAL_LONG must be set.
func BenchmarkMillion(b *testing.B) {
	for _, count := range []uint64{100_000, 1_000_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			s := millionStore(b, count)
			if st, err := s.Stats(b.Context()); err != nil {
				b.Fatal(err)
			} else {
				b.Logf("records %d, postings %d, forward rows %d, index %d bytes a resource", st.Current.Bytes/count,
					st.Postings.Bytes/count, st.Forward.Bytes/count, st.Index.Bytes/count)
			}
			millionQueries(b, s, count)
		})
	}
}

func millionQueries(b *testing.B, s *localstore.Store, count uint64) {
	type clauses = [][]repository.Token
	var codes, days []repository.Token
	for n := range uint64(400) {
		codes = append(codes, millionToken(ofCode, n))
		days = append(days, millionToken(ofDay, n))
	}
	last := 1_700_000_000_000_000 + repository.Stamp(count*400)
	for _, c := range []struct {
		name  string
		query func(n uint64) repository.Query
	}{
		{"identifier", func(n uint64) repository.Query { return repository.Query{All: clauses{{millionToken(ofItself, n)}}} }},
		{"patient and code", func(n uint64) repository.Query {
			return repository.Query{All: clauses{{millionToken(ofPatient, n/perPatient)}, {millionToken(ofCode, codeOf(n))}}}
		}},
		{"patient and 400 codes", func(n uint64) repository.Query {
			return repository.Query{All: clauses{codes, {millionToken(ofPatient, n/perPatient)}}}
		}},
		{"patient and 400 days", func(n uint64) repository.Query {
			return repository.Query{All: clauses{days, {millionToken(ofPatient, n/perPatient)}}}
		}},
		{"code and day", func(n uint64) repository.Query {
			return repository.Query{All: clauses{{millionToken(ofCode, codeOf(n))}, {millionToken(ofDay, dayOf(n))}}}
		}},
		{"400 days", func(uint64) repository.Query { return repository.Query{All: clauses{days}} }},
		{"400 days and a code", func(n uint64) repository.Query {
			return repository.Query{All: clauses{days, {millionToken(ofCode, codeOf(n))}}}
		}},
		{"everything, and a day of two", func(n uint64) repository.Query {
			return repository.Query{All: clauses{{millionToken(ofStatus, 0)}, {millionToken(ofDay, dayOf(n)), millionToken(ofDay, dayOf(n+1))}}}
		}},
		{"changed since", func(uint64) repository.Query { return repository.Query{Since: last - 400*1000} }},
		{"nothing: two halves", func(n uint64) repository.Query {
			return repository.Query{All: clauses{{millionToken(ofCode, 0)}, {millionToken(ofCode, 1)}}}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			random := rand.New(rand.NewPCG(1, 2))
			records, read, used := 0, 0, cpu()
			for b.Loop() {
				q := c.query(random.Uint64N(count))
				q.Type, q.Limit = "Observation", 20
				page, err := s.Find(b.Context(), q)
				if err != nil {
					b.Fatal(err)
				}
				records, read = records+len(page.Records), read+page.Read
			}
			b.ReportMetric(float64((cpu()-used).Microseconds())/float64(b.N), "cpu-µs/op")
			b.ReportMetric(float64(records)/float64(b.N), "records/op")
			b.ReportMetric(float64(read)/float64(b.N), "entries/op")
		})
	}
	b.Run("count a tenth", func(b *testing.B) {
		for b.Loop() {
			n, err := s.Count(b.Context(), repository.Query{Type: "Observation", All: clauses{{millionToken(ofCode, 0)}}}, 1<<30)
			if err != nil || n != int(count/10) {
				b.Fatal(n, err)
			}
		}
	})
}
