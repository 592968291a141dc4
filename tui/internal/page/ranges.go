package page

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/action"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/match"
	"github.com/nodedb/nodedb/tui/internal/table"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// ranges shows the vshards as a map, the ranges as a table, and one in detail.
type ranges struct {
	s *feed.Snapshot
	filtered[*adminpb.Range]
	m      *rangeMap
	metric metric
	table  bool // of small screens, that show one of both
	both   bool // from the last Draw: there is room for both
	detail *rangeDetail
}

var rangeFields = match.Fields[*adminpb.Range]{
	Text: func(b []byte, r *adminpb.Range) []byte {
		b = append(strconv.AppendUint(append(b, 'r'), uint64(r.GetId()), 10), ' ')
		return append(append(appendVShards(b, r), ' '), r.GetState()...)
	},
	Words: map[string]func(*adminpb.Range) string{"state": (*adminpb.Range).GetState},
	Whole: map[string]func(*adminpb.Range, string) bool{
		"pool": func(r *adminpb.Range, v string) bool { return !r.GetMeta() && poolOf(r) == v },
		"leader": func(r *adminpb.Range, v string) bool {
			return cell.Node(r.GetLeader()) == v || r.GetLeader() == 0 && v == "none"
		},
		"on": func(r *adminpb.Range, v string) bool {
			return slices.ContainsFunc(r.GetReplicas(), func(x *adminpb.Replica) bool { return cell.Node(x.GetNode()) == v })
		},
		"vshard": func(r *adminpb.Range, v string) bool {
			n, err := strconv.ParseUint(v, 10, 32)
			return err == nil && !r.GetMeta() && uint32(n) >= r.GetStart() && uint32(n) < r.GetEnd()
		},
	},
	Numbers: map[string]func(*adminpb.Range) float64{
		"id": func(r *adminpb.Range) float64 { return float64(r.GetId()) }, "mib": func(r *adminpb.Range) float64 { return float64(r.GetBytes()) / (1 << 20) },
		"keys": func(r *adminpb.Range) float64 { return float64(r.GetKeys()) }, "reads": (*adminpb.Range).GetReadsPerSecond,
		"writes": (*adminpb.Range).GetWritesPerSecond, "gen": func(r *adminpb.Range) float64 { return float64(r.GetGeneration()) },
	},
}

func replicaNodes(r *adminpb.Range, roles ...string) string {
	var ids []uint32
	for _, x := range r.GetReplicas() {
		if slices.Contains(roles, x.GetRole()) {
			ids = append(ids, x.GetNode())
		}
	}
	slices.Sort(ids) // as nodedbctl and SQL have them
	return cell.Or(cell.Nodes(ids, ","))
}

// Roles of replicas that vote, and of those that do not yet.
var (
	voting   = []string{"voter", "incoming", "outgoing"}
	learning = []string{"learner"}
)

