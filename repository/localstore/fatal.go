package localstore

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fieldseal/fieldseal/repository"
)

// latch is the state after which a store never works again.
type latch struct {
	once    sync.Once
	cause   atomic.Pointer[error]
	stopped chan struct{}
	onFatal func(error)
}

func newLatch(onFatal func(error)) *latch {
	return &latch{stopped: make(chan struct{}), onFatal: onFatal}
}

// set latches with the first cause and tells the application.
func (l *latch) set(cause error) {
	l.once.Do(func() {
		l.cause.Store(&cause)
		close(l.stopped)
		go l.onFatal(cause)
	})
}

// err is nil while the store works.
func (l *latch) err() error {
	cause := l.cause.Load()
	if cause == nil {
		return nil
	}
	return fmt.Errorf("%w: stopped after a failed write: %v", repository.ErrUnavailable, *cause)
}

// halt is the panic that takes a reading call out of Pebble after Fatalf;
// Store.leave recovers it.
type halt struct{}

// logger is Pebble's Logger.
type logger struct {
	latch   *latch
	onError func(error)
}

func (l logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	l.onError(fmt.Errorf("pebble: "+format, args...))
}

// Fatalf must not return, for Pebble would go on in an undefined state. A
// reading call is unwound. The committer and goroutines of Pebble's own are
// parked until the process exits.
func (l logger) Fatalf(format string, args ...any) {
	l.latch.set(fmt.Errorf("pebble: "+format, args...))
	if calledByReader() {
		panic(halt{})
	}
	park()
}

// calledByReader walks the stack; it runs once in the life of a store.
func calledByReader() (reader bool) {
	var pcs [256]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		name := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		if strings.HasPrefix(name, "localstore.(*committer)") || strings.Contains(name, ".detached.") {
			return false
		}
		reader = reader || strings.HasPrefix(name, "localstore.(*Store)")
	}
	return reader
}
