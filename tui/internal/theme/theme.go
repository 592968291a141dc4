package theme

import (
	imagecolor "image/color"
	"slices"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"
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
		t.paint(&fewColors, colorprofile.ANSI)
	case Light:
		t.paint(&lightColors, w.Profile)
	default:
		t.paint(&darkColors, w.Profile)
	}
	return t
}

// Greyed is the look of what is no longer true: one faint colour, all shapes.
func (t *Theme) Greyed() *Theme {
	g := *t
	grey := t.Dim
	if !t.Color {
		grey = freeze(plain.Faint(true))
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

// freeze takes what Lip Gloss writes around a text, once for each look: rendering
// every cell through it would cost a hundred times as much.
func freeze(s lipgloss.Style) cell.Style {
	const text = "x"
	before, after, _ := strings.Cut(s.Render(text), text)
	return cell.Style{Before: before, After: after}
}

var plain = lipgloss.NewStyle()

func (t *Theme) mono() {
	bold, reverse, dim := freeze(plain.Bold(true)), freeze(plain.Reverse(true)), freeze(plain.Faint(true))
	t.Bold, t.Title, t.Key, t.Bad, t.Warn = bold, bold, bold, bold, bold
	t.Head = freeze(plain.Underline(true))
	t.Dim, t.Faint, t.Rule = dim, dim, dim
	t.Track = dim
	t.Select, t.Tab = reverse, reverse
	t.BadBar, t.WarnBar = freeze(plain.Bold(true).Reverse(true)), reverse
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

// in is the colour at one depth.
func (c color) in(depth colorprofile.Profile) imagecolor.Color {
	few, more := lipgloss.Color(strconv.Itoa(c.c16)), lipgloss.Color(strconv.Itoa(c.c256))
	if c.rgb == "" {
		return lipgloss.Complete(depth)(few, more, more)
	}
	return lipgloss.Complete(depth)(few, more, lipgloss.Color("#"+c.rgb))
}

func (t *Theme) paint(c *colors, depth colorprofile.Profile) {
	ink := func(x color) lipgloss.Style { return plain.Foreground(x.in(depth)) }
	fore := func(x color) cell.Style { return freeze(ink(x)) }
	strong := func(x color) cell.Style { return freeze(ink(x).Bold(true)) }
	on := func(text, ground color) lipgloss.Style { return ink(text).Background(ground.in(depth)) }
	bar := func(x color) cell.Style { return freeze(on(c.on, x).Bold(true)) }
	t.Bold = freeze(plain.Bold(true))
	t.Dim, t.Faint, t.Rule = fore(c.dim), fore(c.faint), fore(c.rule)
	t.Title, t.Key = strong(c.text), strong(c.info)
	t.Head = fore(c.dim)
	t.OK, t.Warn, t.Bad, t.Busy, t.Info = fore(c.ok), fore(c.warn), strong(c.bad), fore(c.busy), fore(c.info)
	t.OKBar, t.WarnBar, t.BadBar, t.BusyBar = bar(c.ok), bar(c.warn), bar(c.bad), bar(c.busy)
	t.Select = freeze(on(c.selText, c.selBack).Bold(true))
	t.Tab = t.Select
	t.Fill, t.Track = fore(c.fill), fore(c.track)
	for i := range t.Heat {
		t.Heat[i] = freeze(on(c.heatText[i], c.heat[i]))
	}
	for i := range t.Owner {
		t.Owner[i] = freeze(on(c.ownerText, c.owner[i]))
	}
}
