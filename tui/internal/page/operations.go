package page

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/action"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/match"
	"github.com/nodedb/nodedb/tui/internal/progress"
	"github.com/nodedb/nodedb/tui/internal/table"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// operations lists what is being done to the cluster, and shows one in full.
type operations struct {
	s *feed.Snapshot
	filtered[*adminpb.Operation]
	open   string // the operation that fills the screen; empty: the list
	chosen bool   // the user has chosen a row since the view was entered
	scroll int
	now    time.Time
}

var operationFields = match.Fields[*adminpb.Operation]{
	Text: func(b []byte, o *adminpb.Operation) []byte {
		return fmt.Append(b, o.GetId(), " ", progress.Title(o), " ", o.GetState(), " ", o.GetRequestedBy())
	},
	Words: map[string]func(*adminpb.Operation) string{
		"kind": func(o *adminpb.Operation) string { return o.GetSpec().GetKind() }, "state": (*adminpb.Operation).GetState, "by": (*adminpb.Operation).GetRequestedBy,
	},
	Whole: map[string]func(*adminpb.Operation, string) bool{
		"node": func(o *adminpb.Operation, v string) bool {
			for _, n := range o.GetSpec().GetNodes() {
				if cell.Node(n) == v {
					return true
				}
			}
			return false
		},
	},
}

func newOperations() *operations {
	p := &operations{filtered: filtered[*adminpb.Operation]{fields: &operationFields, noun: "operation"}}
	type O = *adminpb.Operation
	p.t = table.New(operationKey,
		table.Column[O]{Title: "  OPERATION", Width: 13, Cell: func(th *theme.Theme, o O) (string, cell.Style) {
			mark, style := th.OperationMark(o.GetState())
			return mark + " " + o.GetId(), style
		}},
		table.Column[O]{Title: "WHAT", Width: 18, Grow: true, Cell: func(th *theme.Theme, o O) (string, cell.Style) { return progress.Title(o), th.Bold }},
		table.Column[O]{Title: "STATE", Width: 10, Cell: func(th *theme.Theme, o O) (string, cell.Style) {
			return o.GetState(), th.Word(theme.Operation(o.GetState()))
		}},
		table.Column[O]{Title: "PHASE", Width: 11, Cell: func(th *theme.Theme, o O) (string, cell.Style) {
			if client.Final(o.GetState()) {
				return "", th.Dim
			}
			return o.GetPhase(), th.Plain
		}},
		table.Column[O]{Title: "DONE", Width: 5, Right: true, Cell: func(th *theme.Theme, o O) (string, cell.Style) {
			return cell.Percent(client.Share(o)), th.Plain
		}},
		table.Column[O]{Title: "TIME", Width: 8, Right: true, Cell: func(th *theme.Theme, o O) (string, cell.Style) { return progress.Elapsed(o, p.now), th.Dim }},
		table.Column[O]{Title: "BEGAN", Width: 14, From: 100, Cell: func(th *theme.Theme, o O) (string, cell.Style) {
			return o.GetCreatedAt().AsTime().Local().Format("01-02 15:04:05"), th.Dim
		}},
		table.Column[O]{Title: "BY", Width: 10, From: 112, Cell: func(th *theme.Theme, o O) (string, cell.Style) { return cell.Or(o.GetRequestedBy()), th.Dim }},
	)
	return p
}

// operationKey makes a number of an operation's id, which is text.
func operationKey(o *adminpb.Operation) uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range []byte(o.GetId()) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func (*operations) Name() string { return Operations }

func (*operations) Topics() []string { return []string{feed.Status, feed.Operations} }

// Load implements Page. What is at work comes first, and is selected unless the
// user has chosen another one.
func (p *operations) Load(s *feed.Snapshot) {
	p.s = s
	rows := slices.Clone(s.Operations)
	slices.SortStableFunc(rows, func(a, b *adminpb.Operation) int { return cmp.Compare(over(a), over(b)) })
	p.t.Set(rows)
	if at, ok := p.t.Selected(); !p.chosen && (!ok || over(at) > 0) {
		p.t.Go(0)
	}
	p.t.Reveal()
}

// over is 0 for an operation that is at work, 1 for one that has ended.
func over(o *adminpb.Operation) int {
	if client.Final(o.GetState()) {
		return 1
	}
	return 0
}

// Enter implements Enterer.
func (p *operations) Enter() { p.chosen = false }

// Open implements Opener.
func (p *operations) Open(id string) Effect {
	p.open, p.scroll, p.chosen = id, 0, true
	p.t.Select(operationKey(&adminpb.Operation{Id: id}))
	return Done{}
}

