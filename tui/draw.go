package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/page"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// The smallest window that is drawn in.
const (
	leastWidth  = 60
	leastHeight = 14
)

// View implements tea.Model. Bubbletea asks after every message: the last frame
// is given again unless something changed.
func (d *Dashboard) View() tea.View {
	if !d.frame.dirty {
		d.redrawHead()
		return d.frame.view
	}
	d.frame.dirty = false
	d.frames++
	v := tea.NewView("")
	v.AltScreen = true
	if d.cfg.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	v.WindowTitle = d.title()
	v.Content, v.Cursor = d.render()
	for _, o := range d.snap.Running() {
		v.ProgressBar = tea.NewProgressBar(tea.ProgressBarDefault, int(100*client.Share(o)))
		break
	}
	d.frame.view = v
	return v
}

func (d *Dashboard) title() string {
	name := "nodedb " + d.c.name
	if d.snap == nil || d.snap.Status == nil {
		return name
	}
	if n := len(d.snap.Status.GetProblems()); n > 0 {
		return fmt.Sprintf("(%d!) %s", n, name)
	}
	return name
}

func (d *Dashboard) render() (string, *tea.Cursor) {
	if d.w < leastWidth || d.h < leastHeight {
		b := cell.NewBlock(max(1, d.w))
		b.Text(d.th.Plain, fmt.Sprintf("%dx%d is too small", d.w, d.h)).Text(d.th.Plain, fmt.Sprintf("needs %dx%d", leastWidth, leastHeight)).
			Text(d.th.Plain, "or: nodedbctl status")
		return b.Resize(max(1, d.h)).String(), nil
	}
	b := cell.NewBlock(d.w)
	d.drawHead(b)
	b.Append(d.body(page.Size{Width: d.w, Height: d.h - headLines - 1, Now: d.cfg.now(), Complete: d.c.command}))
	b.Resize(d.h - 1)
	foot, cursor := d.foot()
	b.Add(foot)
	if at := d.overlay(b); at != nil {
		cursor = at
	}
	return b.String(), cursor
}

// look is the theme of what is shown: grey when it may no longer be true.
func (d *Dashboard) looks() *theme.Theme {
	if old, _ := d.stale(); old {
		return d.grey
	}
	return d.th
}

// drawFirst draws where one is and as whom, how the cluster is, how old that is.
func (d *Dashboard) drawFirst(b *cell.Block) {
	th, right := d.looks(), d.drawLink()
	l := cell.NewLine(b.Width - right.Width() - 1)
	name := d.th.Tab
	if d.c.protected {
		name = d.th.BadBar
	}
	l.Put(name, " "+shorten(d.c.name, b.Width/5)+" ").Space(1)
	if d.me != nil {
		l.Put(th.Dim, shorten(d.me.GetName(), 12)+" ").Put(th.Plain, roleWord(d.me.GetRole())).Space(2)
	}
	if d.snap.Has(feed.Status) {
		st := d.snap.Status
		mark, style := th.Mark(theme.Health(st.GetHealth()))
		l.Put(style, mark+" "+st.GetHealth()).Put(th.Plain, fmt.Sprintf(" %d/%d nodes", st.GetNodesAlive(), st.GetNodesTotal())).Space(2)
		text, s := mayFail(th, st.GetSurvivesOne())
		l.Fit(s, text)
		l.Space(2)
		if b.Width >= 120 {
			l.Put(th.Dim, fmt.Sprintf("meta leader %s term %d", cell.Node(st.GetMetaLeader()), st.GetMetaTerm()))
		}
	}
	b.Add(cell.NewLine(b.Width).Join(l).To(b.Width - right.Width() - 1).Join(right))
}

// drawHead draws the lines that are always there: the first, and the views.
func (d *Dashboard) drawHead(b *cell.Block) {
	d.drawFirst(b)
	d.drawTabs(b)
	b.Add(cell.NewLine(b.Width).Put(d.th.Rule, strings.Repeat(d.th.Sym.Horizontal, b.Width)))
}

func shorten(s string, most int) string {
	if cell.Width(s) <= most {
		return s
	}
	return cell.NewLine(max(2, most)).Put(cell.Style{}, s).String()
}

func roleWord(r adminpb.Role) string {
	return strings.ToLower(strings.TrimPrefix(r.String(), "ROLE_"))
}

// mayFail is survivability in a few words.
func mayFail(th *theme.Theme, s *adminpb.Survival) (string, cell.Style) {
	switch {
	case s == nil || s.GetUnknown():
		return th.Sym.Unknown + " may a node fail?", th.Warn
	case s.GetYes():
		return "any 1 node may fail", th.Plain
	case s.GetFailing() > 0 && len(s.GetCopies()) > 0:
		return th.Sym.Warn + " only " + cell.Nodes(s.GetCopies(), ", ") + " may fail", th.Warn
	}
	return th.Sym.Warn + " no node may fail", th.Warn
}

