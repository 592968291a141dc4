package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// style is how a cell looks; colours are #rrggbb, or empty for the terminal's own.
type style struct {
	fore, back                string
	bold, dim, reverse, under bool
}

// cellAt is one cell of the screen.
type cellAt struct {
	text string // empty: the second half of a wide character
	style
}

// parse makes a grid of text with SGR escapes; other escapes are left out.
func parse(text string, columns, lines int) [][]cellAt {
	grid := make([][]cellAt, lines)
	var now style
	y := 0
	for line := range strings.SplitSeq(text, "\n") {
		if y == lines {
			break
		}
		row := make([]cellAt, 0, columns)
		for len(line) > 0 {
			if strings.HasPrefix(line, "\x1b[") {
				end := strings.IndexFunc(line[2:], func(r rune) bool { return r >= 0x40 && r <= 0x7e })
				if end < 0 {
					break
				}
				if line[2+end] == 'm' {
					now = now.apply(line[2 : 2+end])
				}
				line = line[2+end+1:]
				continue
			}
			_, size := utf8.DecodeRuneInString(line)
			if line[0] >= 0x20 {
				row = append(row, cellAt{text: line[:size], style: now})
				for range ansi.StringWidth(line[:size]) - 1 {
					row = append(row, cellAt{style: now})
				}
			}
			line = line[size:]
		}
		for len(row) < columns {
			row = append(row, cellAt{text: " "})
		}
		grid[y] = row[:columns]
		y++
	}
	for ; y < lines; y++ {
		grid[y] = make([]cellAt, columns)
	}
	return grid
}

// apply returns the style after the parameters of one SGR sequence.
func (s style) apply(params string) style {
	var codes []int
	for p := range strings.FieldsFuncSeq(params, func(r rune) bool { return r == ';' || r == ':' }) {
		n, err := strconv.Atoi(p)
		if err != nil {
			return s
		}
		codes = append(codes, n)
	}
	if len(codes) == 0 {
		return style{}
	}
	for i := 0; i < len(codes); i++ {
		switch c := codes[i]; {
		case c == 0:
			s = style{}
		case c == 1:
			s.bold = true
		case c == 2:
			s.dim = true
		case c == 4:
			s.under = true
		case c == 7:
			s.reverse = true
		case c == 22:
			s.bold, s.dim = false, false
		case c == 24:
			s.under = false
		case c == 27:
			s.reverse = false
		case c == 39:
			s.fore = ""
		case c == 49:
			s.back = ""
		case c >= 30 && c <= 37:
			s.fore = indexed(c - 30)
		case c >= 90 && c <= 97:
			s.fore = indexed(c - 90 + 8)
		case c >= 40 && c <= 47:
			s.back = indexed(c - 40)
		case c >= 100 && c <= 107:
			s.back = indexed(c - 100 + 8)
		case c == 38 || c == 48:
			color, used := extended(codes[i+1:])
			if c == 38 {
				s.fore = color
			} else {
				s.back = color
			}
			i += used
		}
	}
	return s
}

// extended reads 5;N or 2;R;G;B and says how many parameters it took.
func extended(codes []int) (color string, used int) {
	switch {
	case len(codes) >= 2 && codes[0] == 5:
		return indexed(codes[1]), 2
	case len(codes) >= 4 && codes[0] == 2:
		return fmt.Sprintf("#%02x%02x%02x", codes[1], codes[2], codes[3]), 4
	}
	return "", len(codes)
}

var sixteen = [16]string{
	"#1b1e22", "#c0563b", "#4fa98c", "#b8a52c", "#5b86b8", "#a35fc0", "#4f9fa9", "#c8ccd0",
	"#5d636a", "#eb714d", "#83f9d6", "#f8e712", "#84a1ba", "#d76afb", "#7fd7e0", "#ffffff",
}

// indexed is a colour of the 256.
func indexed(n int) string {
	switch {
	case n < 0 || n > 255:
		return ""
	case n < 16:
		return sixteen[n]
	case n >= 232:
		v := 8 + 10*(n-232)
		return fmt.Sprintf("#%02x%02x%02x", v, v, v)
	}
	level := [6]int{0, 95, 135, 175, 215, 255}
	n -= 16
	return fmt.Sprintf("#%02x%02x%02x", level[n/36], level[n/6%6], level[n%6])
}
