package tui

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/page"
)

// TestFrameFits draws at random sizes after random keys: a frame is exactly the
// window, whatever is open.
func TestFrameFits(t *testing.T) {
	snaps := []*feed.Snapshot{
		fold(t, newFixture(5, 64, false).story(90)...), fold(t, newFixture(40, 1024, false).whole()), fold(t, newFixture(1, 1, true).whole()), {At: epoch}, nil,
	}
	keys := []string{
		"1", "2", "3", "4", "5", "6", "7", "8", "j", "k", "G", "g", "pgdown", "m", "t", "n", "enter", "esc", "s", "S", "f", "/", "a", ":", "n", "3", "?", "space", "tab", "l", "h",
		"D", "X", "C", "A", "P", "y", "T", "M", "d", "r", "backspace", "ctrl+t", "down", "up",
	}
	for seed := range uint64(400) {
		random := rand.New(rand.NewPCG(seed, 1))
		w, h := 60+random.IntN(150), 14+random.IntN(54)
		look := []string{"dark", "light", "16", "mono", "ascii"}[random.IntN(5)]
		snap := snaps[random.IntN(len(snaps))]
		if snap != nil {
			c := *snap
			snap = &c
		}
		d := dashboardOf(t, snap, &adminpb.WhoAmIResponse{Name: "a-rather-long-user-name", Role: adminpb.Role_ROLE_ADMIN}, look, w, h)
		d.c.name = []string{"p", "a-cluster-with-quite-a-long-name-indeed"}[random.IntN(2)]
		d.c.admin = newSimulated()
		if random.IntN(4) == 0 {
			d.link = feed.Link{State: feed.Lost, Attempt: 3, Next: epoch.Add(time.Second), Err: errUnreachable}
		}
		var trail []string
		for range 12 {
			k := keys[random.IntN(len(keys))]
			trail = append(trail, k)
			press(d, k)
			if d.dialog != nil && random.IntN(2) == 0 { // its plan comes
				d.answer(t)
			}
			checkFit(t, d, fmt.Sprintf("seed %d, %dx%d, %v", seed, w, h, trail))
			if t.Failed() {
				return
			}
		}
	}
}

// answer makes the call that the dialog waits for.
func (d *Dashboard) answer(t *testing.T) {
	t.Helper()
	if msg := d.redial(); msg != nil {
		d.update(msg)
		d.frame.dirty = true
	}
}

// redial opens the same dialog anew and runs its call at once.
func (d *Dashboard) redial() tea.Msg {
	defer func() { _ = recover() }() // a call that the simulated cluster does not have
	cmd := d.act(d.dialog.Action)
	if cmd == nil {
		return nil
	}
	return cmd()
}

// TestIdleDrawsNothing holds that heartbeats, timers and mouse motion draw no
// frame while nothing that is shown changes.
func TestIdleDrawsNothing(t *testing.T) {
	now := epoch
	for _, name := range Views() {
		d := testDashboard(t, newFixture(5, 64, true), "dark", 160, 48)
		d.cfg.now = func() time.Time { return now }
		d.goTo(name)
		if name == page.Rebalance {
			d.snap.Rebalance = &adminpb.GetRebalanceResponse{Policy: "off", Verdict: "balanced"}
		}
		d.View()
		before := d.frames
		for range 10 {
			now = now.Add(5 * time.Second)
			beat := *d.snap
			beat.At = now
			d.Update(fromFeed{number: 1, msg: &beat})
			d.Update(woken{id: d.timer.id})
			d.Update(fromFeed{number: 1, msg: feed.Link{State: feed.Live}})
			d.Update(tea.MouseMotionMsg{})
			d.Update(tea.WindowSizeMsg{Width: 160, Height: 48})
			d.View()
		}
		if n := d.frames - before; n > 0 && name != page.Nodes { // uptimes change each minute
			t.Errorf("%s drew %d frames while nothing changed", name, n)
		} else if n > 1 {
			t.Errorf("%s drew %d frames within a minute", name, n)
		}
		// The age in the first line changes each second; it is drawn alone.
		if gap := d.timer.due.Sub(now); gap < time.Second {
			t.Errorf("%s wakes in %s though nothing but the age changes", name, gap)
		}
	}
}

// TestAgeIsShownWhenTheLinkFallsSilent holds that silence is noticed by itself.
func TestAgeIsShownWhenTheLinkFallsSilent(t *testing.T) {
	now := epoch
	d := testDashboard(t, newFixture(5, 64, true), "dark", 100, 30)
	d.cfg.now = func() time.Time { return now }
	d.Update(fromFeed{number: 1, msg: feed.Link{State: feed.Live}})
	d.View()
	for i := range 9 {
		if d.timer.due.IsZero() {
			t.Fatal("no timer is set")
		}
		if head, _, _ := strings.Cut(ansi.Strip(d.View().Content), "\n"); i < 7 && !strings.Contains(head, fmt.Sprintf("live %ds", i)) {
			t.Errorf("after %s without a word: %s", now.Sub(epoch), head)
		}
		now = d.timer.due
		d.Update(woken{id: d.timer.id})
	}
	d.frame.dirty = true
	if old, age := d.stale(); !old || age < fresh {
		t.Errorf("stale %v, age %s at %s", old, age, now)
	}
}
