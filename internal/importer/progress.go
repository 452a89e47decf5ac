package importer

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress draws a bar over the bytes of all inputs.
type progress struct{ bar *progressbar.ProgressBar }

// newProgress returns a bar that draws on a terminal and nothing elsewhere.
func newProgress(w io.Writer, phases [][]source) *progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return &progress{}
	}
	var total int64
	for _, sources := range phases {
		for _, s := range sources {
			if s.size < 0 {
				total = -1
			}
			if total >= 0 {
				total += s.size
			}
		}
	}
	return &progress{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(f), progressbar.OptionSetDescription("importing"),
		progressbar.OptionShowBytes(true), progressbar.OptionFullWidth(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())}
}

// add moves the bar; drawing problems concern nobody.
func (p *progress) add(bytes int64) {
	if p.bar != nil && bytes > 0 {
		_ = p.bar.Add64(bytes)
	}
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
