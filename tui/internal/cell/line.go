package cell

import (
	"github.com/charmbracelet/x/ansi"
)

// Style is what is written before and after text to show it in a style. The
// zero Style is plain text.
type Style struct{ Before, After string }

// Line is one line of the screen, at most Limit cells wide.
type Line struct {
	Limit int

	text  []byte
	width int
}

// NewLine returns an empty line of at most limit cells.
func NewLine(limit int) *Line { return &Line{Limit: limit, text: make([]byte, 0, 2*max(limit, 0)+32)} }

// Reset empties the line for another use.
func (l *Line) Reset(limit int) { l.text, l.width, l.Limit = l.text[:0], 0, limit }

// Width is how many cells are used.
func (l *Line) Width() int { return l.width }

// Left is how many cells are left.
func (l *Line) Left() int { return l.Limit - l.width }

func (l *Line) String() string { return string(l.text) }

// Put adds text, cut at the limit.
func (l *Line) Put(s Style, text string) *Line {
	if l.width >= l.Limit || text == "" {
		return l
	}
	w := Width(text)
	if l.width+w > l.Limit {
		text = ansi.Truncate(text, l.Limit-l.width, "…")
		w = Width(text)
	}
	l.text = append(l.text, s.Before...)
	l.text = append(l.text, text...)
	l.text = append(l.text, s.After...)
	l.width += w
	return l
}

// Fit adds text if it fits whole.
func (l *Line) Fit(s Style, text string) *Line {
	if Width(text) <= l.Left() {
		l.Put(s, text)
	}
	return l
}

// Space adds n blanks.
func (l *Line) Space(n int) *Line {
	n = min(n, l.Limit-l.width)
	for ; n > 0; n -= len(blanks) {
		k := min(n, len(blanks))
		l.text = append(l.text, blanks[:k]...)
		l.width += k
	}
	return l
}

// To adds blanks up to a column.
func (l *Line) To(column int) *Line { return l.Space(column - l.width) }

// Field adds text in a field of exactly width cells.
func (l *Line) Field(s Style, text string, width int, right bool) *Line {
	width = min(width, l.Limit-l.width)
	if width <= 0 {
		return l
	}
	w := Width(text)
	if w > width {
		text = ansi.Truncate(text, width, "…")
		w = Width(text)
	}
	pad := width - w
	l.text = append(l.text, s.Before...)
	if right {
		l.pad(pad)
	}
	l.text = append(l.text, text...)
	if !right {
		l.pad(pad)
	}
	l.text = append(l.text, s.After...)
	l.width += width
	return l
}

func (l *Line) pad(n int) {
	for ; n > 0; n -= len(blanks) {
		l.text = append(l.text, blanks[:min(n, len(blanks))]...)
	}
}

// Join adds a finished line.
func (l *Line) Join(o *Line) *Line {
	if o.width <= l.Left() {
		l.text = append(l.text, o.text...)
		l.width += o.width
	}
	return l
}

// Open begins a style that lasts until Close; fields inside must be plain.
func (l *Line) Open(s Style) { l.text = append(l.text, s.Before...) }

// Close ends what Open began.
func (l *Line) Close(s Style) { l.text = append(l.text, s.After...) }

// Run is a cell of known width in a run of cells: the style is written only
// where it differs from that of the cell before. EndRun closes the last.
func (l *Line) Run(last **Style, s *Style, text string, width int) {
	if l.width+width > l.Limit {
		return
	}
	if *last != s {
		if *last != nil {
			l.text = append(l.text, (*last).After...)
		}
		l.text = append(l.text, s.Before...)
		*last = s
	}
	l.text = append(l.text, text...)
	l.width += width
}

// EndRun closes a run.
func (l *Line) EndRun(last **Style) {
	if *last != nil {
		l.text = append(l.text, (*last).After...)
		*last = nil
	}
}

const blanks = "                                                                                                                                                                                                        "

// Blanks returns n blanks.
func Blanks(n int) string {
	if n <= 0 {
		return ""
	}
	if n <= len(blanks) {
		return blanks[:n]
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = ' '
	}
	return string(b)
}

// Width is how many cells text takes. Plain ASCII, nearly all there is, is
// counted without decoding.
func Width(text string) int {
	for i := range len(text) {
		if text[i] >= 0x80 || text[i] < 0x20 {
			return ansi.StringWidth(text)
		}
	}
	return len(text)
}
