// Command shot draws a terminal's screen as a picture: it reads text with SGR
// escapes, as `tmux capture-pane -peN` writes it, and writes SVG.
//
//	tmux capture-pane -peN | go run ./tui/shot -columns 160 -lines 48 > screen.svg
package main

import (
	"bufio"
	"flag"
	"io"
	"log"
	"os"
)

func main() {
	columns := flag.Int("columns", 160, "cells in a line")
	lines := flag.Int("lines", 48, "lines")
	light := flag.Bool("light", false, "a light ground")
	title := flag.String("title", "nodedbctl tui", "title of the window")
	flag.Parse()
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatalf("read the screen: %v", err)
	}
	look := darkLook
	if *light {
		look = lightLook
	}
	out := bufio.NewWriter(os.Stdout)
	picture{grid: parse(string(text), *columns, *lines), look: look, title: *title}.write(out)
	if err := out.Flush(); err != nil {
		log.Fatalf("write the picture: %v", err)
	}
}
