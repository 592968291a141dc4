// Package logsample keeps strangers from filling the log.
//
// Whoever reaches a port can cause a line per packet. A Sampler writes the first
// lines of each minute and reason, then only how many more there were.
//
// # Concurrency
//
// A Sampler may be used from several goroutines.
package logsample

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/logattr"
)

const (
	// linesPerMinute is how many lines of one reason are written as they come.
	linesPerMinute = 10
	// reasonsMost bounds memory if a caller makes reasons of foreign text: what is
	// beyond it shares one count.
	reasonsMost = 64
	// otherReasons is the reason that they share.
	otherReasons = "other"
)

// Sampler is a log for lines that strangers cause.
type Sampler struct {
	log *slog.Logger

	mu      sync.Mutex
	reasons map[string]*minute
	closed  bool
}

// minute is the current minute of one reason. It begins with a line.
type minute struct {
	level slog.Level
	lines int // written or left out
	end   *time.Timer
}

// New returns a Sampler that writes to log.
func New(log *slog.Logger) *Sampler {
	return &Sampler{log: log, reasons: map[string]*minute{}}
}

// Log writes a line, unless there were enough of its reason within the minute.
// The reason is one of a few words that the program knows ("tls handshake",
// "wrong password"), never text from outside; it is an attribute of the line.
func (s *Sampler) Log(level slog.Level, reason, message string, attrs ...slog.Attr) {
	if s.count(level, reason) {
		s.log.LogAttrs(context.Background(), level, message, append([]slog.Attr{logattr.Reason(reason)}, attrs...)...)
	}
}

// count reports whether the line is to be written.
func (s *Sampler) count(level slog.Level, reason string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return true
	}
	if _, ok := s.reasons[reason]; !ok && len(s.reasons) >= reasonsMost {
		reason = otherReasons
	}
	m := s.reasons[reason]
	if m == nil {
		m = &minute{level: level}
		m.end = time.AfterFunc(time.Minute, func() { s.endMinute(reason, m) })
		s.reasons[reason] = m
	}
	m.lines++
	return m.lines <= linesPerMinute
}

// endMinute tells how many lines were left out. An attack that goes on begins
// the next minute with lines again.
func (s *Sampler) endMinute(reason string, m *minute) {
	s.mu.Lock()
	current := s.reasons[reason] == m
	if current {
		delete(s.reasons, reason)
	}
	lines := m.lines
	s.mu.Unlock()
	if current {
		s.summarize(reason, m.level, lines)
	}
}

func (s *Sampler) summarize(reason string, level slog.Level, lines int) {
	if left := lines - linesPerMinute; left > 0 {
		s.log.LogAttrs(context.Background(), level, "more of the same within a minute, not written one by one",
			logattr.Reason(reason), slog.Int("count", left))
	}
}

// Close tells the counts that are due. What is logged later is written as it comes.
func (s *Sampler) Close() {
	s.mu.Lock()
	reasons := s.reasons
	s.reasons, s.closed = nil, true
	s.mu.Unlock()
	for reason, m := range reasons {
		m.end.Stop()
		s.summarize(reason, m.level, m.lines)
	}
}
