package tui

import (
	"fmt"
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/progress"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// endedSince lists, in words, the operations that ran in the snapshot before and
// do not any more.
func endedSince(before, now *feed.Snapshot) []string {
	if !before.Has(feed.Status) || !now.Has(feed.Status) {
		return nil
	}
	running := map[string]bool{}
	for _, o := range now.Running() {
		running[o.GetId()] = true
	}
	var out []string
	for _, o := range before.Running() {
		if running[o.GetId()] || client.Final(o.GetState()) {
			continue
		}
		state := "has ended"
		if end := now.Operation(o.GetId()); end != nil && client.Final(end.GetState()) {
			state = end.GetState()
		}
		out = append(out, fmt.Sprintf("%s %s: %s", o.GetId(), progress.Title(o), state))
	}
	return out
}

// notify tells of operations that have ended, also somebody who looks elsewhere:
// by the bell, and as a notification of terminals that have them (OSC 9).
func (d *Dashboard) notify() tea.Cmd {
	if len(d.ended) == 0 {
		return nil
	}
	text := strings.Join(d.ended, "; ")
	d.ended = nil
	d.say(theme.Quiet, text)
	return tea.Raw("\a\x1b]9;" + printable(d.c.name+": "+text) + "\x1b\\")
}

// printable leaves control characters out: a name must not steer the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, text)
}
