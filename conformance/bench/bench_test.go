package main

import (
	"bytes"
	"encoding/json"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/internal/demo"
)

// answering accepts connections and answers every request with the same text.
func answering(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write([]byte(text)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestClientReadsOneAnswerAfterTheOther(t *testing.T) {
	t.Parallel()
	c, err := dial(answering(t, "HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for range 3 {
		if status, size, err := c.roundTrip([]byte("GET / HTTP/1.1\r\n\r\n")); status != 201 || size != 5 || err != nil {
			t.Fatalf("%d, %d bytes, %v", status, size, err)
		}
	}
}

func TestLoadCountsUnexpectedStatusesAsErrors(t *testing.T) {
	t.Parallel()
	addr := answering(t, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
	j := job{Addr: addr, Conns: 2, Duration: time.Minute, Requests: []prepared{{Bytes: []byte("GET / HTTP/1.1\r\n\r\n")}}, Want: []int{200}}
	in, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := loadChild(bytes.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	var m measured
	if err := json.Unmarshal(out.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	if m.Done != 0 || m.Errors != 2*maxErrors || m.Statuses[503] != m.Errors {
		t.Errorf("%+v", m)
	}
}

func TestCutBundleKeepsReferencesInside(t *testing.T) {
	t.Parallel()
	for name, data := range demo.Bundles() {
		b, n, err := cutBundle(data, bundleSize)
		if err != nil || n == 0 || n > bundleSize {
			t.Fatalf("%s: %d entries, %v", name, n, err)
		}
		r, err := fhir.Parse(b, bundleLimits)
		if err != nil {
			t.Fatal(err)
		}
		full := map[string]bool{}
		list := r.Root().Member("entry")
		for i := range list.Len() {
			full[list.At(i).Member("fullUrl").Text()] = true
		}
		for _, ref := range urn.FindAllString(string(b), -1) {
			if !full[ref] {
				t.Fatalf("%s: a reference leads out of the bundle", name)
			}
		}
	}
}

func TestFreshUUIDsReplaceAllOldOnesAlike(t *testing.T) {
	t.Parallel()
	old := []string{"urn:uuid:11111111-1111-4111-8111-111111111111", "urn:uuid:22222222-2222-4222-8222-222222222222"}
	p := withFreshUUIDs([]byte(`{"a":"` + old[0] + `","b":"` + old[1] + `","c":"` + old[0] + `"}`))
	c := newConnection(&job{}, 0, time.Time{}, time.Time{})
	first, second := string(c.fill(nil, &p)), string(c.fill(nil, &p))
	if first == second || p.Fresh != 2 || strings.Contains(first, old[0]) || strings.Contains(first, old[1]) {
		t.Fatalf("%s and %s", first, second)
	}
	found := regexp.MustCompile(`urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`).FindAllString(first, -1)
	if len(found) != 3 || found[0] != found[2] || found[0] == found[1] {
		t.Errorf("%v", found)
	}
}

func TestParseBench(t *testing.T) {
	t.Parallel()
	got, err := parseBench("goos: linux\nBenchmarkX-2  \t 100\t 3000 ns/op\t 250.5 MB/s\t 4 allocs/op\nBenchmarkX-2  \t 100\t 1000 ns/op\nBenchmarkX-2 \t 1\t 2000 ns/op\t 300 MB/s\nPASS\n")
	if err != nil || got.nanoseconds != 2000 || got.allocations != 4 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parseBench("PASS\n"); err == nil {
		t.Error("no figure is no error")
	}
}

func TestSharesOfStacks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		part  string
		stack []string // from the leaf
	}{
		{partCrypto, []string{"crypto/internal/fips140/aes/gcm.gcmAesDec", ours + "crypto/field.(*Cipher).openSlot", ours + "fhir/rest.(*Handler).ServeHTTP", "net/http.(*conn).serve"}},
		{partAlloc, []string{"runtime.nextFreeFast", "runtime.mallocgc", ours + "fhir.(*parser).keep"}},
		{partGC, []string{"runtime.scanObject", "runtime.gcDrain", "runtime.systemstack", "runtime.gcBgMarkWorker"}},
		{partNet, []string{"internal/runtime/syscall/linux.Syscall6", "syscall.write", "internal/poll.(*FD).Write", "net.(*conn).Write", "net/http.(*conn).serve"}},
		{partSync, []string{"internal/runtime/syscall/linux.Syscall6", "syscall.Syscall", "golang.org/x/sys/unix.Fdatasync", ours + "audit/trail.datasync"}},
		{partEngine, []string{"runtime.memmove", "github.com/cockroachdb/pebble/v2/internal/arenaskl.(*Skiplist).findSpliceForLevel", ours + "repository/localstore.(*Store).Get"}},
		{partSched, []string{"runtime.findRunnable", "runtime.schedule", "runtime.park_m", "runtime.mcall"}},
		{partJSON, []string{"runtime.memmove", ours + "fhir.(*Node).AppendJSON", ours + "fhir/interaction.(*Service).Read"}},
	}
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}}}
	for _, tt := range tests {
		if got := partOf(tt.stack); got != tt.part {
			t.Errorf("%s counts as %q, want %q", tt.stack[0], got, tt.part)
		}
		s := &profile.Sample{Value: []int64{10}}
		for _, f := range tt.stack {
			s.Location = append(s.Location, &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: f}}}})
		}
		p.Sample = append(p.Sample, s)
	}
	s, sum := divide(p), 0.0
	for _, v := range s.part {
		sum += v
	}
	if sum < 99.9 || sum > 100.1 || !slices.Contains(parts, partOther) {
		t.Errorf("the shares add up to %.1f %%", sum)
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
