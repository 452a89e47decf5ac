package interaction

import "sync/atomic"

// maxAnswerBytes bounds the stored bytes that one answer is made of, all
// entries of a Bundle together: a Bundle of a few kilobytes may name one large
// resource thousands of times.
const maxAnswerBytes = 32 << 20

// allowance is what is left of maxAnswerBytes. The entries of a batch share
// one. It may be used concurrently.
type allowance struct{ left atomic.Int64 }

func newAllowance() *allowance {
	a := new(allowance)
	a.left.Store(maxAnswerBytes)
	return a
}

// take reports whether n more bytes fit. What did not fit is not taken, so
// that smaller entries may still be answered.
func (a *allowance) take(n int) bool {
	if a.left.Add(-int64(n)) >= 0 {
		return true
	}
	a.left.Add(int64(n))
	return false
}

// give returns what was taken for an answer that is not sent.
func (a *allowance) give(n int) { a.left.Add(int64(n)) }

func answerTooLarge() *Failure {
	f := fail(TooLarge, nil, "the answer would exceed the size limit of this server; ask for less at once")
	f.Issues[0].Code = "too-costly"
	return f
}
