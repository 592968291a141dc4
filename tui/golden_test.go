package tui

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/page"
)

var update = flag.Bool("update", false, "write the golden frames anew")

type size struct{ w, h int }

var sizes = []size{{80, 24}, {160, 48}}

// golden compares the frame with testdata/NAME.frame, escapes and all: cat shows it.
func golden(t *testing.T, d *Dashboard, name string) {
	t.Helper()
	d.frame.dirty = true
	got := d.View().Content + "\n"
	checkFit(t, d, name)
	path := filepath.Join("testdata", name+".frame")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run go test ./tui -update, and read the diff", err)
	}
	if got != string(want) {
		t.Errorf("%s differs from its golden frame: %s", path, difference(got, string(want)))
	}
}

// difference is the first line that differs.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if a, b := ansi.Strip(g[i]), ansi.Strip(w[i]); a != b {
			return fmt.Sprintf("line %d\ngot  %s\nwant %s", i+1, a, b)
		}
	}
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d, in style only\ngot  %q\nwant %q", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// checkFit fails if the frame is not exactly the window.
func checkFit(t *testing.T, d *Dashboard, what string) {
	t.Helper()
	lines := strings.Split(d.View().Content, "\n")
	if len(lines) != d.h {
		t.Errorf("%s: %d lines in a window of %d", what, len(lines), d.h)
	}
	for i, l := range lines {
		if w := ansi.StringWidth(l); w > d.w {
			t.Errorf("%s: line %d is %d wide in a window of %d: %q", what, i, w, d.w, ansi.Strip(l))
		}
	}
}

// press presses keys, each a bubbletea name or a character.
func press(d *Dashboard, keys ...string) {
	for _, k := range keys {
		typed := ""
		if len([]rune(k)) == 1 {
			typed = k
		}
		if k == "space" {
			typed = " "
		}
		d.frame.dirty = true
		d.press(k, typed)
	}
}

// giveAsked answers what the views of sessions and of schedules ask for.
func giveAsked(d *Dashboard, f *fixture) {
	var answer page.SessionsAnswer
	answer.Sessions, answer.Transactions = f.sessions()
	d.update(fromPage{number: d.number, page: page.Sessions, result: page.Result{Name: "sessions", Value: answer}})
	d.update(fromPage{number: d.number, page: page.Schedules, result: page.Result{Name: "schedules", Value: f.schedules()}})
}

// TestGoldenViews holds the frame of each view in each look.
func TestGoldenViews(t *testing.T) {
	for _, s := range sizes {
		snap := fold(t, newFixture(5, 64, false).story(90)...)
		for _, look := range []string{"dark", "light", "16", "mono", "ascii"} {
			d := dashboardOf(t, snap, &adminpb.WhoAmIResponse{Name: "root", Role: adminpb.Role_ROLE_ADMIN}, look, s.w, s.h)
			giveAsked(d, newFixture(5, 64, false))
			for i, name := range Views() {
				press(d, keymap.Views.Keys[i])
				golden(t, d, fmt.Sprintf("%dx%d/%s.%s", s.w, s.h, name, look))
			}
		}
	}
}

