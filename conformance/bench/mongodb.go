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

	"github.com/fieldseal/fieldseal/internal/demo"
)

// mongoClients are how many keep-alive connections, or goroutines with bare
// commands, ask at once after one alone.
const mongoClients = 8

// slow is how many requests a second one client has to get for several to be
// tried.
const slow = 10

// mongoRow is one kind of interaction: through the server, the same commands
// issued bare, and through a server on the embedded engine with the same data.
type mongoRow struct {
	mongoLoad
	one      inTurn
	many     result        // not measured when one client gets few answers
	alone    [2]bareResult // the commands, from as many
	embedded inTurn
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
	srv, err := launchOnMongoDB(ctx, binary, scratch, store)
	if err != nil {
		return err
	}
	defer srv.stop()
	embedded, err := launch(ctx, binary, filepath.Join(scratch, "embedded"), false)
	if err != nil {
		return err
	}
	defer embedded.stop()
	machine := thisMachine()
	rows, err := measureMongoDB(ctx, s, srv, embedded, b)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, srv.errors())
	}
	text := mongoTable(s, machine, b.version, rows)
	fmt.Print(text)
	if s.write {
		return writeBetween("docs/performance.md", "mongodb", text)
	}
	return nil
}

// launchOnMongoDB starts a server that tells which commands it sends.
func launchOnMongoDB(ctx context.Context, binary, scratch, store string) (*server, error) {
	kek := filepath.Join(scratch, "kek")
	if err := exec.CommandContext(ctx, binary, "keys", "create", kek).Run(); err != nil {
		return nil, fmt.Errorf("making a root key: %w", err)
	}
	metrics, err := freeAddress()
	if err != nil {
		return nil, err
	}
	srv, err := launch(ctx, binary, filepath.Join(scratch, "node"), false, "--store", store, "--kek-file", kek, "--metrics", metrics)
	if err == nil {
		srv.metrics = metrics
	}
	return srv, err
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

// stocked stores the smallest of the demo patients, the same ones on each server,
// and some whom nobody else's identifier names.
func stocked(ctx context.Context, srv *server) (*workload, error) {
	w := &workload{srv: srv}
	var bundles [][]byte
	for _, data := range demo.Bundles() {
		bundles = append(bundles, data)
	}
	sort.Slice(bundles, func(i, j int) bool { return len(bundles[i]) < len(bundles[j]) })
	for _, data := range append(bundles[:mongoPatients:mongoPatients], soleBundle()) {
		if err := w.store(ctx, data); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// measureMongoDB runs the loads.
func measureMongoDB(ctx context.Context, s settings, srv, embedded *server, b *bare) ([]mongoRow, error) {
	w, err := stocked(ctx, srv)
	if err != nil {
		return nil, err
	}
	same, err := stocked(ctx, embedded)
	if err != nil {
		return nil, err
	}
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	var rows []mongoRow
	there := mongoLoads(same, b)
	for i, l := range mongoLoads(w, b) {
		if s.only != "" && s.only != l.Name {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s …\n", l.Name)
		row := mongoRow{mongoLoad: l}
		if err := row.measure(ctx, s, srv, b); err != nil {
			return nil, fmt.Errorf("%s: %w", l.Name, err)
		}
		if row.embedded, err = embedded.oneByOne(ctx, there[i].load, s.duration*time.Duration(s.rounds)); err != nil {
			return nil, fmt.Errorf("%s, embedded: %w", l.Name, err)
		}
		fmt.Fprintf(os.Stderr, "%s\n%s", row.one.sent, row.String()) // what is left of a run that fails
		rows = append(rows, row)
	}
	return rows, nil
}

// measure runs the load and its commands alone in turn.
func (row *mongoRow) measure(ctx context.Context, s settings, srv *server, b *bare) (err error) {
	duration := s.duration * time.Duration(s.rounds)
	if row.one, err = srv.oneByOne(ctx, row.load, duration); err != nil {
		return err
	}
	if row.alone[0], err = b.run(ctx, 1, duration, row.bare); err != nil {
		return fmt.Errorf("bare: %w", err)
	}
	if row.one.rate < slow {
		return nil // of several at once none would end in time
	}
	s.conns = mongoClients
	if row.many, err = runLoad(ctx, s, srv, row.load); err != nil {
		return err
	}
	if row.alone[1], err = b.run(ctx, s.conns, duration, row.bare); err != nil {
		return fmt.Errorf("bare: %w", err)
	}
	return nil
}
