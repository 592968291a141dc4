package theme

import "github.com/nodedb/nodedb/tui/internal/cell"

// Symbols are the shapes. None of them may be drawn as an emoji, two cells wide.
type Symbols struct {
	OK, Warn, Bad, Busy, Off, Unknown string
	Info                              string
	Cursor, Arrow, Check, Ellipsis    string
	Up, Down                          string
	Horizontal, Vertical              string
	Thumb                             string
	Dot                               string
	Frame                             [6]string
}

var unicodeSymbols = Symbols{
	OK: "●", Warn: "▲", Bad: "■", Busy: "…", Off: "○", Unknown: "?", Info: "•",
	Cursor: "▌", Arrow: "→", Check: "✓", Ellipsis: "…", Up: "↑", Down: "↓", Horizontal: "─", Vertical: "│", Thumb: "┃", Dot: "·",
	Frame: [6]string{"╭", "╮", "╯", "╰", "─", "│"},
}

var asciiSymbols = Symbols{
	OK: "*", Warn: "!", Bad: "#", Busy: "~", Off: "o", Unknown: "?", Info: "-",
	Cursor: ">", Arrow: "->", Check: "v", Ellipsis: "...", Up: "^", Down: "v", Horizontal: "-", Vertical: "|", Thumb: "#", Dot: "-",
	Frame: [6]string{"+", "+", "+", "+", "-", "|"},
}

var unicodeGlyphs = cell.Glyphs{
	Spark: []string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, Full: "━", Empty: "─",
}

var asciiGlyphs = cell.Glyphs{
	Spark: []string{"_", ".", "-", "=", "+", "*", "#", "@"}, Full: "#", Empty: ".",
}