func newRanges() *ranges {
	type R = *adminpb.Range
	plain := func(f func(R) string) func(*theme.Theme, R) (string, cell.Style) {
		return func(th *theme.Theme, r R) (string, cell.Style) { return f(r), th.Plain }
	}
	t := table.New(func(r R) uint64 { return uint64(r.GetId()) },
		table.Column[R]{Title: "RANGE", Width: 6, Cell: func(th *theme.Theme, r R) (string, cell.Style) { return cell.Range(r.GetId()), th.Bold },
			Compare: func(a, b R) int { return cmp.Compare(a.GetId(), b.GetId()) }},
		table.Column[R]{Title: "VSHARDS", Width: 9, Cell: func(th *theme.Theme, r R) (string, cell.Style) { return vshards(r), th.Dim },
			Compare: func(a, b R) int { return cmp.Compare(a.GetStart(), b.GetStart()) }},
		table.Column[R]{Title: "POOL", Width: 9, From: 104, Cell: func(th *theme.Theme, r R) (string, cell.Style) { return rangePool(r), th.Dim },
			Compare: func(a, b R) int { return strings.Compare(rangePool(a), rangePool(b)) }},
		table.Column[R]{Title: "STATE", Width: 12, Cell: func(th *theme.Theme, r R) (string, cell.Style) {
			mark, style := th.Mark(theme.RangeState(r.GetState()))
			return mark + " " + r.GetState(), style
		}, Compare: func(a, b R) int {
			return cmp.Or(cmp.Compare(theme.RangeState(b.GetState()), theme.RangeState(a.GetState())), cmp.Compare(a.GetState(), b.GetState()))
		}},
		table.Column[R]{Title: "LEADER", Width: 7, Cell: func(th *theme.Theme, r R) (string, cell.Style) {
			if r.GetLeader() == 0 {
				return "none", th.Bad
			}
			return cell.Node(r.GetLeader()), th.Plain
		}, Compare: func(a, b R) int { return cmp.Compare(a.GetLeader(), b.GetLeader()) }},
		table.Column[R]{Title: "VOTERS", Width: 14, Cell: plain(func(r R) string { return replicaNodes(r, voting...) })},
		table.Column[R]{Title: "LEARNERS", Width: 9, From: 100, Cell: func(th *theme.Theme, r R) (string, cell.Style) { return replicaNodes(r, learning...), th.Busy }},
		table.Column[R]{Title: "BYTES", Width: 10, Right: true, Cell: plain(rangeBytes),
			Compare: func(a, b R) int { return cmp.Compare(a.GetBytes(), b.GetBytes()) }},
		table.Column[R]{Title: "DEAD", Width: 10, Right: true, From: 124, Cell: plain(rangeDead),
			Compare: func(a, b R) int { return cmp.Compare(a.GetDeadBytes(), b.GetDeadBytes()) }},
		table.Column[R]{Title: "KEYS", Width: 9, Right: true, From: 110, Cell: plain(rangeKeys),
			Compare: func(a, b R) int { return cmp.Compare(a.GetKeys(), b.GetKeys()) }},
		table.Column[R]{Title: "READS/S", Width: 7, Right: true, Cell: plain(rangeReads),
			Compare: func(a, b R) int { return cmp.Compare(a.GetReadsPerSecond(), b.GetReadsPerSecond()) }},
		table.Column[R]{Title: "WRITES/S", Width: 8, Right: true, Cell: plain(rangeWrites),
			Compare: func(a, b R) int { return cmp.Compare(a.GetWritesPerSecond(), b.GetWritesPerSecond()) }},
		table.Column[R]{Title: "GEN", Width: 6, Right: true, From: 120, Cell: func(th *theme.Theme, r R) (string, cell.Style) {
			return strconv.FormatUint(r.GetGeneration(), 10), th.Dim
		}},
		table.Column[R]{Title: "TERM", Width: 6, Right: true, From: 130, Cell: func(th *theme.Theme, r R) (string, cell.Style) {
			return strconv.FormatUint(r.GetTerm(), 10), th.Dim
		}},
		table.Column[R]{Title: "APPLIED", Width: 10, Right: true, From: 140, Cell: func(th *theme.Theme, r R) (string, cell.Style) {
			return strconv.FormatUint(r.GetApplied(), 10), th.Dim
		}},
	)
	t.ByKey = true
	return &ranges{filtered: filtered[R]{t: t, fields: &rangeFields, noun: "range"}, m: newRangeMap(nil, everyPool)}
}

func (*ranges) Name() string { return Ranges }

func (*ranges) Topics() []string { return []string{feed.Status, feed.Ranges, feed.Nodes} }

func (p *ranges) Load(s *feed.Snapshot) {
	p.s = s
	p.t.Set(s.Ranges)
	p.m.set(s.Ranges)
}

// Open implements Opener: id is a range's, with or without its r.
func (p *ranges) Open(id string) Effect {
	v, err := strconv.ParseUint(strings.TrimPrefix(id, "r"), 10, 32)
	if err != nil {
		return nil
	}
	p.t.Select(v)
	return p.open(uint32(v))
}

func (p *ranges) open(id uint32) Effect {
	p.detail = &rangeDetail{id: id}
	return p.detail.ask()
}

// Again implements Asker.
func (p *ranges) Again(now time.Time) Effect {
	if p.detail == nil {
		return nil
	}
	return p.detail.again(now)
}

// Leave implements Leaver.
func (p *ranges) Leave() bool {
	open := p.detail != nil
	p.detail = nil
	return open
}

// Receive implements Receiver.
func (p *ranges) Receive(r Result) {
	if p.detail != nil {
		p.detail.receive(r)
	}
}

func (p *ranges) Keys() []*keymap.Key {
	if p.detail != nil {
		return []*keymap.Key{&keymap.Leave, &keymap.MoveRange, &keymap.Transfer, &keymap.Copy, &keymap.Move}
	}
	return []*keymap.Key{
		&keymap.Move, &keymap.Enter, &keymap.Map, &keymap.Metric, &keymap.Bad, &keymap.MoveRange, &keymap.Transfer, &keymap.Filter, &keymap.Sort, &keymap.Copy,
	}
}

