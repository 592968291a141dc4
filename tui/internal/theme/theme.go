package theme

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/colorprofile"

	"github.com/nodedb/nodedb/tui/internal/cell"
)

// Names of the looks that one can ask for. Auto follows the terminal.
const (
	Auto  = "auto"
	Dark  = "dark"
	Light = "light"
	Few   = "16"
	Mono  = "mono"
)

// Names lists them.
func Names() []string { return []string{Auto, Dark, Light, Few, Mono} }

// Valid reports whether there is such a look.
func Valid(name string) bool { return slices.Contains(Names(), name) }

// Theme is one look, its styles ready to be written.
type Theme struct {
	Name  string
	Ascii bool
	Color bool // false: shape, word, bold and reverse must do

	Plain, Bold, Dim, Faint, Head, Key, Title cell.Style
	OK, Warn, Bad, Busy, Info                 cell.Style
	OKBar, WarnBar, BadBar, BusyBar           cell.Style
	Select, Tab, Rule                         cell.Style
	Fill, Track                               cell.Style // the two parts of a bar
	Heat                                      [10]cell.Style
	Owner                                     [12]cell.Style // cells of the map by leader

	Sym    *Symbols
	Glyphs *cell.Glyphs
}

// Want is what decides on a look.
type Want struct {
	Name    string // of Names
	Light   bool   // the terminal's background is light
	Profile colorprofile.Profile
	Ascii   bool
}

// New makes the look that w asks for, as far as the terminal can show it.
func New(w Want) *Theme {
	name := w.Name
	if name == Auto || name == "" {
		name = Dark
		if w.Light {
			name = Light
		}
	}
	switch {
	case w.Profile <= colorprofile.ASCII:
		name = Mono
	case w.Profile == colorprofile.ANSI && name != Mono:
		name = Few
	}
	t := &Theme{Name: name, Ascii: w.Ascii, Color: name != Mono, Sym: &unicodeSymbols, Glyphs: &unicodeGlyphs}
	if w.Ascii {
		t.Sym, t.Glyphs = &asciiSymbols, &asciiGlyphs
	}
	switch name {
	case Mono:
		t.mono()
	case Few:
		t.paint(&fewColors, inks{depth: colorprofile.ANSI})
	case Light:
		t.paint(&lightColors, inks{depth: w.Profile})
	default:
		t.paint(&darkColors, inks{depth: w.Profile})
	}
	return t
}

// Greyed is the look of what is no longer true: one faint colour, all shapes.
func (t *Theme) Greyed() *Theme {
	g := *t
	grey := t.Dim
	if !t.Color {
		grey = sgr("2")
	}
	for _, s := range []*cell.Style{
		&g.Plain, &g.Bold, &g.Dim, &g.Faint, &g.Key, &g.Title, &g.OK, &g.Warn, &g.Bad, &g.Busy, &g.Info,
		&g.OKBar, &g.WarnBar, &g.BadBar, &g.BusyBar, &g.Fill, &g.Track,
	} {
		*s = grey
	}
	for i := range g.Heat {
		g.Heat[i] = grey
	}
	for i := range g.Owner {
		g.Owner[i] = grey
	}
	return &g
}

func sgr(codes ...string) cell.Style {
	return cell.Style{Before: "\x1b[" + strings.Join(codes, ";") + "m", After: "\x1b[m"}
}

func (t *Theme) mono() {
	bold, reverse, dim := sgr("1"), sgr("7"), sgr("2")
	t.Bold, t.Title, t.Key, t.Bad, t.Warn = bold, bold, bold, bold, bold
	t.Head = sgr("4")
	t.Dim, t.Faint, t.Rule = dim, dim, dim
	t.Track = dim
	t.Select, t.Tab = reverse, reverse
	t.BadBar, t.WarnBar = sgr("1", "7"), reverse
	t.OKBar, t.BusyBar = bold, bold
}

// color is one colour for each depth that terminals have.
type color struct {
	rgb  string // RRGGBB
	c256 int
	c16  int
}

type colors struct {
	ok, warn, bad, busy, info color
	text, dim, faint, rule    color
	selBack, selText          color
	on                        color // text on a bar
	fill, track               color
	heat                      [10]color
	heatText                  [10]color
	owner                     [12]color
	ownerText                 color
}

// inks writes colours at one depth.
type inks struct{ depth colorprofile.Profile }

func (k inks) fore(c color) string { return k.code(c, 38, 30) }
func (k inks) back(c color) string { return k.code(c, 48, 40) }

func (k inks) code(c color, long, short int) string {
	switch {
	case k.depth == colorprofile.ANSI:
		if c.c16 >= 8 {
			return strconv.Itoa(short + 60 + c.c16 - 8)
		}
		return strconv.Itoa(short + c.c16)
	case k.depth == colorprofile.ANSI256:
		return fmt.Sprintf("%d;5;%d", long, c.c256)
	}
	v, err := strconv.ParseUint(c.rgb, 16, 32)
	if err != nil {
		return fmt.Sprintf("%d;5;%d", long, c.c256)
	}
	return fmt.Sprintf("%d;2;%d;%d;%d", long, v>>16, v>>8&255, v&255)
}

func (t *Theme) paint(c *colors, k inks) {
	fore := func(x color) cell.Style { return sgr(k.fore(x)) }
	strong := func(x color) cell.Style { return sgr("1", k.fore(x)) }
	bar := func(x color) cell.Style { return sgr("1", k.fore(c.on), k.back(x)) }
	t.Bold = sgr("1")
	t.Dim, t.Faint, t.Rule = fore(c.dim), fore(c.faint), fore(c.rule)
	t.Title, t.Key = strong(c.text), strong(c.info)
	t.Head = fore(c.dim)
	t.OK, t.Warn, t.Bad, t.Busy, t.Info = fore(c.ok), fore(c.warn), strong(c.bad), fore(c.busy), fore(c.info)
	t.OKBar, t.WarnBar, t.BadBar, t.BusyBar = bar(c.ok), bar(c.warn), bar(c.bad), bar(c.busy)
	t.Select = sgr("1", k.fore(c.selText), k.back(c.selBack))
	t.Tab = t.Select
	t.Fill, t.Track = fore(c.fill), fore(c.track)
	for i := range t.Heat {
		t.Heat[i] = sgr(k.fore(c.heatText[i]), k.back(c.heat[i]))
	}
	for i := range t.Owner {
		t.Owner[i] = sgr(k.fore(c.ownerText), k.back(c.owner[i]))
	}
}