// TestGoldenStates holds what views look like when they are not as usual.
func TestGoldenStates(t *testing.T) {
	admin := &adminpb.WhoAmIResponse{Name: "root", Role: adminpb.Role_ROLE_ADMIN}
	bad := fold(t, newFixture(5, 64, false).story(90)...)
	good := fold(t, newFixture(5, 64, true).story(90)...)
	split := fold(t, newFixture(5, 64, true).divided())
	states := []struct {
		name string
		snap *feed.Snapshot
		do   func(d *Dashboard)
	}{
		{"healthy", good, func(*Dashboard) {}},
		{"map-leader", bad, func(d *Dashboard) { press(d, "3", "m", "m") }},
		{"map-load", bad, func(d *Dashboard) { press(d, "3", "m", "l", "l") }},
		{"map-divided", split, func(d *Dashboard) { press(d, "3", "l") }}, // the worst of three has the vshard
		{"map-part", split, func(d *Dashboard) { press(d, "3", "l", "l", "l", "l", "l", "l") }},
		{"map-pool", split, func(d *Dashboard) { press(d, "3", "m", "t", "G", "t") }},
		{"ranges-table", bad, func(d *Dashboard) { press(d, "3", "t", "s", "s", "s") }},
		{"range-lease", bad, func(d *Dashboard) {
			press(d, "3", "t", "j", "j", "j", "enter")
			r := newFixture(5, 64, false).raft(d.snap.Range(4))
			d.update(fromPage{number: d.number, page: page.Ranges, result: page.Result{Name: "raft4", Value: r}})
		}},
		{"member-why", bad, func(d *Dashboard) {
			press(d, "7", "j", "j", "enter")
			d.update(fromPage{number: d.number, page: page.Members, result: page.Result{Name: "why1", Value: why()}})
		}},
		{"range-detail", bad, func(d *Dashboard) { press(d, "3", "n", "enter") }},
		{"pool", bad, func(d *Dashboard) { press(d, "9", "j") }},
		{"pool-mistake", bad, func(d *Dashboard) { press(d, "9", "E", "x", "enter") }},
		{"node", bad, func(d *Dashboard) {
			f := newFixture(5, 64, false)
			var answer page.SessionsAnswer
			answer.Sessions, answer.Transactions = f.sessions()
			press(d, "2", "j", "enter")
			d.update(fromPage{number: d.number, page: page.Nodes, result: page.Result{Name: "noden4", Value: answer}})
		}},
		{"session-waits", bad, func(d *Dashboard) {
			giveAsked(d, newFixture(5, 64, false))
			press(d, "0", "j")
		}},
		{"sessions-filter", bad, func(d *Dashboard) {
			giveAsked(d, newFixture(5, 64, false))
			press(d, "0", "/", "b", "l", "o", "c", "k", "s", ">", "0", "enter")
		}},
		{"schedule-failed", bad, func(d *Dashboard) {
			giveAsked(d, newFixture(5, 64, false))
			press(d, "-", "j") // whose runs are asked for
		}},
		{"schedule-runs", bad, func(d *Dashboard) {
			giveAsked(d, newFixture(5, 64, false))
			press(d, "-", "G")
		}},
		{"schedules-none", bad, func(d *Dashboard) {
			press(d, "-")
			d.update(fromPage{number: d.number, page: page.Schedules, result: page.Result{Name: "schedules", Value: page.SchedulesAnswer{Schedules: &adminpb.ListSchedulesResponse{AsOf: asOf()}}}})
		}},
		{"schedules-error", bad, func(d *Dashboard) {
			press(d, "-")
			d.update(fromPage{number: d.number, page: page.Schedules, result: page.Result{Name: "schedules", Err: errUnreachable}})
		}},
		{"schedules-loading", bad, func(d *Dashboard) { press(d, "-") }},
		{"schedules-help", bad, func(d *Dashboard) { press(d, "-", "?") }},
		{"pools-loading", &feed.Snapshot{At: epoch}, func(d *Dashboard) { press(d, "9") }},
		{"operation", bad, func(d *Dashboard) { press(d, "6", "enter") }},
		{"filter-typing", bad, func(d *Dashboard) { press(d, "2", "/", "s", "t", "a", "t", "u", "s", ":", "d") }},
		{"filter-nothing", bad, func(d *Dashboard) { press(d, "2", "/", "z", "z", "z", "enter") }},
		{"filter-mistake", bad, func(d *Dashboard) { press(d, "2", "/", "c", "p", "u", ">", "x") }},
		{"help", bad, func(d *Dashboard) { press(d, "2", "?") }},
		{"palette", bad, func(d *Dashboard) { press(d, ":", "d", "r", "a") }},
		{"frozen", bad, func(d *Dashboard) { press(d, "space") }},
		{"viewer", bad, func(d *Dashboard) {
			d.me = &adminpb.WhoAmIResponse{Name: "eve", Role: adminpb.Role_ROLE_VIEWER}
			press(d, "2", "D")
		}},
		{"stale", bad, func(d *Dashboard) {
			d.link = feed.Link{State: feed.Lost, Attempt: 3, Next: epoch.Add(4 * time.Second)}
			d.snap.At = epoch.Add(-12 * time.Second)
		}},
		{"connecting", nil, func(d *Dashboard) { d.link = feed.Link{} }},
		{"loading", &feed.Snapshot{At: epoch}, func(d *Dashboard) { press(d, "2") }},
		{"unreachable", nil, func(d *Dashboard) {
			d.link = feed.Link{State: feed.Lost, Attempt: 4, Next: epoch.Add(4 * time.Second), Err: errUnreachable}
		}},
	}
	for _, s := range sizes {
		for _, st := range states {
			var snap *feed.Snapshot
			if st.snap != nil {
				c := *st.snap
				snap = &c
			}
			d := dashboardOf(t, snap, admin, "dark", s.w, s.h)
			st.do(d)
			golden(t, d, fmt.Sprintf("%dx%d/state-%s", s.w, s.h, st.name))
		}
	}
}

type textError string

func (e textError) Error() string { return string(e) }

const errUnreachable = textError("no node answers; 10.0.0.10:6480: connection refused; 10.0.0.11:6480: no answer in time; 10.0.0.12:6480: its certificate is not signed by the context's CA")