// Press implements Page.
func (p *ranges) Press(key string) Effect {
	if e := p.actions(key); e != nil {
		return e
	}
	if p.detail != nil {
		return p.detail.press(key)
	}
	switch {
	case keymap.Map.Is(key):
		p.table = !p.table
	case keymap.Metric.Is(key):
		p.metric = (p.metric + 1) % metricCount
	case keymap.Bad.Is(key):
		return p.nextBad()
	case (p.both || !p.table) && p.steer(key):
	case p.t.Press(key):
	default:
		return nil
	}
	return Done{}
}

func (p *ranges) actions(key string) Effect {
	r, ok := p.t.Selected()
	if p.detail != nil {
		if r = p.s.Range(p.detail.id); r == nil {
			return nil
		}
	} else if !ok {
		return nil
	}
	id := r.GetId()
	switch {
	case keymap.Enter.Is(key) && p.detail == nil:
		return p.open(id)
	case keymap.Copy.Is(key):
		return Copy{"nodedbctl ranges show " + cell.Range(id)}
	case keymap.Transfer.Is(key):
		return Ask{Prompt: "transfer " + cell.Range(id) + " to which node: ", Then: func(text string) Effect {
			to, err := nodeID(p.s, text)
			if err != nil {
				return Say{Level: theme.Alarm, Text: err.Error()}
			}
			return Act{action.Transfer(id, to)}
		}}
	case keymap.MoveRange.Is(key):
		return Ask{Prompt: "move a replica of " + cell.Range(id) + ", from and to: ", Then: func(text string) Effect { return moveEffect(p.s, id, text) }}
	}
	return nil
}

func moveEffect(s *feed.Snapshot, id uint32, text string) Effect {
	words := strings.Fields(text)
	if len(words) != 2 {
		return Say{Level: theme.Alarm, Text: "two nodes are needed, such as n2 n5"}
	}
	from, err := nodeID(s, words[0])
	if err != nil {
		return Say{Level: theme.Alarm, Text: err.Error()}
	}
	to, err := nodeID(s, words[1])
	if err != nil {
		return Say{Level: theme.Alarm, Text: err.Error()}
	}
	return Act{action.Move(id, from, to)}
}

// steer moves through the map: h and l by range, up and down by line where the
// map is alone.
func (p *ranges) steer(key string) bool {
	r, ok := p.t.Selected()
	if !ok {
		return false
	}
	m := p.mapOf(r)
	at := int(r.GetStart())
	switch key {
	case "left", "h", "right", "l":
		by := 1
		if key == "left" || key == "h" {
			by = -1
		}
		to := m.beside(r, by)
		if r.GetMeta() {
			to = m.owner(0)
		}
		if to != nil {
			p.t.Select(uint64(to.GetId()))
		}
		return true
	case "up", "k":
		at -= mapColumns
	case "down", "j":
		at += mapColumns
	default:
		return false
	}
	if vertical := key == "up" || key == "k" || key == "down" || key == "j"; vertical && p.both {
		return false // the table's
	}
	if r.GetMeta() {
		at = 0
	}
	if at >= 0 && at < vshardCount {
		if to := m.owner(at); to != nil {
			p.t.Select(uint64(to.GetId()))
		}
	}
	return true
}

// mapOf is the map of the pool of r, the range that is selected; of the meta range,
// which is in none, the one that was shown last.
func (p *ranges) mapOf(r *adminpb.Range) *rangeMap {
	if r != nil && !r.GetMeta() && poolOf(r) != p.m.pool {
		p.m = newRangeMap(p.s.Ranges, poolOf(r))
	}
	return p.m
}

// nextBad goes to the next range in the worst state that there is.
func (p *ranges) nextBad() Effect {
	worst := theme.Quiet
	for i := range p.t.Len() {
		worst = max(worst, theme.RangeState(p.t.Row(i).GetState()))
	}
	if worst == theme.Quiet {
		return Say{Level: theme.Quiet, Text: "every range is healthy"}
	}
	for i := range p.t.Len() {
		at := (p.t.Cursor() + 1 + i) % p.t.Len()
		if theme.RangeState(p.t.Row(at).GetState()) == worst {
			p.t.Go(at)
			break
		}
	}
	return Done{}
}

// Click implements Pointed.
func (p *ranges) Click(x, y int) {
	switch {
	case p.detail != nil:
	case (p.both || !p.table) && y >= 1 && y <= mapRows:
		width := 1
		if p.both {
			width = 2
		}
		if v := (y-1)*mapColumns + (x-mapMargin)/width; x >= mapMargin && (x-mapMargin)/width < mapColumns && p.m.owner(v) != nil {
			p.t.Select(uint64(p.m.owner(v).GetId()))
		}
	case p.both:
		p.t.Click(y - mapRows - 2)
	default:
		p.t.Click(y)
	}
}

