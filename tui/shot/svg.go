package main

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"strings"
)

// Sizes of the picture, in its own units.
const (
	cellWidth  = 8.4
	cellHeight = 18.0
	fontSize   = 14.0
	baseline   = 13.5
	margin     = 14.0
	bar        = 30.0 // the title of the window
)

type look struct{ ground, text, frame, title string }

var (
	darkLook  = look{ground: "#16191d", text: "#d5d9dd", frame: "#24292f", title: "#9aa0a6"}
	lightLook = look{ground: "#ffffff", text: "#1b1e22", frame: "#e4e7ea", title: "#5a5f64"}
)

// picture is a screen to be drawn.
type picture struct {
	grid  [][]cellAt
	look  look
	title string
}

func (p picture) write(w *bufio.Writer) {
	columns := 0
	for _, row := range p.grid {
		columns = max(columns, len(row))
	}
	width, height := float64(columns)*cellWidth+2*margin, float64(len(p.grid))*cellHeight+2*margin+bar
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" font-family="'JetBrains Mono','DejaVu Sans Mono',Menlo,Consolas,monospace" font-size="%.0f">`+"\n",
		width, height, width, height, fontSize)
	fmt.Fprintf(w, `<rect width="100%%" height="100%%" rx="10" fill="%s"/><path d="M0 %.0fV10a10 10 0 0 1 10-10H%.0fa10 10 0 0 1 10 10V%.0fz" fill="%s"/>`+"\n",
		p.look.ground, bar, width-10, bar, p.look.frame)
	for i, color := range []string{"#eb714d", "#e0b93f", "#5fb99a"} {
		fmt.Fprintf(w, `<circle cx="%d" cy="15" r="5.5" fill="%s"/>`, 20+18*i, color)
	}
	fmt.Fprintf(w, `<text x="50%%" y="20" text-anchor="middle" font-size="13" fill="%s">%s</text>`+"\n", p.look.title, escape(p.title))
	for y, row := range p.grid {
		p.row(w, row, margin, margin+bar+float64(y)*cellHeight)
	}
	fmt.Fprintln(w, "</svg>")
}

// colors are those that a style comes to.
func (p picture) colors(s style) (fore, back string) {
	fore, back = s.fore, s.back
	if fore == "" {
		fore = p.look.text
	}
	if s.reverse {
		if back == "" {
			back = p.look.ground
		}
		return back, fore
	}
	return fore, back
}

func (p picture) row(w *bufio.Writer, row []cellAt, left, top float64) {
	for from := 0; from < len(row); {
		to := from + 1
		for to < len(row) && row[to].style == row[from].style {
			to++
		}
		if _, back := p.colors(row[from].style); back != "" {
			fmt.Fprintf(w, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, left+float64(from)*cellWidth, top, float64(to-from)*cellWidth+0.2, cellHeight+0.2, back)
		}
		from = to
	}
	for from := 0; from < len(row); {
		if shape(row[from].text) {
			to := from + 1
			for to < len(row) && row[to] == row[from] {
				to++
			}
			p.draw(w, row[from], to-from, left+float64(from)*cellWidth, top)
			from = to
			continue
		}
		to := from + 1
		for to < len(row) && row[to].style == row[from].style && !shape(row[to].text) && !strings.HasPrefix(row[to].text, " ") {
			to++
		}
		p.text(w, row[from:to], left+float64(from)*cellWidth, top)
		from = to
	}
	fmt.Fprintln(w)
}

// text writes cells of one style as text of exactly their width.
func (p picture) text(w *bufio.Writer, cells []cellAt, x, top float64) {
	var b strings.Builder
	for _, c := range cells {
		b.WriteString(c.text)
	}
	text := b.String()
	trimmed := strings.TrimLeft(text, " ")
	x += float64(len(text)-len(trimmed)) * cellWidth
	if trimmed == "" {
		return
	}
	fore, _ := p.colors(cells[0].style)
	extra := ""
	if cells[0].bold {
		extra += ` font-weight="700"`
	}
	if cells[0].dim {
		extra += ` opacity="0.6"`
	}
	if cells[0].under {
		extra += ` text-decoration="underline"`
	}
	n := float64(len([]rune(trimmed)))
	fmt.Fprintf(w, `<text x="%.1f" y="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs" fill="%s"%s>%s</text>`, x, top+baseline, n*cellWidth, fore, extra, escape(trimmed))
}

// heights are the bars of a sparkline, in eighths.
var heights = map[string]float64{"▁": 1, "▂": 2, "▃": 3, "▄": 4, "▅": 5, "▆": 6, "▇": 7, "█": 8}

// shape reports whether a character is drawn, not written: no font makes bars
// and lines meet.
func shape(s string) bool {
	switch s {
	case "─", "│", "╭", "╮", "╰", "╯", "━", "▌", "┃":
		return true
	}
	return heights[s] > 0
}

func (p picture) draw(w *bufio.Writer, c cellAt, n int, x, top float64) {
	fore, _ := p.colors(c.style)
	width := float64(n) * cellWidth
	middleX, middleY := x+cellWidth/2, top+cellHeight/2
	rect := func(x, y, width, height float64) {
		fmt.Fprintf(w, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, x, y, width, height, fore)
	}
	line := func(path string) { fmt.Fprintf(w, `<path d="%s" fill="none" stroke="%s"/>`, path, fore) }
	const r = 4.0
	switch c.text {
	case "─":
		rect(x, middleY-0.5, width, 1)
	case "│":
		for i := range n {
			rect(middleX-0.5+float64(i)*cellWidth, top, 1, cellHeight)
		}
	case "┃":
		rect(middleX-1.5, top, 3, cellHeight)
	case "▌":
		rect(x, top, cellWidth/2, cellHeight)
	case "━":
		rect(x, middleY-2, width+0.1, 4)
	case "╭":
		line(fmt.Sprintf("M%.1f %.1fV%.1fa%g %g 0 0 1 %g %gH%.1f", middleX, top+cellHeight, middleY+r, r, r, r, -r, x+cellWidth))
	case "╮":
		line(fmt.Sprintf("M%.1f %.1fH%.1fa%g %g 0 0 1 %g %gV%.1f", x, middleY, middleX-r, r, r, r, r, top+cellHeight))
	case "╰":
		line(fmt.Sprintf("M%.1f %.1fV%.1fa%g %g 0 0 0 %g %gH%.1f", middleX, top, middleY-r, r, r, r, r, x+cellWidth))
	case "╯":
		line(fmt.Sprintf("M%.1f %.1fH%.1fa%g %g 0 0 0 %g %gV%.1f", x, middleY, middleX-r, r, r, r, -r, top))
	default:
		h := heights[c.text] / 8 * (cellHeight - 5)
		for i := range n {
			rect(x+float64(i)*cellWidth+0.6, top+cellHeight-2.5-h, cellWidth-1.2, h)
		}
	}
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}
