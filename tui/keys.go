package tui

import (
	"context"
	"slices"

	tea "charm.land/bubbletea/v2"

	"github.com/nodedb/nodedb/tui/internal/action"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/page"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// prompt is a line that is being typed in the footer: the filter, or an answer.
type prompt struct {
	label  string
	filter bool
	before string // the filter before, for esc
	input  action.Input
	err    error
	then   func(text string) page.Effect
}

// press takes a key: what is open gets it first.
func (d *Dashboard) press(key, typed string) tea.Cmd {
	if key == "ctrl+c" {
		return tea.Quit
	}
	switch {
	case d.dialog != nil:
		return d.pressDialog(key, typed)
	case d.palette != nil:
		return d.pressPalette(key, typed)
	case d.help:
		d.help = false
		return nil
	case d.prompt != nil:
		return d.pressPrompt(key, typed)
	}
	return d.pressPage(key)
}

func (d *Dashboard) pressPage(key string) tea.Cmd {
	switch {
	case keymap.Quit.Is(key):
		return tea.Quit
	case keymap.Views.Is(key):
		d.visit(slices.Index(keymap.Views.Keys, key))
	case keymap.Next.Is(key):
		d.visit((d.at + 1) % len(d.pages))
	case key == "shift+tab":
		d.visit((d.at + len(d.pages) - 1) % len(d.pages))
	case keymap.Help.Is(key):
		d.help = true
	case keymap.Palette.Is(key):
		d.palette = d.newPalette()
	case keymap.Freeze.Is(key):
		d.freeze()
	case keymap.Theme.Is(key):
		d.nextTheme()
	case keymap.Retry.Is(key):
		d.feed.Retry()
	case keymap.Filter.Is(key):
		d.openFilter()
	case keymap.Back.Is(key):
		d.back()
	default:
		if d.snap == nil {
			return nil
		}
		return d.effect(d.page().Press(key))
	}
	return nil
}

func (d *Dashboard) freeze() {
	d.frozen = !d.frozen
	if !d.frozen && d.pending != nil {
		s := d.pending
		d.pending = nil
		d.take(s)
	}
}

func (d *Dashboard) nextTheme() {
	names := theme.Names()[1:] // what auto comes to is one of them
	i := slices.Index(names, d.th.Name)
	d.want.Name = names[(i+1)%len(names)]
	d.restyle()
	d.say(theme.Quiet, "theme "+d.want.Name)
}

// visit goes to a view with a key: there is no way back but keys.
func (d *Dashboard) visit(i int) {
	if i < 0 || i >= len(d.pages) {
		return
	}
	d.trail = nil
	d.turn(i)
}

// turn shows a view and asks the feed for what it shows.
func (d *Dashboard) turn(i int) {
	d.at = i
	d.prompt = nil
	d.said = page.Say{} // it was said of another view
	d.frame.dirty = true
	if p, ok := d.page().(page.Enterer); ok {
		p.Enter()
	}
	if d.snap != nil {
		d.page().Load(d.snap)
	}
	d.subscribe()
}

func (d *Dashboard) subscribe() { d.feed.Subscribe(d.page().Topics()...) }

func (d *Dashboard) goTo(name string) {
	for i, p := range d.pages {
		if p.Name() == name {
			d.turn(i)
		}
	}
}

// back leaves a detail, then the filter, then the view for the one before.
func (d *Dashboard) back() {
	if l, ok := d.page().(page.Leaver); ok && l.Leave() {
		return
	}
	if f, ok := d.page().(page.Filterer); ok && f.Query() != "" {
		_ = f.Filter("") // an empty filter has no mistakes
		return
	}
	if n := len(d.trail); n > 0 {
		to := d.trail[n-1]
		d.trail = d.trail[:n-1]
		d.turn(to)
	}
}

func (d *Dashboard) openFilter() {
	f, ok := d.page().(page.Filterer)
	if !ok {
		d.say(theme.Quiet, "there is nothing to filter here")
		return
	}
	d.prompt = &prompt{label: "/", filter: true, before: f.Query()}
	d.prompt.input.Set(f.Query())
}

func (d *Dashboard) pressPrompt(key, typed string) tea.Cmd {
	p := d.prompt
	switch key {
	case "esc":
		d.prompt = nil
		if f, ok := d.page().(page.Filterer); ok && p.filter {
			_ = f.Filter("") // an empty filter has no mistakes
		}
	case "enter":
		d.prompt = nil
		if p.then != nil {
			return d.effect(p.then(p.input.Text()))
		}
	default:
		if p.input.Press(key, typed) && p.filter {
			d.filter()
		}
	}
	return nil
}

// filter applies what is being typed; a mistake keeps the last good filter.
func (d *Dashboard) filter() {
	if f, ok := d.page().(page.Filterer); ok {
		d.prompt.err = f.Filter(d.prompt.input.Text())
	}
}

func (d *Dashboard) paste(text string) {
	switch {
	case d.dialog != nil:
		d.dialog.Paste(text)
	case d.palette != nil:
		d.palette.input.Insert(text)
		d.palette.narrow()
	case d.prompt != nil:
		d.prompt.input.Insert(text)
		if d.prompt.filter {
			d.filter()
		}
	}
}

// effect carries out what a key asked for.
func (d *Dashboard) effect(e page.Effect) tea.Cmd {
	switch e := e.(type) {
	case page.Copy:
		return d.copy(e.Command)
	case page.Show:
		return d.show(e)
	case page.Say:
		d.say(e.Level, e.Text)
	case page.Ask:
		if ok, why := d.may(); !ok && d.page().Name() != page.Routing {
			d.say(theme.Alarm, why)
			return nil
		}
		d.prompt = &prompt{label: e.Prompt, then: e.Then}
	case page.Act:
		return d.act(e.Action)
	default:
		return d.call(page.AllCalls(e))
	}
	return nil
}

func (d *Dashboard) copy(command string) tea.Cmd {
	command = d.c.command(command)
	d.say(theme.Quiet, "copied: "+command)
	return tea.SetClipboard(command)
}

func (d *Dashboard) show(e page.Show) tea.Cmd {
	if d.page().Name() != e.Page {
		d.trail = append(d.trail, d.at)
		d.goTo(e.Page)
	}
	if f, ok := d.page().(page.Filterer); ok {
		_ = f.Filter(e.Filter) // made by a page: it has no mistakes
	}
	if l, ok := d.page().(page.Leaver); ok {
		l.Leave()
	}
	if o, ok := d.page().(page.Opener); ok && e.Open != "" {
		return d.effect(o.Open(e.Open))
	}
	return nil
}

// act opens the dialog of an action, if the user may act.
func (d *Dashboard) act(a *action.Action) tea.Cmd {
	if ok, why := d.may(); !ok {
		d.say(theme.Alarm, why)
		return nil
	}
	dialog, call := action.Open(a, d.c.command)
	d.dialog = dialog
	return d.dial(call)
}

func (d *Dashboard) dial(call action.Call) tea.Cmd {
	admin := d.c.admin
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		defer cancel()
		return fromDialog{call(ctx, admin)}
	}
}

