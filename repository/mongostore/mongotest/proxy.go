package mongotest

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy stands between a client and its server and breaks the connection.
type Proxy struct {
	listener net.Listener
	target   string
	// Silent swallows bytes and keeps connections open.
	Silent atomic.Bool
	// Delay is how many nanoseconds pass before bytes go on.
	Delay    atomic.Int64
	mu       sync.Mutex
	conns    map[net.Conn]bool
	cutAfter []byte // the next request that holds these bytes is passed on, its reply is not
	cuts     int
}

// NewProxy listens in front of a server's address until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); p.Reset() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

// URI leads through the proxy.
func (p *Proxy) URI() string {
	return "mongodb://" + p.listener.Addr().String() + "/?directConnection=true"
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		client.Close()
		return
	}
	p.keep(client, server)
	var cut atomic.Bool
	go p.copy(server, client, func(b []byte) { cut.CompareAndSwap(false, p.wanted(b)) }, nil)
	p.copy(client, server, nil, &cut)
}

func (p *Proxy) keep(cs ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range cs {
		p.conns[c] = true
	}
}

// wanted reports whether this request is the one whose reply is to be lost.
func (p *Proxy) wanted(b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.cutAfter) == 0 || !bytes.Contains(b, p.cutAfter) {
		return false
	}
	p.cutAfter = nil
	p.cuts++
	return true
}

func (p *Proxy) copy(to, from net.Conn, see func([]byte), cut *atomic.Bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 1<<20)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if cut != nil && cut.Load() {
			return
		}
		if see != nil {
			see(buf[:n])
		}
		if p.Silent.Load() {
			continue
		}
		time.Sleep(time.Duration(p.Delay.Load()))
		if _, err := io.Copy(to, bytes.NewReader(buf[:n])); err != nil {
			return
		}
	}
}

// Reset ends every connection at once.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		c.Close()
	}
	clear(p.conns)
}

// LoseReply makes the next request with these bytes lose its reply.
func (p *Proxy) LoseReply(request string) {
	p.mu.Lock()
	p.cutAfter = []byte(request)
	p.mu.Unlock()
}

// Cuts is how many replies were lost.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}
