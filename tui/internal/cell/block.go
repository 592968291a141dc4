package cell

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Block is a rectangle of finished lines. Lines may be narrower than the block.
type Block struct {
	Width int

	lines  []string
	widths []int
}

// NewBlock returns a block without lines.
func NewBlock(width int) *Block { return &Block{Width: width} }

// Height is how many lines there are.
func (b *Block) Height() int { return len(b.lines) }

// Add appends a line.
func (b *Block) Add(l *Line) *Block {
	b.lines, b.widths = append(b.lines, l.String()), append(b.widths, l.width)
	return b
}

// Text appends a line of one style.
func (b *Block) Text(s Style, text string) *Block { return b.Add(NewLine(b.Width).Put(s, text)) }

// Wrap appends text in as many lines as it needs, each after indent blanks.
func (b *Block) Wrap(s Style, text string, indent int) *Block {
	for _, line := range Wrap(text, b.Width-indent) {
		b.Add(NewLine(b.Width).Space(indent).Put(s, line))
	}
	return b
}

// Blank appends an empty line.
func (b *Block) Blank() *Block {
	b.lines, b.widths = append(b.lines, ""), append(b.widths, 0)
	return b
}

// Append appends the lines of another block.
func (b *Block) Append(o *Block) *Block {
	b.lines, b.widths = append(b.lines, o.lines...), append(b.widths, o.widths...)
	return b
}

// Resize cuts or fills the block to exactly height lines.
func (b *Block) Resize(height int) *Block {
	for len(b.lines) < height {
		b.Blank()
	}
	b.lines, b.widths = b.lines[:height], b.widths[:height]
	return b
}

// Cut takes the lines from..to out.
func (b *Block) Cut(from, to int) *Block {
	b.lines = append(b.lines[:from:from], b.lines[to:]...)
	b.widths = append(b.widths[:from:from], b.widths[to:]...)
	return b
}

// Slice returns the lines from..to as a block.
func (b *Block) Slice(from, to int) *Block {
	return &Block{Width: b.Width, lines: b.lines[from:to:to], widths: b.widths[from:to:to]}
}

func (b *Block) String() string { return strings.Join(b.lines, "\n") }

// Beside lays blocks side by side, height lines high, with rule between them.
func Beside(height int, rule Style, mark string, blocks ...*Block) *Block {
	width := 3 * (len(blocks) - 1)
	for _, b := range blocks {
		b.Resize(height)
		width += b.Width
	}
	out := NewBlock(width)
	for y := range height {
		l := NewLine(width)
		for i, b := range blocks {
			if i > 0 {
				l.Space(1).Put(rule, mark).Space(1)
			}
			start := l.width
			l.text = append(l.text, b.lines[y]...)
			l.width += b.widths[y]
			if i < len(blocks)-1 {
				l.To(start + b.Width)
			}
		}
		out.Add(l)
	}
	return out
}

// Over draws top over the lines of b with its upper left cell at x, y.
func (b *Block) Over(top *Block, x, y int) *Block {
	for i, line := range top.lines {
		at := y + i
		if at < 0 || at >= len(b.lines) {
			continue
		}
		left := ansi.Truncate(b.lines[at], x, "")
		left += Blanks(x - min(x, b.widths[at]))
		end := x + top.Width
		right := ""
		if b.widths[at] > end {
			right = ansi.TruncateLeft(b.lines[at], end, "")
		}
		b.lines[at] = left + "\x1b[m" + line + Blanks(top.Width-top.widths[i]) + "\x1b[m" + right
		b.widths[at] = max(b.widths[at], end)
	}
	return b
}

// Frame puts a border around the block: its width and height grow by 4 and 2.
// marks are the corners from the upper left clockwise, then the horizontal and
// the vertical line.
func (b *Block) Frame(border Style, title Style, head string, marks [6]string) *Block {
	w := b.Width + 4
	out := NewBlock(w)
	top := NewLine(w).Put(border, marks[0]+marks[4])
	if head != "" {
		top.Put(title, " "+ansi.Truncate(head, w-6, "…")+" ")
	}
	top.Put(border, strings.Repeat(marks[4], max(0, w-1-top.width))+marks[1])
	out.Add(top)
	for i := range b.lines {
		l := NewLine(w).Put(border, marks[5]).Space(1)
		l.text = append(l.text, b.lines[i]...)
		l.width += b.widths[i]
		out.Add(l.To(w-2).Space(1).Put(border, marks[5]))
	}
	return out.Add(NewLine(w).Put(border, marks[3]+strings.Repeat(marks[4], w-2)+marks[2]))
}

// Wrap breaks text at blanks into lines of at most width cells; a longer word
// stands alone.
func Wrap(text string, width int) []string {
	var lines []string
	line, used := "", 0
	for word := range strings.FieldsSeq(text) {
		w := Width(word)
		if used > 0 && used+1+w > width {
			lines = append(lines, line)
			line, used = "", 0
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+w
	}
	return append(lines, line)
}
