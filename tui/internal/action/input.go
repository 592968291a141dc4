package action

import (
	"unicode"
	"unicode/utf8"
)

// Input is one line that is being typed.
type Input struct {
	text   []rune
	cursor int
}

// Text is what was typed.
func (in *Input) Text() string { return string(in.text) }

// Cursor is the column of the cursor.
func (in *Input) Cursor() int { return in.cursor }

// Set replaces the text.
func (in *Input) Set(text string) {
	in.text = []rune(text)
	in.cursor = len(in.text)
}

// Insert puts text at the cursor: a key, or what was pasted.
func (in *Input) Insert(text string) {
	for _, r := range text {
		if unicode.IsControl(r) || r == utf8.RuneError {
			continue
		}
		in.text = append(in.text[:in.cursor:in.cursor], append([]rune{r}, in.text[in.cursor:]...)...)
		in.cursor++
	}
}

// Press does what a key means in a line and reports whether it means anything.
func (in *Input) Press(key, typed string) bool {
	switch key {
	case "left", "ctrl+b":
		in.cursor = max(0, in.cursor-1)
	case "right", "ctrl+f":
		in.cursor = min(len(in.text), in.cursor+1)
	case "home", "ctrl+a":
		in.cursor = 0
	case "end", "ctrl+e":
		in.cursor = len(in.text)
	case "backspace", "ctrl+h":
		in.cut(in.cursor-1, in.cursor)
	case "delete", "ctrl+d":
		in.cut(in.cursor, in.cursor+1)
	case "ctrl+u":
		in.cut(0, in.cursor)
	case "ctrl+w":
		from := in.cursor
		for from > 0 && in.text[from-1] == ' ' {
			from--
		}
		for from > 0 && in.text[from-1] != ' ' {
			from--
		}
		in.cut(from, in.cursor)
	default:
		if typed == "" {
			return false
		}
		in.Insert(typed)
	}
	return true
}

func (in *Input) cut(from, to int) {
	from, to = max(0, from), min(to, len(in.text))
	if from >= to {
		return
	}
	in.text = append(in.text[:from:from], in.text[to:]...)
	in.cursor = from
}