// call asks the cluster what a page wants to know.
func (d *Dashboard) call(calls []page.Call) tea.Cmd {
	cmds := make([]tea.Cmd, len(calls))
	number, name, admin := d.number, d.page().Name(), d.c.admin
	for i, c := range calls {
		cmds[i] = func() tea.Msg {
			ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
			defer cancel()
			v, err := c.Do(ctx, admin)
			return fromPage{number: number, page: name, result: page.Result{Name: c.Name, Value: v, Err: err}}
		}
	}
	return tea.Batch(cmds...)
}

func (d *Dashboard) pressDialog(key, typed string) tea.Cmd {
	a := d.dialog.Press(key, typed)
	if a.Close {
		d.dialog = nil
	}
	switch {
	case a.Copy != "":
		return d.copy(a.Copy)
	case a.Call != nil:
		return d.dial(a.Call)
	case a.Open != "":
		return d.show(page.Show{Page: page.Operations, Open: a.Open})
	}
	return nil
}

// look makes sure that the feed carries the operation that a dialog follows:
// every view's topics have the status, and with it all operations that run.
// The end of one is seen in the list only.
func (d *Dashboard) look() tea.Cmd {
	if id := d.dialog.Operation(); id != "" {
		d.feed.Subscribe(withOperations(d.page().Topics())...)
	}
	return nil
}

const headLines = 3

func (d *Dashboard) click(m tea.Mouse) tea.Cmd {
	if m.Button != tea.MouseLeft || d.dialog != nil || d.palette != nil || d.help {
		return nil
	}
	d.frame.dirty = true
	if m.Y == 1 {
		for i := len(d.frame.tabs) - 1; i >= 0; i-- {
			if m.X >= d.frame.tabs[i] {
				d.visit(i)
				return nil
			}
		}
	}
	if p, ok := d.page().(page.Pointed); ok && d.snap != nil && m.Y >= headLines && m.Y < d.h-1 {
		p.Click(m.X, m.Y-headLines)
	}
	return nil
}

const wheelRows = 3

func (d *Dashboard) wheel(m tea.Mouse) {
	p, ok := d.page().(page.Pointed)
	if !ok || d.snap == nil || d.dialog != nil || d.palette != nil || d.help {
		return
	}
	d.frame.dirty = true
	if m.Button == tea.MouseWheelUp {
		p.Wheel(-wheelRows)
		return
	}
	p.Wheel(wheelRows)
}
