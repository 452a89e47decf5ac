package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// shares is the processor time of the server by part, in per cent, and the
// functions that use most by themselves.
type shares struct {
	part map[string]float64
	top  []string
}

// Parts of a request, in the order of the table.
const (
	partCrypto  = "crypto"
	partKeys    = "keys"
	partPolicy  = "policy, redaction"
	partAudit   = "audit"
	partJSON    = "JSON tree"
	partValid   = "validation"
	partSearch  = "index values, bundles"
	partEngine  = "engine"
	partHTTP    = "HTTP"
	partMetrics = "telemetry"
	partSync    = "system calls: disk"
	partNet     = "system calls: network"
	partGC      = "garbage collection"
	partAlloc   = "allocation"
	partSched   = "scheduler, timers"
	partOther   = "other"
)

var parts = []string{partCrypto, partKeys, partPolicy, partAudit, partJSON, partValid, partSearch, partEngine, partHTTP,
	partMetrics, partSync, partNet, partGC, partAlloc, partSched, partOther}

const ours = "github.com/fieldseal/fieldseal/"

// owners are the parts by package prefix. The frame nearest to the leaf that
// has an owner gets the sample, so that what a package calls in the standard
// library counts as its own; longer prefixes stand first.
var owners = []struct{ prefix, part string }{
	{ours + "crypto/keyring", partKeys}, {ours + "crypto/kms", partKeys}, {ours + "crypto/", partCrypto}, {"crypto/", partCrypto},
	{ours + "authz/", partPolicy}, {"github.com/casbin", partPolicy},
	{ours + "audit/trace", partMetrics}, {ours + "audit", partAudit},
	{ours + "conformance/validation", partValid},
	{ours + "fhir/search", partSearch}, {ours + "fhir/compartment", partSearch}, {ours + "fhir/bundle", partSearch}, {ours + "fhir/simplepath", partSearch},
	{ours + "fhir/rest", partHTTP}, {ours + "fhir/interaction", partOther}, {ours + "fhir/definition", partValid}, {ours + "fhir/model", partJSON}, {ours + "fhir.", partJSON},
	{ours + "repository/sealed", partCrypto}, {ours + "repository", partEngine}, {"github.com/cockroachdb", partEngine}, {"github.com/RaduBerinde", partEngine},
	{"github.com/gin-gonic", partHTTP}, {"net/http", partHTTP}, {"net/textproto", partHTTP}, {"github.com/klauspost", partHTTP},
	{"go.opentelemetry.io", partMetrics}, {"github.com/prometheus", partMetrics}, {ours + "internal/telemetry", partMetrics},
}

// keepAs is the file for the profile of a load, "" when none is kept.
func (s settings) keepAs(load string) string {
	if s.keep == "" {
		return ""
	}
	name, _, _ := strings.Cut(strings.ReplaceAll(load, "read by id, ", "read-"), " ")
	return filepath.Join(s.keep, strings.Trim(name, ",")+".pprof")
}

// fetchShares profiles the server for as long as a load runs. What is kept is
// the profile and, beside it, what was allocated meanwhile.
func fetchShares(ctx context.Context, debug string, d time.Duration, keep string) (*shares, error) {
	allocated := make(chan error, 1)
	go func() {
		if keep == "" {
			allocated <- nil
			return
		}
		p, err := fetchProfile(ctx, debug, "allocs", d)
		if err == nil {
			err = keepProfile(p, strings.TrimSuffix(keep, ".pprof")+".allocs.pprof")
		}
		allocated <- err
	}()
	p, err := fetchProfile(ctx, debug, "profile", d)
	if err == nil && keep != "" {
		err = keepProfile(p, keep)
	}
	if err = errors.Join(err, <-allocated); err != nil {
		return nil, err
	}
	return divide(p), nil
}

func fetchProfile(ctx context.Context, debug, kind string, d time.Duration) (*profile.Profile, error) {
	url := fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", debug, kind, max(1, int(d.Seconds())))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("profiling: status %d", resp.StatusCode)
	}
	return profile.Parse(resp.Body)
}

func keepProfile(p *profile.Profile, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(p.Write(f), f.Close())
}

// divide gives every sample to one part.
func divide(p *profile.Profile) *shares {
	s := &shares{part: map[string]float64{}}
	flat := map[string]int64{}
	var total int64
	value := len(p.SampleType) - 1 // nanoseconds
	for _, sample := range p.Sample {
		stack := names(sample)
		if len(stack) == 0 {
			continue
		}
		v := sample.Value[value]
		total += v
		s.part[partOf(stack)] += float64(v)
		flat[stack[0]] += v
	}
	for name := range s.part {
		s.part[name] *= 100 / float64(max(total, 1))
	}
	top := make([]string, 0, len(flat))
	for name := range flat {
		top = append(top, name)
	}
	slices.SortFunc(top, func(a, b string) int { return int(flat[b] - flat[a]) })
	for _, name := range top[:min(len(top), 15)] {
		s.top = append(s.top, fmt.Sprintf("%.1f %% %s", 100*float64(flat[name])/float64(max(total, 1)), strings.TrimPrefix(name, ours)))
	}
	return s
}

// names is the stack from the leaf on.
func names(s *profile.Sample) []string {
	var stack []string
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				stack = append(stack, line.Function.Name)
			}
		}
	}
	return stack
}

func partOf(stack []string) string {
	has := func(prefixes ...string) bool {
		return slices.ContainsFunc(stack, func(f string) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(f, p) })
		})
	}
	switch {
	case has("runtime.gcBgMarkWorker", "runtime.gcAssist", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart", "runtime.(*mspan).sweep"):
		return partGC
	case has("runtime.mallocgc", "runtime.growslice", "runtime.newobject", "runtime.makeslice"):
		return partAlloc
	case has("syscall.", "internal/runtime/syscall"):
		if has("net.", "internal/poll.(*FD).Accept", "runtime.netpoll") {
			return partNet
		}
		if has("os.", "syscall.Fdatasync", "golang.org/x/sys/unix") {
			return partSync
		}
	case has("runtime.mcall", "runtime.park_m", "runtime.schedule", "runtime.findRunnable", "runtime.mstart", "runtime.goready", "runtime.ready", "runtime.futex", "runtime.systemstack"):
		if owner := owned(stack); owner != "" && !has("runtime.schedule", "runtime.findRunnable", "runtime.goready", "runtime.ready", "runtime.futex") {
			return owner
		}
		return partSched
	}
	if owner := owned(stack); owner != "" {
		return owner
	}
	return partOther
}

func owned(stack []string) string {
	for _, f := range stack {
		for _, o := range owners {
			if strings.HasPrefix(f, o.prefix) {
				return o.part
			}
		}
	}
	return ""
}
