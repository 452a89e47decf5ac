package rest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// gzipFrom is the size below which compression costs more than it saves.
const gzipFrom = 1 << 10

var (
	buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	zippers = sync.Pool{New: func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }}
	deflate = sync.Pool{New: func() any { z, _ := zlib.NewWriterLevel(nil, zlib.BestSpeed); return z }}
)

// compressor is what the writers of both codings have in common.
type compressor interface {
	io.WriteCloser
	Reset(io.Writer)
	Flush() error
}

func pool(coding string) *sync.Pool {
	if coding == "deflate" {
		return &deflate
	}
	return &zippers
}

// compress applies a content coding (RFC 9110 §8.4.1; "deflate" is the zlib
// format). The caller gives the buffer back to buffers.
func compress(coding string, body []byte) *bytes.Buffer {
	pool := pool(coding)
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	z := pool.Get().(compressor)
	defer pool.Put(z)
	z.Reset(buf)
	_, _ = z.Write(body) // a bytes.Buffer takes everything
	_ = z.Close()
	return buf
}

// decompress undoes the content coding of a request body, reading no more than
// limit bytes of what was sent.
func decompress(coding string, body io.Reader, limit int) (io.Reader, error) {
	switch strings.ToLower(coding) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(io.LimitReader(body, int64(limit)))
		if err != nil {
			return nil, fmt.Errorf("reading gzip: %w", err)
		}
		return z, nil
	case "deflate":
		z, err := zlib.NewReader(io.LimitReader(body, int64(limit)))
		if err != nil {
			return nil, fmt.Errorf("reading deflate: %w", err)
		}
		return z, nil
	}
	return nil, errEncoding
}
