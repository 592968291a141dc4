package tui

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/nodedb/nodedb/tui/internal/action"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/page"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// command is one line of the palette.
type command struct {
	name string
	does string
	cli  string // what nodedbctl calls it
	run  func(d *Dashboard) tea.Cmd
}

// palette finds commands by what is typed.
type palette struct {
	all    []command
	shown  []command
	cursor int
	input  action.Input
}

const (
	paletteLines = 12
	// nodeCommands is up to how many nodes get commands of their own.
	nodeCommands = 200
)

func (d *Dashboard) newPalette() *palette {
	p := &palette{}
	for i, v := range d.pages {
		p.all = append(p.all, command{name: v.Name(), does: "view", cli: viewCommand(v.Name()), run: func(d *Dashboard) tea.Cmd {
			d.visit(i)
			return nil
		}})
	}
	for _, name := range d.cfg.contexts {
		p.all = append(p.all, command{name: "ctx " + name, does: "show this cluster", cli: "nodedbctl --context " + name, run: func(d *Dashboard) tea.Cmd { return d.leaveFor(name) }})
	}
	p.all = append(p.all,
		command{name: "lookup COLLECTION KEY", does: "where a row is", cli: "nodedbctl routing lookup COLLECTION KEY", run: func(d *Dashboard) tea.Cmd {
			return d.show(page.Show{Page: page.Routing})
		}},
		command{name: "range rN", does: "one range, its raft state", cli: "nodedbctl ranges show rN", run: func(d *Dashboard) tea.Cmd { return d.show(page.Show{Page: page.Ranges}) }},
	)
	p.actions(d)
	for _, name := range theme.Names() {
		p.all = append(p.all, command{name: "theme " + name, does: "look", cli: "--theme " + name, run: func(d *Dashboard) tea.Cmd {
			d.want.Name = name
			d.restyle()
			return nil
		}})
	}
	p.all = append(p.all,
		command{name: "freeze", does: "stop or go on", run: func(d *Dashboard) tea.Cmd { d.freeze(); return nil }},
		command{name: "help", does: "keys of this view", run: func(d *Dashboard) tea.Cmd { d.help = true; return nil }},
		command{name: "quit", does: "leave", run: func(*Dashboard) tea.Cmd { return tea.Quit }},
	)
	p.narrow()
	return p
}

func viewCommand(name string) string {
	switch name {
	case page.Overview:
		return "nodedbctl status"
	case page.Operations:
		return "nodedbctl ops"
	case page.Rebalance:
		return "nodedbctl rebalance status"
	}
	return "nodedbctl " + name
}

// actions adds what can be done to each node, for those who may.
func (p *palette) actions(d *Dashboard) {
	if d.snap == nil {
		return
	}
	may, _ := d.may()
	for _, n := range d.snap.Nodes[:min(len(d.snap.Nodes), nodeCommands)] {
		id, name := n.GetId(), cell.Node(n.GetId())
		p.all = append(p.all, command{name: "node " + name, does: n.GetStatus(), cli: "nodedbctl nodes show " + name, run: func(d *Dashboard) tea.Cmd {
			return d.show(page.Show{Page: page.Nodes, Open: name})
		}})
		if !may {
			continue
		}
		for _, a := range []*action.Action{action.Drain(id), action.Undrain(id), action.Cordon(id, true), action.Cordon(id, false), action.Decommission(id), action.Recommission(id)} {
			p.all = append(p.all, command{name: a.Title, does: "shows its plan first", cli: a.Command, run: func(d *Dashboard) tea.Cmd { return d.act(a) }})
		}
	}
	if may {
		a := action.Rebalance()
		p.all = append(p.all, command{name: a.Title + " plan", does: "shows its plan first", cli: a.Command, run: func(d *Dashboard) tea.Cmd { return d.act(a) }})
	}
}

// leaveFor connects to another cluster, beside the event loop.
func (d *Dashboard) leaveFor(name string) tea.Cmd {
	connect := d.cfg.connect
	d.say(theme.Moving, "connecting to "+name)
	return func() tea.Msg {
		c, err := connect(name)
		return switched{cluster: c, name: name, err: err}
	}
}

// score says how well a query fits a name: its letters in order, more for the
// starts of words and for a match from the start. 0 is no match.
func score(name, query string) int {
	total, at := 1, 0
	for i := 0; i < len(name) && at < len(query); i++ {
		if name[i]|0x20 != query[at]|0x20 {
			continue
		}
		total++
		if i == 0 || name[i-1] == ' ' {
			total += 5
		}
		if i == at {
			total += 3
		}
		at++
	}
	if at < len(query) {
		return 0
	}
	return total
}

