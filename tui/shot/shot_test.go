package main

import (
	"bufio"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	g := parse("\x1b[1;38;2;131;249;214mok\x1b[0m \x1b[48;5;24m\x1b[38;5;231mx\x1b[39m \x1b[mé\n\x1b[7;31mz", 8, 3)
	if len(g) != 3 || len(g[0]) != 8 || len(g[2]) != 8 {
		t.Fatalf("the grid is %dx%d", len(g[0]), len(g))
	}
	for _, c := range []struct {
		y, x int
		want cellAt
	}{
		{0, 0, cellAt{"o", style{fore: "#83f9d6", bold: true}}}, {0, 2, cellAt{" ", style{}}}, {0, 3, cellAt{"x", style{fore: "#ffffff", back: "#005f87"}}},
		{0, 4, cellAt{" ", style{back: "#005f87"}}}, {0, 5, cellAt{"é", style{}}}, {1, 0, cellAt{"z", style{fore: sixteen[1], reverse: true}}},
	} {
		if got := g[c.y][c.x]; got != c.want {
			t.Errorf("line %d column %d: got %+v, want %+v", c.y, c.x, got, c.want)
		}
	}
}

func TestPictureIsXML(t *testing.T) {
	var b strings.Builder
	w := bufio.NewWriter(&b)
	picture{grid: parse("a <b> & \x1b[31m█▁━─│╭╮╰╯\x1b[0m\n\x1b[7mreverse", 20, 2), look: darkLook, title: "x < y"}.write(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	texts := 0
	for dec := xml.NewDecoder(strings.NewReader(b.String())); ; {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, b.String())
		}
		if s, ok := tok.(xml.StartElement); ok && s.Name.Local == "text" {
			texts++
		}
	}
	if texts < 4 {
		t.Errorf("%d texts in %s", texts, b.String())
	}
}
