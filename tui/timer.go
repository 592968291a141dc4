package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/page"
)

// timer wakes the dashboard when what is shown changes by time alone. There is
// at most one, and none while nothing shown has an age.
type timer struct {
	id  int
	due time.Time // zero: none is set
}

// wake sets the timer if it must go off earlier than it would.
func (d *Dashboard) wake() tea.Cmd {
	now := d.cfg.now()
	next := sooner(d.nextChange(now), d.nextAge(now))
	if next.IsZero() || (!d.timer.due.IsZero() && !next.Before(d.timer.due)) {
		return nil
	}
	d.timer.id++
	d.timer.due = next
	id := d.timer.id
	return tea.Tick(max(10*time.Millisecond, next.Sub(d.cfg.now())), func(time.Time) tea.Msg { return woken{id: id} })
}

// awake redraws if something that is shown has changed by time. A timer that
// was set for an age that data has outrun meanwhile changes nothing.
func (d *Dashboard) awake(w woken) {
	if w.id != d.timer.id {
		return
	}
	due := d.timer.due
	d.timer.due = time.Time{}
	if next := d.nextChange(due.Add(-time.Millisecond)); !next.IsZero() && !next.After(d.cfg.now()) {
		d.frame.dirty = true
	}
	d.frame.aged = true
	if d.said.Text != "" && d.cfg.now().Sub(d.saidAt) >= saidFor {
		d.said = page.Say{}
		d.frame.dirty = true
	}
}

// nextAge is when the age of live data in the first line changes; zero: no age is
// shown.
func (d *Dashboard) nextAge(now time.Time) time.Time {
	if d.snap == nil || d.frozen || now.Sub(d.snap.At) > fresh {
		return time.Time{}
	}
	age := max(0, now.Sub(d.snap.At))
	return d.snap.At.Add(age.Truncate(time.Second) + time.Second)
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// nextChange is when the frame changes by time, seen from now; zero: never.
func (d *Dashboard) nextChange(now time.Time) time.Time {
	var next time.Time
	at := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	every := func(gap time.Duration) { at(now.Truncate(gap).Add(gap)) }
	if d.said.Text != "" {
		at(d.saidAt.Add(saidFor))
	}
	switch {
	case d.link.State == feed.Lost || d.snap == nil:
		every(time.Second)
	case now.Sub(d.snap.At) > fresh:
		every(time.Second)
	default:
		at(d.snap.At.Add(fresh + time.Millisecond))
	}
	if d.frozen || d.snap == nil {
		return next
	}
	if p, ok := d.page().(page.Ager); ok {
		if gap := p.Ages(now); gap > 0 {
			every(gap)
		}
	}
	if d.dialog != nil {
		if o := d.snap.Operation(d.dialog.Operation()); o != nil && !client.Final(o.GetState()) {
			every(time.Second)
		}
	}
	return next
}