// drawLink is the right end of the first line: whether it is live, and its age.
func (d *Dashboard) drawLink() *cell.Line {
	l, th := cell.NewLine(d.w/2), d.th
	old, age := d.stale()
	switch {
	case d.snap == nil && d.link.State == feed.Lost:
		l.Put(th.BadBar, " NO ANSWER ")
	case d.snap == nil:
		l.Put(th.Busy, th.Sym.Ellipsis+" connecting")
	case old:
		l.Put(th.BadBar, " stale "+cell.Duration(age)+" ")
	case d.frozen:
		l.Put(th.WarnBar, " FROZEN ").Put(th.Dim, " at "+d.snap.At.Local().Format("15:04:05"))
	default:
		if d.w >= 120 {
			l.Put(th.Dim, fmt.Sprintf("meta@%d from %s  ", d.snap.AsOf.GetMetaIndex(), cell.Node(d.snap.AsOf.GetSourceNode())))
		}
		l.Put(th.OK, th.Sym.OK+" live").Put(th.Dim, fmt.Sprintf(" %ds", int(age.Seconds())))
	}
	return l
}

// redrawHead draws the first line alone if the age in it has changed: the rest of
// a frame costs a hundred times as much.
func (d *Dashboard) redrawHead() {
	if !d.frame.aged || d.w < leastWidth || d.h < leastHeight {
		return
	}
	d.frame.aged = false
	_, rest, ok := strings.Cut(d.frame.view.Content, "\n")
	if !ok {
		return
	}
	head := cell.NewBlock(d.w)
	d.drawFirst(head)
	d.frame.view.Content = strings.TrimSuffix(head.String(), "\n") + "\n" + rest
}

// tabs that are short on narrow screens.
var shortNames = map[string]string{page.Overview: "home", page.Operations: "ops", page.Rebalance: "even", page.Sessions: "sql", page.Routing: "route", page.Members: "who", page.Schedules: "cron"}

// tabsWidth is from where all tabs fit with their whole names, and badges.
const tabsWidth = 145

func (d *Dashboard) drawTabs(b *cell.Block) {
	th := d.th
	l := cell.NewLine(b.Width)
	d.frame.tabs = d.frame.tabs[:0]
	for i, p := range d.pages {
		d.frame.tabs = append(d.frame.tabs, l.Width())
		name := p.Name()
		if s, ok := shortNames[name]; ok && b.Width < tabsWidth {
			name = s
		}
		text := keymap.Views.Keys[i] + " " + name
		if b.Width >= tabsWidth {
			text = " " + text + " "
		}
		if i == d.at {
			l.Put(th.Tab, text)
		} else {
			l.Put(th.Dim, text)
		}
		if n, level := d.badge(p.Name()); n > 0 {
			mark, style := th.Mark(level)
			l.Fit(style, fmt.Sprintf("%s%d", mark, n))
		}
		l.Space(1)
	}
	b.Add(l)
}

// badge counts what needs a look in a view, or is at work.
func (d *Dashboard) badge(name string) (int, theme.Level) {
	if d.snap == nil || d.w < tabsWidth {
		return 0, theme.Quiet
	}
	st := d.snap.Status
	switch name {
	case page.Nodes:
		n := 0
		for _, x := range d.snap.Nodes {
			if theme.NodeStatus(x.GetStatus()) > theme.Moving {
				n++
			}
		}
		return n, theme.Alarm
	case page.Ranges:
		if n := st.GetRangesNoQuorum(); n > 0 {
			return int(n), theme.Broken
		}
		return int(st.GetRangesUnder()), theme.Alarm
	case page.Operations:
		level := theme.Moving
		for _, o := range d.snap.Running() {
			level = max(level, theme.Operation(o.GetState()))
		}
		return len(d.snap.Running()), level
	}
	return 0, theme.Quiet
}

func (d *Dashboard) body(s page.Size) *cell.Block {
	if d.snap == nil {
		return d.drawConnect(s)
	}
	if old, _ := d.stale(); !old {
		return d.page().Draw(d.th, s)
	}
	b := cell.NewBlock(s.Width)
	why := "no heartbeat came"
	if d.link.Err != nil {
		why = client.AsError(d.link.Err).Message
	}
	b.Add(cell.NewLine(s.Width).Put(d.th.Bad, d.th.Sym.Bad+" this was so at "+d.snap.At.Local().Format("15:04:05")+"  ").Put(d.th.Plain, why))
	b.Add(cell.NewLine(s.Width).Put(d.th.Dim, d.retryText()))
	s.Height -= b.Height()
	return b.Append(d.page().Draw(d.grey, s))
}

