package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// machine describes where the figures come from.
type machine struct {
	cpu    string
	cores  int
	kernel string
	memory int64 // bytes
	golang string
	busy   string // load average at the start: what else the machine did
}

func thisMachine() machine {
	m := machine{cpu: "unknown", cores: runtime.NumCPU(), kernel: "unknown", golang: runtime.Version()}
	if v := procValue("/proc/cpuinfo", "model name"); v != "" {
		m.cpu = v
	}
	if kb, err := strconv.ParseInt(strings.TrimSuffix(procValue("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.memory = kb << 10
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.busy, _, _ = strings.Cut(string(b), " ")
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.kernel, _, _ = strings.Cut(strings.TrimSpace(string(b)), "-") // the rest names a build
	}
	return m
}

// procValue is the value of the first "name : value" line.
func procValue(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(b) {
		if k, v, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

const syncSamples = 200

// syncMedian appends 4 KiB and waits for the disk, as a log does; it is the
// floor of every durable request.
func syncMedian(dir string) (time.Duration, error) {
	path := filepath.Join(dir, "bench-sync")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer os.Remove(path)
	defer f.Close()
	page, all := make([]byte, 4<<10), make([]time.Duration, 0, syncSamples)
	for range syncSamples {
		began := time.Now()
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := syncData(f); err != nil {
			return 0, err
		}
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func mib(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