// Wheel implements Pointed.
func (p *ranges) Wheel(by int) { p.t.Move(by) }

const bothWidth = mapMargin + 2*mapColumns

// Draw implements Page.
func (p *ranges) Draw(th *theme.Theme, s Size) *cell.Block {
	switch {
	case !p.s.Has(feed.Ranges):
		return loading(th, s, "asking for the ranges")
	case p.detail != nil:
		return p.detail.draw(th, s, p.s)
	case p.t.Len() == 0:
		return p.noMatch(th, s)
	}
	p.both = s.Width >= bothWidth && s.Height >= 34
	switch {
	case p.both:
		return p.drawBoth(th, s)
	case p.table:
		return p.t.Draw(th, s.Width, s.Height)
	}
	return p.drawMap(th, s)
}

func (p *ranges) selected() *adminpb.Range {
	r, ok := p.t.Selected()
	if !ok {
		return nil
	}
	return r
}

func (p *ranges) drawMap(th *theme.Theme, s Size) *cell.Block {
	b := cell.NewBlock(s.Width)
	r := p.selected()
	b.Add(p.mapOf(r).legend(th, s.Width, p.metric, p.s.Nodes))
	p.m.draw(th, b, mapLook{metric: p.metric, cellWidth: 1, selected: r, match: p.test})
	b.Blank()
	p.line(th, b, r)
	return b.Resize(s.Height)
}

// line is the selected range in one or two lines.
func (p *ranges) line(th *theme.Theme, b *cell.Block, r *adminpb.Range) {
	mark, style := th.Mark(theme.RangeState(r.GetState()))
	l := cell.NewLine(b.Width).Put(th.Title, cell.Range(r.GetId())+" ").Put(th.Dim, vshards(r)+"  ").Put(style, mark+" "+r.GetState()).
		Put(th.Dim, "  leader ").Put(th.Plain, cell.Node(r.GetLeader())).Put(th.Dim, "  voters ").Put(th.Plain, replicaNodes(r, voting...)).
		Put(th.Dim, "  "+rangeBytes(r))
	l.Fit(th.Dim, fmt.Sprintf("  %s reads/s  %s writes/s", rangeReads(r), rangeWrites(r)))
	b.Add(l)
}

func (p *ranges) drawBoth(th *theme.Theme, s Size) *cell.Block {
	r := p.selected()
	left := cell.NewBlock(bothWidth)
	left.Add(p.mapOf(r).legend(th, bothWidth, p.metric, p.s.Nodes))
	p.m.draw(th, left, mapLook{metric: p.metric, cellWidth: 2, selected: r, match: p.test})
	b := left
	if side := s.Width - bothWidth - 3; side >= 20 {
		b = cell.Beside(mapRows+1, th.Rule, th.Sym.Vertical, left, p.card(th, side, r))
	}
	out := cell.NewBlock(s.Width).Append(b)
	note := fmt.Sprint(p.t.Len())
	if p.t.Len() != p.t.Total() {
		note += fmt.Sprintf(" of %d", p.t.Total())
	}
	out.Add(section(th, s.Width, "ranges", note))
	return out.Append(p.t.Draw(th, s.Width, s.Height-out.Height())).Resize(s.Height)
}

// card is the selected range beside the map.
func (p *ranges) card(th *theme.Theme, width int, r *adminpb.Range) *cell.Block {
	b := cell.NewBlock(width)
	mark, style := th.Mark(theme.RangeState(r.GetState()))
	b.Add(cell.NewLine(width).Put(th.Title, cell.Range(r.GetId())).Put(th.Dim, "  "+vshards(r)))
	b.Add(cell.NewLine(width).Put(style, mark+" "+r.GetState())).Blank()
	row := func(name, value string) {
		b.Add(cell.NewLine(width).Field(th.Dim, name, 10, false).Put(th.Plain, value))
	}
	row("pool", rangePool(r))
	row("leader", cell.Node(r.GetLeader()))
	row("voters", replicaNodes(r, voting...))
	row("learners", replicaNodes(r, learning...))
	row("bytes", rangeBytes(r))
	row("dead", rangeDead(r))
	row("keys", rangeKeys(r))
	row("reads/s", rangeReads(r))
	row("writes/s", rangeWrites(r))
	row("term", strconv.FormatUint(r.GetTerm(), 10))
	row("commit", strconv.FormatUint(r.GetCommit(), 10))
	row("gen", strconv.FormatUint(r.GetGeneration(), 10))
	b.Blank().Add(cell.NewLine(width).Put(th.Key, "enter").Put(th.Dim, " raft state"))
	return b
}
