package page

import (
	"context"
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/table"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// routing shows which node serves which vshards, and where one row is.
type routing struct {
	s *feed.Snapshot
	filtered[*adminpb.Range]

	asked string // collection and key of the last look-up
	found *adminpb.LookupRouteResponse
	err   error

	diff    *adminpb.DiffRoutingResponse
	diffErr error
	diffing bool
}

func newRouting() *routing {
	p := &routing{filtered: filtered[*adminpb.Range]{fields: &rangeFields, noun: "range"}}
	type R = *adminpb.Range
	p.t = table.New(func(r R) uint64 { return uint64(r.GetId()) },
		table.Column[R]{Title: "VSHARDS", Width: 10, Cell: func(th *theme.Theme, r R) (string, cell.Style) { return vshards(r), th.Bold }},
		table.Column[R]{Title: "RANGE", Width: 6, Cell: func(th *theme.Theme, r R) (string, cell.Style) { return cell.Range(r.GetId()), th.Plain }},
		table.Column[R]{Title: "LEADER", Width: 8, Cell: func(th *theme.Theme, r R) (string, cell.Style) {
			if r.GetLeader() == 0 {
				return th.Sym.Bad + " none", th.Bad
			}
			return cell.Node(r.GetLeader()), th.Plain
		}},
		table.Column[R]{Title: "SQL ADDRESS", Width: 22, Cell: func(th *theme.Theme, r R) (string, cell.Style) {
			return cell.Or(p.s.Node(r.GetLeader()).GetAddresses().GetSql()), th.Info
		}},
		table.Column[R]{Title: "REPLICAS", Width: 14, Grow: true, Cell: func(th *theme.Theme, r R) (string, cell.Style) {
			return replicaNodes(r, "voter", "incoming", "outgoing", "learner"), th.Plain
		}},
		table.Column[R]{Title: "GEN", Width: 8, Right: true, Cell: func(th *theme.Theme, r R) (string, cell.Style) { return fmt.Sprint(r.GetGeneration()), th.Dim }},
	)
	p.t.ByKey = true
	return p
}

func (*routing) Name() string { return Routing }

func (*routing) Topics() []string { return []string{feed.Status, feed.Ranges, feed.Nodes} }

func (p *routing) Load(s *feed.Snapshot) {
	p.s = s
	p.t.Set(s.Ranges)
}

func (p *routing) Keys() []*keymap.Key {
	return []*keymap.Key{&keymap.Move, &keymap.Lookup, &keymap.Diff, &keymap.Enter, &keymap.Filter, &keymap.Copy}
}

// Open implements Opener: id is a collection and a key.
func (p *routing) Open(id string) Effect { return p.lookup(id) }

// Leave implements Leaver.
func (p *routing) Leave() bool {
	open := p.asked != "" || p.diffing
	p.asked, p.found, p.err, p.diffing, p.diff, p.diffErr = "", nil, nil, false, nil, nil
	return open
}

// Press implements Page.
func (p *routing) Press(key string) Effect {
	switch {
	case keymap.Lookup.Is(key):
		return Ask{Prompt: "collection and key: ", Then: p.lookup}
	case keymap.Diff.Is(key):
		p.diffing = true
		return Call{Name: "diff", Do: func(ctx context.Context, c adminpb.AdminClient) (any, error) {
			return c.DiffRouting(ctx, &adminpb.DiffRoutingRequest{NodeTimeout: 2})
		}}
	case p.t.Press(key):
		return Done{}
	}
	r, ok := p.t.Selected()
	switch {
	case !ok:
	case keymap.Enter.Is(key):
		return Show{Page: Ranges, Open: cell.Range(r.GetId())}
	case keymap.Copy.Is(key) && p.asked != "":
		return Copy{"nodedbctl routing lookup " + p.asked}
	case keymap.Copy.Is(key):
		return Copy{"nodedbctl routing show"}
	}
	return nil
}

func (p *routing) lookup(text string) Effect {
	words := strings.Fields(text)
	if len(words) < 2 {
		return Say{Level: theme.Alarm, Text: "a collection and its key are needed, such as: orders 4711"}
	}
	p.asked, p.found, p.err = strings.Join(words, " "), nil, nil
	return Call{Name: "lookup " + p.asked, Do: func(ctx context.Context, c adminpb.AdminClient) (any, error) {
		return c.LookupRoute(ctx, &adminpb.LookupRouteRequest{Collection: words[0], Key: words[1:]})
	}}
}

// Receive implements Receiver.
func (p *routing) Receive(r Result) {
	switch {
	case r.Name == "diff":
		p.diffErr = r.Err
		if v, ok := r.Value.(*adminpb.DiffRoutingResponse); ok && r.Err == nil {
			p.diff = v
		}
	case r.Name == "lookup "+p.asked:
		p.err = r.Err
		if v, ok := r.Value.(*adminpb.LookupRouteResponse); ok && r.Err == nil {
			p.found = v
			p.t.Select(uint64(v.GetRoute().GetRange()))
		}
	}
}

// Click implements Pointed.
func (p *routing) Click(_, y int) { p.t.Click(y - p.top()) }

// Wheel implements Pointed.
func (p *routing) Wheel(by int) { p.t.Move(by) }

func (p *routing) top() int {
	if p.asked == "" {
		return 2
	}
	return 5
}

// Draw implements Page.
func (p *routing) Draw(th *theme.Theme, s Size) *cell.Block {
	if !p.s.Has(feed.Ranges) {
		return loading(th, s, "asking for the routing table")
	}
	b := cell.NewBlock(s.Width)
	p.drawLookup(th, b)
	room := s.Height - b.Height()
	var diff *cell.Block
	if p.diffing {
		diff = p.drawDiff(th, s.Width)
		diff.Resize(min(diff.Height(), room/2))
		room -= diff.Height()
	}
	if p.t.Len() == 0 {
		b.Append(p.noMatch(th, Size{Width: s.Width, Height: room}))
	} else {
		b.Append(p.t.Draw(th, s.Width, room))
	}
	if diff != nil {
		b.Append(diff)
	}
	return b.Resize(s.Height)
}

func (p *routing) drawLookup(th *theme.Theme, b *cell.Block) {
	if p.asked == "" {
		b.Add(cell.NewLine(b.Width).Space(1).Put(th.Dim, "a row's vshard is a hash of its key; ").Put(th.Key, "l").Put(th.Dim, " looks one up")).Blank()
		return
	}
	b.Add(section(th, b.Width, "look-up", p.asked))
	switch {
	case p.err != nil:
		b.Add(cell.NewLine(b.Width).Space(1).Put(th.Bad, th.Sym.Bad+" ").Put(th.Plain, refusal(p.err))).Blank().Blank()
	case p.found == nil:
		b.Add(cell.NewLine(b.Width).Space(1).Put(th.Busy, th.Sym.Ellipsis+" asking")).Blank().Blank()
	default:
		r := p.found.GetRoute()
		b.Add(cell.NewLine(b.Width).Space(1).Put(th.Dim, "vshard ").Put(th.Title, fmt.Sprint(p.found.GetVshard())).
			Put(th.Dim, "  range ").Put(th.Title, cell.Range(r.GetRange())).Put(th.Dim, " vshards "+vshards(r)).
			Put(th.Dim, "  leader ").Put(th.Title, cell.Node(r.GetLeader())).Put(th.Info, " "+r.GetLeaderAddress()))
		b.Add(cell.NewLine(b.Width).Space(1).Put(th.Dim, "replicas ").Put(th.Plain, cell.Nodes(r.GetReplicas(), " ")).Put(th.Dim, fmt.Sprintf("  generation %d  as of meta@%d",
			r.GetGeneration(), p.found.GetAsOf().GetMetaIndex()))).Blank()
	}
}

func (p *routing) drawDiff(th *theme.Theme, width int) *cell.Block {
	b := cell.NewBlock(width)
	b.Add(section(th, width, "tables", "each node's against the meta range"))
	switch {
	case p.diffErr != nil:
		return b.Text(th.Dim, refusal(p.diffErr))
	case p.diff == nil:
		return b.Text(th.Busy, th.Sym.Ellipsis+" asking the nodes")
	}
	for _, n := range p.diff.GetNodes() {
		level := theme.Quiet
		if len(n.GetStale())+len(n.GetWrongLeader()) > 0 {
			level = theme.Alarm
		}
		mark, style := th.Mark(level)
		b.Add(cell.NewLine(width).Space(1).Put(style, mark+" ").Field(th.Bold, cell.Node(n.GetNode()), 6, false).
			Put(th.Plain, fmt.Sprintf("meta@%d, %s behind, %d stale, %s, %s/s went wrong", n.GetMetaIndex(), cell.Seconds(n.GetBehindSeconds()),
				len(n.GetStale()), cell.Plural(len(n.GetWrongLeader()), "wrong leader"), cell.Rate(n.GetWrongLeaderPerSecond()))))
	}
	return b
}
