package cell

import (
	"strings"
)

// Glyphs are the characters charts are drawn of, from empty to full.
type Glyphs struct {
	Spark []string // 8 heights
	Full  string
	Empty string
	Parts []string // a cell filled by 1/8 to 7/8 from the left; nil: whole cells only
}

// Spark draws the last width values, the lowest as low as lowest (0 for rates).
func Spark(g *Glyphs, values []float64, width int) string {
	if len(values) > width {
		values = values[len(values)-width:]
	}
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	b.WriteString(Blanks(width - len(values)))
	for _, v := range values {
		k := 0
		if top > 0 {
			k = int(v / top * (float64(len(g.Spark)) - 0.001))
		}
		b.WriteString(g.Spark[max(0, min(k, len(g.Spark)-1))])
	}
	return b.String()
}

// Bar returns the filled and the empty part of a bar of width cells.
func Bar(g *Glyphs, share float64, width int) (full, empty string) {
	share = max(0, min(share, 1))
	if g.Parts == nil {
		n := int(share*float64(width) + 0.5)
		return strings.Repeat(g.Full, n), strings.Repeat(g.Empty, width-n)
	}
	eighths := int(share*float64(width)*8 + 0.5)
	n, rest := eighths/8, eighths%8
	full = strings.Repeat(g.Full, n)
	used := n
	if rest > 0 {
		full, used = full+g.Parts[rest-1], used+1
	}
	return full, strings.Repeat(g.Empty, width-used)
}