func (d *Dashboard) retryText() string {
	text := "connecting to another node"
	if left := d.link.Next.Sub(d.cfg.now()); left > 0 {
		text = fmt.Sprintf("try %d in %s", d.link.Attempt+1, cell.Seconds(left.Seconds()+0.99))
	}
	return text + "; ctrl+r tries now; nothing can be changed meanwhile"
}

// drawConnect is what is shown before anything has come.
func (d *Dashboard) drawConnect(s page.Size) *cell.Block {
	th := d.th
	b := cell.NewBlock(s.Width)
	for range max(1, s.Height/2-6) {
		b.Blank()
	}
	if d.link.State != feed.Lost {
		return b.Add(cell.NewLine(s.Width).Space(4).Put(th.Busy, th.Sym.Ellipsis+" connecting to ").Put(th.Title, d.c.name)).Resize(s.Height)
	}
	word, title, message := " NO ANSWER ", "no node of "+d.c.name+" can be reached", "the stream ended"
	if d.link.Err != nil {
		e := client.AsError(d.link.Err)
		message = e.Message
		switch {
		case e.Unserved():
			word, title, message = " TOO OLD ", "the node runs a version that cannot be watched", "upgrade it, or use nodedbctl status --watch"
		case e.Kind == client.Denied:
			word, title = " DENIED ", "the cluster does not let you in"
		}
	}
	b.Add(cell.NewLine(s.Width).Space(4).Put(th.BadBar, word).Put(th.Title, "  "+title)).Blank()
	for part := range strings.SplitSeq(message, "; ") {
		b.Add(cell.NewLine(s.Width).Space(6).Put(th.Plain, part))
	}
	b.Blank()
	b.Add(cell.NewLine(s.Width).Space(4).Put(th.Dim, "is it the cluster or is it me?  ").Put(th.Info, "nodedbctl context show"))
	b.Add(cell.NewLine(s.Width).Space(4).Put(th.Dim, "another way in?                 ").Put(th.Info, "nodedbctl status --addr HOST:PORT"))
	b.Blank().Add(cell.NewLine(s.Width).Space(4).Put(th.Key, "ctrl+r").Put(th.Dim, " tries now   ").Put(th.Key, ":ctx").Put(th.Dim, " another cluster   ").Put(th.Dim, d.nextTry()))
	return b.Resize(s.Height)
}

func (d *Dashboard) nextTry() string {
	if left := d.link.Next.Sub(d.cfg.now()); left > 0 {
		return fmt.Sprintf("try %d in %s", d.link.Attempt+1, cell.Seconds(left.Seconds()+0.99))
	}
	return "trying"
}

// foot is the last line: what is being typed, what was just said, or the keys.
func (d *Dashboard) foot() (*cell.Line, *tea.Cursor) {
	th := d.th
	l := cell.NewLine(d.w)
	if p := d.prompt; p != nil {
		l.Put(th.Key, p.label).Put(th.Plain, p.input.Text())
		at := tea.NewCursor(min(d.w-1, cell.Width(p.label)+p.input.Cursor()), d.h-1)
		at.Blink = false
		switch {
		case p.err != nil:
			l.Put(th.Warn, "   "+th.Sym.Warn+" "+p.err.Error())
		case p.filter:
			if f, ok := d.page().(page.Filterer); ok {
				l.Put(th.Faint, "   "+strings.Join(f.Hints(), " "))
			}
		}
		return l, at
	}
	if d.said.Text != "" {
		mark, style := th.Mark(d.said.Level)
		return l.Put(style, mark+" ").Put(th.Plain, d.said.Text), nil
	}
	if f, ok := d.page().(page.Filterer); ok && f.Query() != "" {
		l.Put(th.WarnBar, " "+f.Query()+" ").Put(th.Dim, " esc clears  ")
	}
	right := cell.NewLine(40)
	for _, k := range []*keymap.Key{&keymap.Palette, &keymap.Help, &keymap.Quit} {
		right.Put(th.Key, k.Label).Put(th.Dim, " "+k.Does+"  ")
	}
	for _, k := range d.keys() {
		if l.Width()+cell.Width(k.Label)+cell.Width(k.Does)+3+right.Width() > d.w {
			break
		}
		l.Put(th.Key, k.Label).Put(th.Dim, " "+k.Does+"  ")
	}
	return l.To(d.w - right.Width()).Join(right), nil
}

// keys are those of the view, without actions for those who may not act.
func (d *Dashboard) keys() []*keymap.Key {
	acts := d.me != nil && d.me.GetRole() >= adminpb.Role_ROLE_OPERATOR && !d.cfg.readOnly
	var out []*keymap.Key
	for _, k := range d.page().Keys() {
		if !k.Acts || acts {
			out = append(out, k)
		}
	}
	return out
}