func (p *palette) narrow() {
	query := strings.TrimSpace(p.input.Text())
	scores := map[string]int{}
	p.shown = p.shown[:0]
	if c, ok := typedCommand(query); ok {
		scores[c.name] = 1 << 20 // what was typed in full comes first
		p.shown = append(p.shown, c)
	}
	for _, c := range p.all {
		if s := score(c.name, query); s > 0 {
			scores[c.name] = s
			p.shown = append(p.shown, c)
		}
	}
	if query != "" {
		slices.SortStableFunc(p.shown, func(a, b command) int {
			return cmp.Or(cmp.Compare(scores[b.name], scores[a.name]), cmp.Compare(len(a.name), len(b.name)))
		})
	}
	p.cursor = 0
}

func (d *Dashboard) pressPalette(key, typed string) tea.Cmd {
	p := d.palette
	switch key {
	case "esc":
		d.palette = nil
	case "up", "ctrl+p":
		p.cursor = max(0, p.cursor-1)
	case "down", "ctrl+n", "tab":
		p.cursor = max(0, min(len(p.shown)-1, p.cursor+1))
	case "enter":
		d.palette = nil
		return d.run(p)
	default:
		if p.input.Press(key, typed) {
			p.narrow()
		}
	}
	return nil
}

// run carries out what the palette points at.
func (d *Dashboard) run(p *palette) tea.Cmd {
	if p.cursor < len(p.shown) {
		return p.shown[p.cursor].run(d)
	}
	d.say(theme.Alarm, "no command "+strings.TrimSpace(p.input.Text()))
	return nil
}

// typedCommand is the command that has words of the user's own in it.
func typedCommand(text string) (command, bool) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return command{}, false
	}
	open := func(does, cli, view string) (command, bool) {
		rest := strings.Join(words[1:], " ")
		return command{name: strings.Join(words, " "), does: does, cli: cli + " " + rest, run: func(d *Dashboard) tea.Cmd {
			return d.show(page.Show{Page: view, Open: rest})
		}}, true
	}
	switch {
	case words[0] == "lookup" && len(words) >= 3:
		return open("where a row is", "nodedbctl routing lookup", page.Routing)
	case words[0] == "range" && len(words) == 2 && rangeName(words[1]):
		return open("one range, its raft state", "nodedbctl ranges show", page.Ranges)
	case words[0] == "op" && len(words) == 2 && strings.HasPrefix(words[1], "op-"):
		return open("one operation", "nodedbctl ops show", page.Operations)
	}
	a, err := action.Typed(words)
	switch {
	case a != nil:
		return command{name: a.Title, does: "shows its plan first", cli: a.Command, run: func(d *Dashboard) tea.Cmd { return d.act(a) }}, true
	case err != nil:
		return command{name: words[0] + " " + words[1], does: err.Error(), run: func(d *Dashboard) tea.Cmd {
			d.say(theme.Alarm, err.Error())
			return nil
		}}, true
	}
	return command{}, false
}

// rangeName reports whether text names a range: r7, 7.
func rangeName(text string) bool {
	_, err := strconv.ParseUint(strings.TrimPrefix(text, "r"), 10, 32)
	return err == nil
}

func (p *palette) draw(th *theme.Theme, width, height int) *cell.Block {
	inner := width - 4
	b := cell.NewBlock(inner)
	b.Add(cell.NewLine(inner).Put(th.Key, ":").Put(th.Title, p.input.Text()))
	lines := min(paletteLines, max(1, height-4))
	first := max(0, p.cursor-lines+1)
	for i := first; i < min(len(p.shown), first+lines); i++ {
		c := p.shown[i]
		l := cell.NewLine(inner)
		if i == p.cursor {
			l.Open(th.Select)
			l.Put(cell.Style{}, mark(th)).Field(cell.Style{}, c.name, 22, false).Space(1).Field(cell.Style{}, c.does, 22, false).Space(1).Put(cell.Style{}, c.cli)
			l.To(inner)
			l.Close(th.Select)
		} else {
			l.Space(1).Field(th.Plain, c.name, 22, false).Space(1).Field(th.Dim, c.does, 22, false).Space(1).Put(th.Info, c.cli)
		}
		b.Add(l)
	}
	if len(p.shown) == 0 {
		b.Text(th.Dim, " nothing is called so")
	}
	return b.Frame(th.Rule, th.Title, "command", th.Sym.Frame)
}

func mark(th *theme.Theme) string {
	if th.Color {
		return " "
	}
	return th.Sym.Cursor
}
