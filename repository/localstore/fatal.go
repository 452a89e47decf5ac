package localstore

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

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

// refusedWriteDelay keeps Pebble's retries of a refused flush from spinning
// until the process has exited.
const refusedWriteDelay = 50 * time.Millisecond

// MaybeError refuses every write below Pebble once the store has latched, so
// that nothing Pebble still does in the background reaches the folder.
func (l *latch) MaybeError(op errorfs.Op) error {
	if l.cause.Load() == nil || op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	time.Sleep(refusedWriteDelay)
	return repository.ErrUnavailable
}

func (l *latch) String() string { return "latch" }

// halt is the panic that takes one of our own calls out of Pebble after
// Fatalf; Store.leave and Store.apply recover it.
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

// Fatalf must not return, for Pebble would go on in an undefined state. A call
// that came from this package is unwound; a goroutine of Pebble's own is
// parked until the process exits, because a panic there could not be caught.
func (l logger) Fatalf(format string, args ...any) {
	l.latch.set(fmt.Errorf("pebble: "+format, args...))
	if calledFromHere() {
		panic(halt{})
	}
	select {}
}

// calledFromHere walks the stack; it runs once in the life of a store.
func calledFromHere() bool {
	var pcs [256]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		name := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		if strings.HasPrefix(name, "localstore.(*Store)") || name == "localstore.Open" {
			return true
		}
		if !more {
			return false
		}
	}
}
