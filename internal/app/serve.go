package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/internal/adminapi"
	"github.com/fieldseal/fieldseal/internal/config"
	"github.com/fieldseal/fieldseal/internal/node"
)

// maxHeaderBytes is ample for a token and conditional headers.
const maxHeaderBytes = 16 << 10

// minReadTime lets a slow but honest client upload a large Bundle.
const minReadTime = 60 * time.Second

// Serving is what Serve tells its caller once requests are taken.
type Serving struct {
	Base        string
	Credentials *Credentials // with --demo
	Folder      string
	Metrics     string // where they are, empty when they are not served
	// Founding says that no administrator can log in yet.
	Founding bool
}

// Serve runs the server until ctx ends, then drains and releases everything.
// metrics may be nil. started is called when requests are taken.
func Serve(ctx context.Context, cfg config.Options, metrics http.Handler, progress io.Writer, logger *slog.Logger, started func(Serving)) (err error) {
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	defer func() { _ = listener.Close() }() // closed before, when the server ran
	a, err := Open(ctx, cfg, cfg.Base(listener.Addr()), logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	serving := Serving{Base: a.base, Folder: cfg.Data}
	if cfg.Demo {
		if serving.Credentials, err = a.demo(ctx, progress); err != nil {
			return fmt.Errorf("loading the demo: %w", err)
		}
	}
	able, err := a.office.Started(ctx)
	if err != nil {
		return fmt.Errorf("reading accounts: %w", err)
	}
	serving.Founding = !able
	if err := a.record(ctx, systemEvent("start")); err != nil {
		return err
	}
	servers, err := a.listen(listener, metrics, &serving)
	if err != nil {
		return err
	}
	failed := make(chan error, len(servers))
	for _, s := range servers {
		go func() { failed <- s.run() }()
	}
	stopSweeping, stopIndexing, stopFollowing := a.housekeeping(ctx), a.tendIndex(ctx), a.followPolicy(ctx)
	started(serving)
	select {
	case <-ctx.Done():
	case err = <-failed:
	case err = <-a.fatal:
	}
	stopSweeping()
	stopIndexing()
	stopFollowing()
	return errors.Join(err, a.drain(servers), a.record(context.WithoutCancel(ctx), systemEvent("stop")))
}

func systemEvent(subtype string) audit.Event {
	return audit.Event{Kind: audit.System, Subtype: subtype, Action: audit.Execute, Outcome: audit.Success,
		Agent: audit.Agent{Subject: "client:fieldseal", Address: "local"}}
}

// server is one listener with its http.Server.
type server struct {
	http     *http.Server
	listener net.Listener
	tls      bool
}

func (s *server) run() error {
	var err error
	if s.tls {
		err = s.http.ServeTLS(s.listener, "", "")
	} else {
		err = s.http.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// listen prepares the FHIR face, the admin socket, metrics and, in the
// development profile, profiling. It notes where the metrics are: with port 0
// nobody else knows.
func (a *App) listen(l net.Listener, metrics http.Handler, serving *Serving) ([]*server, error) {
	fhir := &server{http: a.httpServer(a.flight.wrap(a.root)), listener: l}
	if a.cfg.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(a.cfg.TLSCert, a.cfg.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("loading the TLS certificate: %w", err)
		}
		fhir.tls, fhir.http.TLSConfig = true, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	}
	servers := []*server{fhir}
	admin, err := a.adminSocket()
	if err != nil {
		return nil, err
	}
	servers = append(servers, admin)
	for _, extra := range []struct {
		addr    string
		handler http.Handler
		at      *string
	}{{a.cfg.Metrics, metrics, &serving.Metrics}, {a.cfg.Debug, debugMux(), new(string)}} {
		if extra.addr == "" || extra.handler == nil {
			continue
		}
		l, err := net.Listen("tcp", extra.addr)
		if err != nil {
			return nil, fmt.Errorf("listening for metrics or debugging: %w", err)
		}
		*extra.at = "http://" + l.Addr().String()
		s := &server{http: a.httpServer(extra.handler), listener: l}
		s.http.WriteTimeout = 0 // a CPU profile takes as long as it was asked to
		servers = append(servers, s)
	}
	return servers, nil
}

func (a *App) httpServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: a.cfg.HeaderTimeout, ReadTimeout: max(a.cfg.RequestTimeout, minReadTime),
		IdleTimeout: a.cfg.IdleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: log.New(io.Discard, "", 0)} // it repeats what clients send
}

func (a *App) adminSocket() (*server, error) {
	l, err := adminapi.Listen(a.cfg.Data)
	if err != nil {
		return nil, err
	}
	return &server{http: &http.Server{Handler: adminapi.NewHandler(a), ReadHeaderTimeout: a.cfg.HeaderTimeout,
		ConnContext: adminapi.ConnContext}, listener: l}, nil
}

func debugMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// drain lets requests in flight end, then closes what is left.
func (a *App) drain(servers []*server) error {
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.DrainTimeout)
	defer cancel()
	var errs []error
	for _, s := range servers {
		if err := s.http.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("draining: %w", err), s.http.Close())
		}
	}
	return errors.Join(errs...)
}

// sweepEvery is how often rows of expired tokens are removed.
const sweepEvery = 5 * time.Minute

// remindEvery is in how many sweeps overdue reviews are told once: hourly.
const remindEvery = 12

// housekeeping owns the goroutine that sweeps; stop ends it and waits.
func (a *App) housekeeping(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.sweep(ctx, a.afterRestore, a.forgetErased, a.remindOverdue)
		sweeps := 0
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				a.sweep(ctx, a.sweepTokens, a.sweepReplays, a.sweepAuthorizations, a.sweepLogins, a.sweepForms)
				if sweeps++; sweeps%remindEvery == 0 {
					a.sweep(ctx, a.remindOverdue)
				}
			}
		}
	}()
	return func() { cancel(); <-done }
}

// sweep runs work that removes what is over, unless another node does.
func (a *App) sweep(ctx context.Context, work ...func(context.Context) error) {
	err := a.peers.Alone(ctx, workSweep, func(ctx context.Context) error {
		var errs []error
		for _, w := range work {
			errs = append(errs, w(ctx))
		}
		return errors.Join(errs...)
	})
	if err != nil && !errors.Is(err, node.ErrBusy) && ctx.Err() == nil {
		a.log.Warn("sweeping", "error", err.Error())
	}
}

func (a *App) sweepTokens(ctx context.Context) error {
	if _, err := a.tokens.Sweep(ctx); err != nil {
		return fmt.Errorf("sweeping expired tokens: %w", err)
	}
	return nil
}

func (a *App) sweepReplays(ctx context.Context) error {
	if _, err := a.service.SweepReplays(ctx); err != nil {
		return fmt.Errorf("sweeping expired idempotency keys: %w", err)
	}
	return nil
}

// afterRestore removes what a restored backup brought back of erased patients.
// With one node that was done before it served (openStore, openTrail); with
// several it is no reason to keep a new one from serving.
func (a *App) afterRestore(ctx context.Context) error {
	if a.node == nil {
		return nil
	}
	if err := a.replayErasures(ctx); err != nil {
		return err
	}
	_, err := a.trailKeys.Sweep(ctx)
	return err
}
