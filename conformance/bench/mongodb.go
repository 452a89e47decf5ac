package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/internal/demo"
)

// mongoClients are how many keep-alive connections, or goroutines with bare
// commands, ask at once.
var mongoClients = [2]int{1, 8}

// slow is how many requests a second one client has to get for several to be
// tried.
const slow = 10

// mongoRow is one kind of request: through the server, and the same commands
// issued bare.
type mongoRow struct {
	name, commands string
	server         [2]result // as mongoClients
	bare           [2]bareResult
}

// benchMongoDB measures a server on MongoDB and the database alone.
func benchMongoDB(ctx context.Context, s settings, binary, scratch string) error {
	address, stop, err := mongoServer(s.mongodb, scratch)
	if err != nil {
		return err
	}
	defer stop()
	name := fmt.Sprintf("bench_%d", os.Getpid())
	b, err := openBare(ctx, address, name)
	if err != nil {
		return err
	}
	defer b.close()
	store, err := withDatabase(address, name)
	if err != nil {
		return err
	}
	kek := filepath.Join(scratch, "kek")
	if err := exec.CommandContext(ctx, binary, "keys", "create", kek).Run(); err != nil {
		return fmt.Errorf("making a root key: %w", err)
	}
	srv, err := launch(ctx, binary, filepath.Join(scratch, "node"), false, "--store", store, "--kek-file", kek)
	if err != nil {
		return err
	}
	defer srv.stop()
	rows, err := measureMongoDB(ctx, s, srv, b)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, srv.errors())
	}
	text := mongoTable(s, b.version, rows)
	fmt.Print(text)
	if s.write {
		return writeBetween("docs/performance.md", "mongodb", text)
	}
	return nil
}

// mongoServer is the server at an address, or one that a program makes.
func mongoServer(what, scratch string) (address string, stop func(), err error) {
	if strings.HasPrefix(what, "mongodb") && strings.Contains(what, "://") {
		return what, func() {}, nil
	}
	listen, err := freeAddress()
	if err != nil {
		return "", nil, err
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(what, "--host", host, "--port", port, "--storage-path", filepath.Join(scratch, "db"), "--sync-on-commit")
	cmd.Dir = scratch
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	for range 300 {
		if c, err := net.DialTimeout("tcp", listen, time.Second); err == nil {
			return "mongodb://" + listen + "/?directConnection=true", stop, c.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	stop()
	return "", nil, errors.New("the database does not listen")
}

func withDatabase(address, name string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("the address of the database is no URI")
	}
	u.Path = "/" + name
	return u.String(), nil
}

// mongoPatients is how many of the demo patients are stored, the smallest: the
// stand-in for MongoDB is slow.
const mongoPatients = 3

// measureMongoDB runs the loads.
func measureMongoDB(ctx context.Context, s settings, srv *server, b *bare) ([]mongoRow, error) {
	w := &workload{srv: srv}
	var bundles [][]byte
	for _, data := range demo.Bundles() {
		bundles = append(bundles, data)
	}
	sort.Slice(bundles, func(i, j int) bool { return len(bundles[i]) < len(bundles[j]) })
	for _, data := range bundles[:mongoPatients] {
		if err := w.store(ctx, data); err != nil {
			return nil, err
		}
	}
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	loads := map[string]load{}
	for _, l := range w.loads() {
		loads[l.Name] = l
	}
	var rows []mongoRow
	for _, r := range []struct {
		load     load
		commands string
		bare     bareCall
	}{
		{loads["read by id, clinician"], "find; audit insert", b.read},
		{loads["create, 1–3 kB Observation"], "transaction of 3; two audit inserts", b.create},
		{w.searches(), "find; audit insert", b.search},
	} {
		fmt.Fprintf(os.Stderr, "%s …\n", r.load.Name)
		row := mongoRow{name: r.load.Name, commands: r.commands}
		for i, n := range mongoClients {
			var err error
			if s.conns = n; i > 0 && row.server[0].calls < slow {
				break // of several at once none would end in time
			}
			if row.server[i], err = runLoad(ctx, s, srv, r.load); err != nil {
				return nil, fmt.Errorf("%s: %w", r.load.Name, err)
			}
			if row.bare[i], err = b.run(ctx, n, s.duration, r.bare); err != nil {
				return nil, fmt.Errorf("%s, bare: %w", r.load.Name, err)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// searches ask for one patient by an identifier.
func (w *workload) searches() load {
	l := load{Name: "search, Patient?identifier", Want: 200, PerCall: 1, Unit: "req/s"}
	for _, r := range w.resources {
		if !strings.HasPrefix(r.path, "Patient/") {
			continue
		}
		p, err := fhir.Parse(r.body, bundleLimits)
		if err != nil {
			continue
		}
		id := p.Root().Member("identifier").At(0)
		query := url.Values{"identifier": {id.Member("system").Text() + "|" + id.Member("value").Text()}}
		l.Requests = append(l.Requests, prepared{Bytes: w.request("GET", "Patient?"+query.Encode(), "clinician", nil)})
	}
	return l
}

func mongoTable(s settings, version string, rows []mongoRow) string {
	var b strings.Builder
	m := thisMachine()
	fmt.Fprintf(&b, "Machine: %s, %d cores, Linux %s, %s, load average %s at the end. Database: %s, on the same machine, %v a load. The first figure of each pair is with 1 client, the second with %d.\n\n",
		m.cpu, m.cores, m.kernel, m.golang, m.busy, version, s.duration, mongoClients[1])
	b.WriteString("| request | commands | p50 | bare commands, p50 | req/s | bare, /s | server CPU per request | driver CPU, bare | errors |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		both := func(text func(result, bareResult) string) string {
			if r.server[1].calls == 0 {
				return text(r.server[0], r.bare[0]) + " / –"
			}
			return text(r.server[0], r.bare[0]) + " / " + text(r.server[1], r.bare[1])
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s µs | %s µs | %s |\n", r.name, r.commands,
			both(func(s result, _ bareResult) string { return ms(s.p50) }), both(func(_ result, c bareResult) string { return ms(c.p50) }),
			both(func(s result, _ bareResult) string { return fmt.Sprintf("%.3g", s.calls) }), both(func(_ result, c bareResult) string { return fmt.Sprintf("%.3g", c.rate) }),
			both(func(s result, _ bareResult) string { return thousands(float64(s.cpuPerCall) / 1e3) }), both(func(_ result, c bareResult) string { return thousands(float64(c.cpu) / 1e3) }),
			errorText(r.server[0].errors)+"; "+errorText(r.server[1].errors))
	}
	b.WriteString("\n")
	return b.String()
}
