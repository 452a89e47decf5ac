package suite

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// certificate writes a self-signed certificate for loopback.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "suite"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for path, b := range map[string][]byte{cert: certPEM, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return cert, key, pool
}

func startTLS(t *testing.T) (*server, *x509.CertPool) {
	t.Helper()
	cert, key, pool := certificate(t)
	s, err := launch(demoData(t), httpClient(&tls.Config{RootCAs: pool}), "--tls-cert", cert, "--tls-key", key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	return s, pool
}

func TestTLSServesHTTP2AndRefusesOldVersions(t *testing.T) { // abuse 24
	t.Parallel()
	s, pool := startTLS(t)
	s.do(t, clinician, "GET", "/Patient/"+s.Patient, nil).want(200)
	for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		if c, err := tls.Dial("tcp", s.address(), &tls.Config{RootCAs: pool, MinVersion: v, MaxVersion: v}); err == nil {
			c.Close()
			t.Errorf("version %x is accepted", v)
		}
	}
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c, err := tls.Dial("tcp", s.address(), &tls.Config{RootCAs: pool, MinVersion: v, MaxVersion: v})
		if err != nil {
			t.Errorf("version %x: %v", v, err)
			continue
		}
		c.Close()
	}
	got, _ := s.raw(t, "GET /fhir/Patient/"+s.Patient+" HTTP/1.1\r\nHost: x\r\n", s.bearer(clinician), "\r\n")
	if c := statuses(t, got); len(c) > 0 && c[0] < 400 {
		t.Errorf("plain HTTP on the TLS port: %v", c)
	}
}

// Frame types and flags of HTTP/2 (RFC 9113 §6).
const (
	frameHeaders, frameReset, frameSettings, frameGoAway = 1, 3, 4, 7
	endStreamAndHeaders, acknowledge                     = 5, 1
)

func frame(b *bytes.Buffer, kind, flags byte, stream uint32, payload []byte) {
	b.Write([]byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags})
	b.Write([]byte{byte(stream >> 24), byte(stream >> 16), byte(stream >> 8), byte(stream)})
	b.Write(payload)
}

// A client that opens and resets streams at once is sent away, or costs so
// little that others do not notice (CVE-2023-44487, abuse 23).
func TestHTTP2RapidResetDoesNotStarveOthers(t *testing.T) {
	t.Parallel()
	s, pool := startTLS(t)
	before := s.peakMemory(t)
	c, err := tls.Dial("tcp", s.address(), &tls.Config{RootCAs: pool, NextProtos: []string{"h2"}})
	if err != nil || c.ConnectionState().NegotiatedProtocol != "h2" {
		t.Fatalf("no HTTP/2: %v", err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	goneAway := make(chan bool, 1)
	go func() { goneAway <- readUntilGoAway(c) }()
	sendResets(c, s.address(), 20_000)
	s.do(t, clinician, "GET", "/Patient/"+s.Patient, nil).want(200)
	if grown := s.peakMemory(t) - before; grown > 512*mib { // answers that nobody takes would be gigabytes
		t.Errorf("%d MiB for resets", grown/mib)
	} else {
		t.Logf("%d MiB for resets", grown/mib)
	}
	_ = c.SetDeadline(time.Now().Add(time.Second))
	t.Logf("sent away: %v", <-goneAway)
}

func sendResets(c io.Writer, authority string, n int) {
	var b bytes.Buffer
	b.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	frame(&b, frameSettings, 0, 0, nil)
	frame(&b, frameSettings, acknowledge, 0, nil)
	path := "/fhir/metadata"
	block := append([]byte{0x82, 0x87, 0x44, byte(len(path))}, path...) // GET, https, :path (RFC 7541 appendix A)
	block = append(append(block, 0x41, byte(len(authority))), authority...)
	for i := range n {
		stream := uint32(2*i + 1)
		frame(&b, frameHeaders, endStreamAndHeaders, stream, block)
		frame(&b, frameReset, 0, stream, []byte{0, 0, 0, 8}) // CANCEL
		if b.Len() > 32<<10 {
			if _, err := c.Write(b.Bytes()); err != nil {
				return
			}
			b.Reset()
		}
	}
	_, _ = c.Write(b.Bytes())
}

// readUntilGoAway reads frames until the server says GOAWAY or closes.
func readUntilGoAway(r io.Reader) bool {
	for {
		var head [9]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return false
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, r, length); err != nil {
			return false
		}
		if head[3] == frameGoAway {
			return true
		}
	}
}
