package term

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// plainEvery is the least time between two progress lines where there is no terminal.
const plainEvery = 5 * time.Second

// Progress shows how something goes on: on a terminal a block of lines that is
// redrawn, elsewhere one line per change, at most one each 5 s.
type Progress struct {
	s   *Streams
	now func() time.Time

	mu    sync.Mutex
	drawn int // lines of the block on the screen
	last  string
	at    time.Time
}

// NewProgress makes a Progress on s.Err.
func (s *Streams) NewProgress(now func() time.Time) *Progress { return &Progress{s: s, now: now} }

// Live reports whether the block form is shown.
func (p *Progress) Live() bool { return p.s.ErrTTY && !p.s.Quiet }

// Show shows the state: block on a terminal, line elsewhere. A line that says
// what the one before said is not repeated. Urgent lines are written at once.
func (p *Progress) Show(block []string, line string, urgent bool) {
	if p.s.Quiet {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.s.ErrTTY {
		p.draw(block)
		return
	}
	now := p.now()
	if line == p.last || (!urgent && !p.at.IsZero() && now.Sub(p.at) < plainEvery) {
		return
	}
	p.last, p.at = line, now
	_, _ = fmt.Fprintln(p.s.Err, line)
}

func (p *Progress) draw(block []string) {
	var b strings.Builder
	p.up(&b)
	for _, l := range block {
		b.WriteString("\x1b[2K")
		b.WriteString(cut(l, p.s.Width))
		b.WriteByte('\n')
	}
	b.WriteString("\x1b[J")
	p.drawn = len(block)
	_, _ = fmt.Fprint(p.s.Err, b.String())
}

func (p *Progress) up(b *strings.Builder) {
	if p.drawn > 0 {
		fmt.Fprintf(b, "\x1b[%dA\r", p.drawn)
	}
}

// Clear takes the block off the screen.
func (p *Progress) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.s.ErrTTY && p.drawn > 0 {
		var b strings.Builder
		p.up(&b)
		b.WriteString("\x1b[J")
		_, _ = fmt.Fprint(p.s.Err, b.String())
	}
	p.drawn = 0
}

// cut shortens a line to a width in characters; 0 is no limit.
func cut(line string, width int) string {
	if width <= 0 || len(line) <= width {
		return line
	}
	r := []rune(line)
	if len(r) <= width {
		return line
	}
	return string(r[:width-1]) + "…"
}

// Bar draws a bar of n characters for a share of 0 to 1.
func Bar(share float64, n int) string {
	full := int(min(max(share, 0), 1)*float64(n) + 0.5)
	return strings.Repeat("█", full) + strings.Repeat("░", n-full)
}
