package agent

import (
	"bytes"
	"sync"
)

// logTailBytes is how much of the log a node remembers for a debug bundle.
const logTailBytes = 1 << 20

// logTail is a writer that remembers the end of what was written.
type logTail struct {
	mu  sync.Mutex
	buf []byte // at most twice logTailBytes
	cut bool
}

// Write implements io.Writer.
func (l *logTail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if over := len(l.buf) - logTailBytes; over > logTailBytes {
		l.buf, l.cut = append([]byte(nil), l.buf[over:]...), true
	}
	return len(p), nil
}

// tail returns the last lines, and whether there were more.
func (l *logTail) tail() ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, cut := l.buf, l.cut
	if over := len(b) - logTailBytes; over > 0 {
		b, cut = b[over:], true
	}
	if i := bytes.IndexByte(b, '\n'); cut && i >= 0 {
		b = b[i+1:] // the first line may be half of one
	}
	return bytes.Clone(b), cut
}