// Leave implements Leaver.
func (p *operations) Leave() bool {
	open := p.open != ""
	p.open = ""
	return open
}

func (p *operations) Keys() []*keymap.Key {
	if p.open != "" {
		return append(append([]*keymap.Key{&keymap.Leave}, p.acts()...), &keymap.Copy, &keymap.Move)
	}
	return append(append([]*keymap.Key{&keymap.Move, &keymap.Enter}, p.acts()...), &keymap.Filter, &keymap.Copy)
}

// acts are the keys that mean something for the operation that is selected.
func (p *operations) acts() []*keymap.Key {
	if p.s == nil {
		return nil
	}
	switch o := p.current(); {
	case o == nil || client.Final(o.GetState()):
		return nil
	case o.GetState() == "paused":
		return []*keymap.Key{&keymap.Resume, &keymap.Cancel}
	case o.GetState() == "cancelling" || o.GetSpec().GetKind() == "drain":
		return []*keymap.Key{&keymap.Cancel}
	}
	return []*keymap.Key{&keymap.Pause, &keymap.Cancel}
}

func (p *operations) current() *adminpb.Operation {
	if p.open != "" {
		return p.s.Operation(p.open)
	}
	o, ok := p.t.Selected()
	if !ok {
		return nil
	}
	return o
}

// Press implements Page.
func (p *operations) Press(key string) Effect {
	switch {
	case p.open != "" && (key == "down" || key == "j"):
		p.scroll++
		return Done{}
	case p.open != "" && (key == "up" || key == "k"):
		p.scroll = max(0, p.scroll-1)
		return Done{}
	case p.open == "" && p.t.Press(key):
		p.chosen = true
		return Done{}
	}
	o := p.current()
	switch {
	case o == nil:
	case keymap.Enter.Is(key):
		return p.Open(o.GetId())
	case keymap.Copy.Is(key):
		return Copy{"nodedbctl ops show " + o.GetId()}
	case (keymap.Pause.Is(key) || keymap.Resume.Is(key) || keymap.Cancel.Is(key)) && client.Final(o.GetState()):
		return Say{Level: theme.Alarm, Text: o.GetId() + " has ended: it is " + o.GetState()}
	case keymap.Pause.Is(key):
		return Act{action.Pause(o.GetId())}
	case keymap.Resume.Is(key):
		return Act{action.Resume(o.GetId())}
	case keymap.Cancel.Is(key):
		return Act{action.Cancel(o)}
	}
	return nil
}

// Click implements Pointed.
func (p *operations) Click(_, y int) {
	if p.open == "" {
		p.chosen = p.t.Click(y) || p.chosen
	}
}

// Wheel implements Pointed.
func (p *operations) Wheel(by int) {
	if p.open == "" {
		p.t.Move(by)
		return
	}
	p.scroll = max(0, p.scroll+by)
}

// Ages implements Ager.
func (p *operations) Ages(time.Time) time.Duration {
	if len(p.s.Running()) > 0 {
		return time.Second
	}
	return 0
}

// Draw implements Page.
func (p *operations) Draw(th *theme.Theme, s Size) *cell.Block {
	p.now = s.Now
	switch {
	case p.open != "":
		return p.drawOne(th, s)
	case !p.s.Has(feed.Operations):
		return loading(th, s, "asking for the operations")
	case p.t.Total() == 0:
		return blank(th, s, "no operation has been asked for", "drain, decommission, rebalance, move and transfer make one; each shows its plan first")
	case p.t.Len() == 0:
		return p.noMatch(th, s)
	}
	rows := min(p.t.Len()+2, s.Height/2)
	b := p.t.Draw(th, s.Width, rows)
	if o := p.current(); o != nil {
		b.Add(section(th, s.Width, o.GetId(), ""))
		b.Append(progress.Draw(th, o, s.Width, s.Now))
	}
	return b.Resize(s.Height)
}

func (p *operations) drawOne(th *theme.Theme, s Size) *cell.Block {
	o := p.s.Operation(p.open)
	if o == nil {
		if !p.s.Has(feed.Operations) {
			return loading(th, s, "asking for "+p.open)
		}
		return blank(th, s, p.open+" is not known", "esc goes back to the list")
	}
	b := progress.Draw(th, o, s.Width, s.Now)
	if over := b.Height() - s.Height; over > 0 {
		p.scroll = min(p.scroll, over)
		b = b.Slice(p.scroll, p.scroll+s.Height-1)
		b.Text(th.Dim, fmt.Sprintf("%s line %d of %d: j, k", th.Sym.Ellipsis, p.scroll+1, over+s.Height))
	}
	return b.Resize(s.Height)
}
