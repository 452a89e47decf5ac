// Command bench measures the real binary over HTTP and prints the tables of
// docs/performance.md:
//
//	go run ./conformance/bench            # print
//	go run ./conformance/bench -write     # and put them into docs/performance.md
//	go run ./conformance/bench -profile   # where the CPU time goes, instead
//	go run ./conformance/bench -search 100k,1m -data DIR   # searches over synthetic data
//	go run ./conformance/bench -mongodb URI   # on MongoDB, and its commands alone
//	go run ./conformance/bench -generate 100000   # print synthetic data for fieldseal import
//
// It builds cmd/fieldseal, starts it on a fresh data folder on loopback with
// all checks on, and loads it from a process of its own. Start with main; the
// requests are made in workload.go, the load generator is load.go and
// client.go, the tables report.go.
//
// It imports nothing of the server but fhir and the demo patients, so that it
// can only see what a client sees; sizes come from the admin socket. Every loop
// is bounded in time, and the server is ended by its own process id.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// settings are the flags.
type settings struct {
	duration time.Duration
	rounds   int
	conns    int
	write    bool
	profile  bool
	keep     string
	micro    bool
	only     string
	binary   string
	scratch  string
	generate int
	form     string
	synthea  string
	seed     uint64
	search   string
	data     string
	rest     bool
	mongodb  string
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == childArgument {
		exit(loadChild(os.Stdin, os.Stdout))
	}
	var s settings
	flag.DurationVar(&s.duration, "duration", 6*time.Second, "measured time of one round")
	flag.IntVar(&s.rounds, "rounds", 3, "rounds of each load; the median is shown")
	flag.IntVar(&s.conns, "conns", 64, "keep-alive connections")
	flag.BoolVar(&s.write, "write", false, "put the tables into docs/performance.md")
	flag.BoolVar(&s.profile, "profile", false, "profile the server under each load and print the shares")
	flag.StringVar(&s.keep, "keep", "", "with -profile: keep the profiles in this folder, for go tool pprof")
	flag.BoolVar(&s.micro, "micro", true, "run the Go benchmarks of crypto, parser and validation too")
	flag.StringVar(&s.only, "only", "", "run the one load of this name")
	flag.StringVar(&s.binary, "binary", "", "use this server binary instead of building one")
	flag.StringVar(&s.scratch, "scratch", os.TempDir(), "folder on the disk that is to be measured")
	flag.IntVar(&s.generate, "generate", 0, "write this many synthetic resources to standard output instead")
	flag.StringVar(&s.form, "form", formBundles, "with -generate: bundles (a transaction a line) or resources (one a line)")
	flag.StringVar(&s.synthea, "synthea", "../shared/data/synthea", "folder with Synthea archives; the demo patients are multiplied when there is none")
	flag.Uint64Var(&s.seed, "seed", 1, "what varies the synthetic data")
	flag.StringVar(&s.search, "search", "", "measure searches instead, over sets of these sizes, such as 100k,1m")
	flag.StringVar(&s.data, "data", "", "with -search: folder that keeps the filled data folders (data100k …) for the next run")
	flag.BoolVar(&s.rest, "rest", true, "with -search: measure conditional updates, $everything and history too, where the server offers them")
	flag.StringVar(&s.mongodb, "mongodb", "", "measure a server on this MongoDB instead: a URI, or a program that takes --host, --port, --storage-path and --sync-on-commit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if s.generate > 0 {
		exit(writeSynthetic(ctx, s, os.Stdout))
	}
	exit(bench(ctx, s))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// bench runs everything and prints the report.
func bench(ctx context.Context, s settings) error {
	scratch, err := os.MkdirTemp(s.scratch, "fieldseal-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	binary := s.binary
	if binary == "" {
		binary = filepath.Join(scratch, "fieldseal")
		if err := build(ctx, binary); err != nil {
			return err
		}
	}
	if s.search != "" {
		return benchSearch(ctx, s, binary, scratch)
	}
	if s.mongodb != "" {
		return benchMongoDB(ctx, s, binary, scratch)
	}
	srv, err := start(ctx, binary, filepath.Join(scratch, "data"), s.profile)
	if err != nil {
		return err
	}
	defer srv.stop()
	rep, err := measure(ctx, s, srv)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, srv.errors())
	}
	rep.binaryBytes = fileSize(binary)
	if s.profile {
		fmt.Print(rep.profileTable())
		return nil
	}
	if s.micro {
		if rep.micro, err = microBenchmarks(ctx); err != nil {
			return err
		}
	}
	fmt.Print(rep.tables())
	if s.write {
		return writeBetween("docs/performance.md", "bench", rep.tables())
	}
	return nil
}

// measure runs the loads one after the other.
func measure(ctx context.Context, s settings, srv *server) (*report, error) {
	rep := &report{machine: thisMachine(), settings: s, ready: srv.ready}
	time.Sleep(2 * time.Second) // idle memory is what stays after the start
	rep.idleRSS = srv.rss()
	w, err := prepare(ctx, srv)
	if err != nil {
		return nil, err
	}
	rep.bundleEntries = w.bundleEntries
	for _, l := range w.loads() {
		if s.only != "" && s.only != l.Name {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s …\n", l.Name)
		r, err := runLoad(ctx, s, srv, l)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.Name, err)
		}
		rep.results = append(rep.results, r)
		if l.then == nil {
			continue
		}
		if err := l.then(rep); err != nil {
			return nil, err
		}
	}
	return rep, nil
}
