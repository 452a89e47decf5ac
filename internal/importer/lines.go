package importer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/fieldseal/fieldseal/fhir"
)

// lineReader reads lines of bounded length and knows where they stand.
type lineReader struct {
	in     *bufio.Reader
	limit  int   // bytes of one line
	offset int64 // of the next line
	number int   // of the last line
}

// next returns a line without its end. A line over the limit is skipped to its
// end and reported as tooLong. io.EOF comes alone, after the last line.
func (l *lineReader) next() (line []byte, tooLong bool, err error) {
	for {
		part, err := l.in.ReadSlice('\n')
		l.offset += int64(len(part))
		if tooLong = tooLong || len(line)+len(part) > l.limit; tooLong {
			line = nil
		} else {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && (len(line) > 0 || tooLong):
		case err != nil:
			return nil, false, err
		}
		l.number++
		return bytes.TrimRight(line, "\r\n"), tooLong, nil
	}
}

// skipTo moves to an offset that an earlier run reached, counting the lines.
func (l *lineReader) skipTo(offset int64) error {
	for l.offset < offset {
		if _, _, err := l.next(); err != nil {
			return err
		}
	}
	return nil
}

// feeder cuts one source of lines into units.
type feeder struct {
	*run
	source source
	key    string
	out    chan<- *unit
	lines  lineReader
	unit   *unit
	size   int
	sent   bool   // any unit of this source was not done before
	redo   record // lines up to redo.End are taken only when they stand in redo.Redo
}

// feedLines streams ndjson. A resource that cannot be read is refused by line
// number and the rest goes on; a source that cannot be read on ends with a
// refusal of its own.
func (r *run) feedLines(ctx context.Context, s source, out chan<- *unit) error {
	in, err := s.open()
	if err != nil {
		r.refuseInput(s, err)
		return nil
	}
	defer in.Close()
	f := &feeder{run: r, source: s, key: r.state.key(s.place), out: out,
		lines: lineReader{in: bufio.NewReaderSize(in, 256<<10), limit: maxDocumentBytes}}
	if s.form == sniffed {
		document, err := f.sniff(ctx)
		if document || err != nil {
			return err
		}
	}
	for {
		err := f.step(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		var unreadable *unreadableError
		if errors.As(err, &unreadable) {
			r.refuseInput(s, unreadable.cause)
			break
		}
		if err != nil {
			return err
		}
	}
	if err := f.flush(ctx); err != nil {
		return err
	}
	if !f.sent && f.lines.offset > 0 {
		r.skip()
	}
	return nil
}

// unreadableError marks a fault of the source, not of the run.
type unreadableError struct{ cause error }

func (e *unreadableError) Error() string { return e.cause.Error() }

// step takes one line, or a whole unit that is done.
func (f *feeder) step(ctx context.Context) error {
	if f.unit == nil {
		if done, ok := f.state.done(f.key, f.lines.offset); ok && len(done.Redo) == 0 {
			f.bar.add(done.End - f.lines.offset)
			return readFault(f.lines.skipTo(done.End))
		} else if ok {
			f.redo = done
		}
		f.start()
	}
	at := f.lines.offset
	line, tooLong, err := f.lines.next()
	if err != nil {
		return readFault(err)
	}
	if len(bytes.TrimSpace(line)) > 0 && f.wants(at) || tooLong {
		if err := f.take(ctx, at, line, tooLong); err != nil {
			return err
		}
	}
	if f.unit == nil { // the line was a Bundle, sent by itself
		return nil
	}
	f.unit.end = f.lines.offset
	if len(f.unit.entries) >= f.BatchSize || f.size >= maxBatchBytes || f.lines.offset == f.redo.End {
		return f.flush(ctx)
	}
	return nil
}

// wants reports whether the line is to be sent: all lines are, but in a unit
// that was done except for its refused lines only those.
func (f *feeder) wants(at int64) bool {
	return at >= f.redo.End || slices.Contains(f.redo.Redo, at)
}

func readFault(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &unreadableError{err}
}

func (f *feeder) start() {
	f.unit, f.size = &unit{source: f.source, key: f.key, offset: f.lines.offset, end: f.lines.offset}, 0
}

// take adds a line to the unit in hand.
func (f *feeder) take(ctx context.Context, at int64, line []byte, tooLong bool) error {
	refuse := func(text string) {
		f.unit.refused = append(f.unit.refused, result{pos: at, line: f.lines.number, diagnostics: []string{text}})
	}
	if tooLong {
		refuse(fmt.Sprintf("the line is longer than %d MiB", f.lines.limit>>20))
		return nil
	}
	res, err := fhir.Parse(line, documentLimits)
	if err != nil {
		refuse(err.Error())
		return nil
	}
	if unpacks(res) {
		return f.bundle(ctx, at, line)
	}
	e, err := f.run.resource(f.key, at, f.lines.number, res)
	if err != nil {
		refuse(err.Error())
		return nil
	}
	if id := e.request("url"); e.request("method") == http.MethodPut {
		if slices.Contains(f.unit.ids, id) { // a batch must not write one resource twice
			if err := f.flushBefore(ctx, at); err != nil {
				return err
			}
		}
		f.unit.ids = append(f.unit.ids, id)
	}
	f.unit.entries = append(f.unit.entries, e)
	f.size += len(line)
	return nil
}

// bundle sends a line that is a Bundle of its own as a document.
func (f *feeder) bundle(ctx context.Context, at int64, line []byte) error {
	if err := f.flushBefore(ctx, at); err != nil {
		return err
	}
	u := f.unit
	u.offset, u.end = at, f.lines.offset
	u.load = func() ([]byte, error) { return line, nil }
	return f.flush(ctx)
}

// flushBefore sends what stands before the line at the offset.
func (f *feeder) flushBefore(ctx context.Context, at int64) error {
	f.unit.end = at
	if err := f.flush(ctx); err != nil {
		return err
	}
	f.start()
	f.unit.offset = at
	return nil
}

// flush hands the unit over, if it holds anything.
func (f *feeder) flush(ctx context.Context) error {
	u := f.unit
	f.unit = nil
	if u == nil || u.end == u.offset {
		return nil
	}
	f.sent = true
	u.bytes = u.end - u.offset
	f.gate.enter(u.ids)
	err := hand(ctx, f.out, u)
	if err != nil {
		f.gate.leave(u.ids)
	}
	return err
}

// sniff decides what standard input is: ndjson when its first line is a whole
// resource, else one document.
func (f *feeder) sniff(ctx context.Context) (isDocument bool, err error) {
	f.start()
	line, tooLong, err := f.lines.next()
	if errors.Is(err, io.EOF) {
		f.refuseInput(f.source, errEmpty)
		return true, nil
	}
	if err != nil {
		f.refuseInput(f.source, err)
		return true, nil
	}
	if _, err := fhir.Parse(line, documentLimits); err == nil {
		f.unit.end = f.lines.offset
		return false, f.take(ctx, 0, line, false)
	}
	if tooLong { // a document in one line, or a line that no server takes
		f.refuseInput(f.source, errDocumentTooLarge)
		return true, nil
	}
	rest, err := io.ReadAll(io.LimitReader(f.lines.in, maxDocumentBytes))
	if err != nil {
		f.refuseInput(f.source, err)
		return true, nil
	}
	whole := append(append(line, '\n'), rest...)
	return true, hand(ctx, f.out, &unit{source: f.source, load: func() ([]byte, error) { return whole, nil }})
}
