package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodedb/nodedb/client"
	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/feed"
	"github.com/nodedb/nodedb/tui/internal/keymap"
	"github.com/nodedb/nodedb/tui/internal/progress"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

// overview answers whether it is bad, what is bad, and what mends it.
type overview struct {
	s      *feed.Snapshot
	cursor int
	m      *rangeMap // of the ranges when it was drawn last
	top    topRanges
}

// topRanges are the busiest of some ranges.
type topRanges struct {
	of   []*adminpb.Range
	most int
	list []*adminpb.Range
}

// busiest returns the busiest ranges. They are looked for once in each list.
func (t *topRanges) busiest(ranges []*adminpb.Range, most int) []*adminpb.Range {
	if same := len(t.of) == len(ranges) && (len(ranges) == 0 || &t.of[0] == &ranges[0]); !same || most != t.most {
		*t = topRanges{of: ranges, most: most, list: busiest(ranges, most)}
	}
	return t.list
}

func newOverview() *overview { return &overview{m: newRangeMap(nil, everyPool)} }

func (*overview) Name() string { return Overview }

func (*overview) Topics() []string {
	return []string{feed.Status, feed.Nodes, feed.Ranges, feed.Events}
}

func (o *overview) Load(s *feed.Snapshot) { o.s = s }

func (*overview) Keys() []*keymap.Key {
	return []*keymap.Key{&keymap.Move, &keymap.Enter, &keymap.Copy}
}

func (o *overview) problems() []*adminpb.Problem {
	if o.s == nil {
		return nil
	}
	return o.s.Status.GetProblems()
}

// Press implements Page.
func (o *overview) Press(key string) Effect {
	ps := o.problems()
	switch {
	case key == "up" || key == "k":
		o.cursor--
	case key == "down" || key == "j":
		o.cursor++
	case keymap.Copy.Is(key) && len(ps) > 0:
		return Copy{ps[o.at(ps)].GetCommand()}
	case keymap.Enter.Is(key) && len(ps) > 0:
		return follow(ps[o.at(ps)])
	case keymap.Enter.Is(key):
		return Show{Page: Nodes}
	default:
		return nil
	}
	o.cursor = o.at(ps)
	return Done{}
}

func (o *overview) at(ps []*adminpb.Problem) int { return max(0, min(o.cursor, len(ps)-1)) }

// follow goes to the view where a problem can be looked at: the one that its
// command would show.
func follow(p *adminpb.Problem) Effect {
	words := strings.Fields(p.GetCommand())
	last := ""
	if len(words) > 0 {
		last = words[len(words)-1]
	}
	switch {
	case strings.Contains(p.GetCommand(), " ops "):
		return Show{Page: Operations, Open: last}
	case strings.Contains(p.GetCommand(), " ranges"):
		if i := slices.Index(words, "--state"); i >= 0 && i+1 < len(words) {
			return Show{Page: Ranges, Filter: "state:" + words[i+1]}
		}
		return Show{Page: Ranges}
	case strings.Contains(p.GetCommand(), " members"):
		return Show{Page: Members}
	case strings.Contains(p.GetCommand(), " rebalance"):
		return Show{Page: Rebalance}
	case len(last) > 1 && last[0] == 'n' && last[1] >= '0' && last[1] <= '9':
		return Show{Page: Nodes, Open: last}
	}
	return Show{Page: Nodes}
}

// Click implements Pointed.
func (o *overview) Click(_, y int) {
	if y >= problemsAt && y < problemsAt+len(o.problems()) {
		o.cursor = y - problemsAt
	}
}

// Wheel implements Pointed.
func (o *overview) Wheel(by int) { o.cursor = max(0, o.cursor+by) }

// Ages implements Ager: running operations show how long they have been at work.
func (o *overview) Ages(time.Time) time.Duration {
	if len(o.s.Running()) > 0 {
		return time.Second
	}
	return 0
}

const (
	problemsAt = 4 // the line of the first problem
	sideWidth  = 70
	sideFrom   = 132 // the width from which there are two columns
)

// Draw implements Page.
func (o *overview) Draw(th *theme.Theme, s Size) *cell.Block {
	if !o.s.Has(feed.Status) {
		return loading(th, s, "asking the cluster how it is")
	}
	if s.Width < sideFrom {
		return o.main(th, s).Resize(s.Height)
	}
	left := o.main(th, Size{Width: s.Width - sideWidth - 3, Height: s.Height, Now: s.Now})
	right := o.side(th, Size{Width: sideWidth, Height: s.Height, Now: s.Now})
	return cell.Beside(s.Height, th.Rule, th.Sym.Vertical, left, right)
}

func (o *overview) main(th *theme.Theme, s Size) *cell.Block {
	b := cell.NewBlock(s.Width)
	o.verdict(th, b)
	o.listProblems(th, b, s)
	b.Blank()
	o.vitals(th, b)
	if running := o.s.Running(); len(running) > 0 {
		b.Blank().Add(section(th, s.Width, "operations", ""))
		for _, op := range running[:min(len(running), 4)] {
			b.Add(operationLine(th, op, s.Width, s.Now))
		}
	}
	if room := s.Height - b.Height() - 2; room >= 1 {
		b.Blank().Add(section(th, s.Width, "events", ""))
		o.events(th, b, room)
	}
	return b
}

// verdict is the first thing that is read.
func (o *overview) verdict(th *theme.Theme, b *cell.Block) {
	st := o.s.Status
	level := theme.Health(st.GetHealth())
	text := "every range has a leader and all its replicas"
	switch {
	case st.GetMetaLeader() == 0:
		text = "the meta range has no quorum: nothing can be changed; what is shown may be old"
	case st.GetRangesNoQuorum() > 0:
		text = fmt.Sprintf("%s no quorum: their rows are not served", has(int(st.GetRangesNoQuorum()), "range"))
	case st.GetRangesUnder() > 0:
		text = fmt.Sprintf("all rows are served; %s a replica", lacks(int(st.GetRangesUnder()), "range"))
	case level != theme.Quiet:
		text = fmt.Sprintf("all rows are served; %d of %d nodes are alive", st.GetNodesAlive(), st.GetNodesTotal())
	}
	b.Add(cell.NewLine(b.Width).Put(th.Banner(level), " "+strings.ToUpper(st.GetHealth())+" ").Space(1).Put(th.Title, text))
	l := cell.NewLine(b.Width).Put(th.Dim, "survives   ")
	survival(th, l, "the loss of any 1 node", st.GetSurvivesOne(), "nodes")
	l.Space(3)
	survival(th, l, "any 2", st.GetSurvivesTwo(), "pairs")
	b.Add(l).Blank()
}

func has(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " has"
	}
	return fmt.Sprintf("%d %ss have", n, noun)
}

func lacks(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " lacks"
	}
	return fmt.Sprintf("%d %ss lack", n, noun)
}

func survival(th *theme.Theme, l *cell.Line, what string, s *adminpb.Survival, sets string) {
	l.Put(th.Plain, what+" ")
	switch {
	case s == nil || s.GetUnknown():
		l.Put(th.Warn, th.Sym.Unknown+" not known")
	case s.GetYes():
		l.Put(th.OK, th.Sym.OK+" yes")
	default:
		l.Put(th.Warn, th.Sym.Warn+" no")
		why := ""
		if s.GetFailing() > 0 {
			why = fmt.Sprintf(" (%d %s; worst %s: %s)", s.GetFailing(), sets, cell.Nodes(s.GetWorst(), "+"), cell.Plural(int(s.GetWorstRanges()), "range"))
		}
		if copies := s.GetCopies(); len(copies) > 0 {
			why += " (copies only: " + cell.Nodes(copies, ", ") + ")"
		}
		if l.Left() > cell.Width(why)+16 { // the other question is told as well
			l.Put(th.Dim, why)
		}
	}
}

const problemsShown = 6

func (o *overview) listProblems(th *theme.Theme, b *cell.Block, s Size) {
	ps := o.problems()
	if len(ps) == 0 {
		b.Add(section(th, b.Width, "problems", "none"))
		b.Add(cell.NewLine(b.Width).Space(1).Put(th.OK, th.Sym.OK+" ").Put(th.Plain, "nothing needs you"))
		return
	}
	b.Add(section(th, b.Width, "problems", fmt.Sprint(len(ps))))
	o.cursor = o.at(ps)
	most := problemsShown
	if s.Height > 30 {
		most = 12
	}
	first := max(0, o.cursor-most+1)
	for i := first; i < min(len(ps), first+most); i++ {
		mark, style := th.Mark(problemLevel(ps[i].GetCode()))
		l := cell.NewLine(b.Width)
		if i == o.cursor {
			l.Put(th.Key, th.Sym.Cursor)
		} else {
			l.Space(1)
		}
		b.Add(l.Put(style, mark+" ").Put(th.Plain, ps[i].GetText()))
	}
	if rest := len(ps) - first - most; rest > 0 {
		b.Text(th.Dim, fmt.Sprintf("   and %d more", rest))
	}
	b.Add(cell.NewLine(b.Width).Space(3).Put(th.Dim, th.Sym.Arrow+" ").Put(th.Info, ps[o.cursor].GetCommand()))
}

func problemLevel(code string) theme.Level {
	switch code {
	case "META_QUORUM", "NO_QUORUM", "NODE_DOWN":
		return theme.Broken
	}
	return theme.Alarm
}

// vitals are the cluster's figures: numbers before charts.
func (o *overview) vitals(th *theme.Theme, b *cell.Block) {
	w, st := b.Width, o.s.Status
	o.charts(th, b)
	l := cell.NewLine(w).Field(th.Dim, "nodes", 11, false)
	countNodes(th, l, o.s.Nodes, st)
	b.Add(l)
	l = cell.NewLine(w).Field(th.Dim, "ranges", 11, false)
	for _, c := range []struct {
		n     uint32
		state string
	}{{st.GetRangesNoQuorum(), "no-quorum"}, {st.GetRangesUnder(), "under"}, {st.GetRangesMoving(), "moving"}, {st.GetRangesOk(), "healthy"}} {
		if c.n > 0 {
			mark, style := th.Mark(theme.RangeState(c.state))
			l.Put(style, mark).Put(th.Plain, fmt.Sprintf(" %d %s   ", c.n, c.state))
		}
	}
	b.Add(l)
	l = cell.NewLine(w).Field(th.Dim, "data", 11, false).Put(th.Plain, fmt.Sprintf("%s in %d replicas", cell.Bytes(st.GetBytes()), st.GetReplication()))
	if n := st.GetRangesUnsized(); n > 0 {
		l.Put(th.Warn, fmt.Sprintf(" and %s unknown", cell.Plural(int(n), "range")))
	}
	if n := st.GetDiskMaxNode(); n != 0 {
		text, style := percent(th, st.GetDiskMax())
		l.Put(th.Dim, "   fullest disk ").Put(style, text).Put(th.Plain, " on "+cell.Node(n))
	}
	if st.GetBytesMoving() > 0 {
		l.Put(th.Dim, "   moving ").Put(th.Busy, cell.Bytes(st.GetBytesMoving()))
	}
	b.Add(l)
}

// charts are the load and how the statements fare, over the last two minutes.
func (o *overview) charts(th *theme.Theme, b *cell.Block) {
	load := o.s.Load
	if load == nil {
		return
	}
	w := b.Width
	chart := max(10, min(60, w-28))
	reads, writes := load.Total()
	line := func(name, now string, values []float64, note string) {
		b.Add(cell.NewLine(w).Field(th.Dim, name, 9, false).Field(th.Title, now, 8, true).Space(2).
			Put(th.Info, cell.Spark(th.Glyphs, values, chart)).Fit(th.Faint, " "+note))
	}
	line("reads/s", cell.Rate(reads), load.Reads, "2 min")
	line("writes/s", cell.Rate(writes), load.Writes, "2 min")
	if n := load.Slowest; n != 0 {
		line("p99", cell.Latency(load.Latency[len(load.Latency)-1]), load.Latency, "on "+cell.Node(n))
	} else {
		line("p99", cell.None, load.Latency, "2 min")
	}
}

// countNodes counts nodes by status, worst first.
func countNodes(th *theme.Theme, l *cell.Line, nodes []*adminpb.Node, st *adminpb.GetStatusResponse) {
	if len(nodes) == 0 {
		l.Put(th.Plain, fmt.Sprintf("%d of %d alive", st.GetNodesAlive(), st.GetNodesTotal()))
		return
	}
	type count struct {
		word string
		n    int
	}
	var counts []count
	for _, n := range nodes {
		i := slices.IndexFunc(counts, func(c count) bool { return c.word == n.GetStatus() })
		if i < 0 {
			counts, i = append(counts, count{word: n.GetStatus()}), len(counts)
		}
		counts[i].n++
	}
	slices.SortFunc(counts, func(a, b count) int {
		return cmp.Or(cmp.Compare(theme.NodeStatus(b.word), theme.NodeStatus(a.word)), cmp.Compare(a.word, b.word))
	})
	for _, c := range counts {
		mark, style := th.Mark(theme.NodeStatus(c.word))
		l.Put(style, mark).Put(th.Plain, fmt.Sprintf(" %d %s   ", c.n, c.word))
	}
}

// operationLine is an operation in one line.
func operationLine(th *theme.Theme, o *adminpb.Operation, width int, now time.Time) *cell.Line {
	mark, style := th.OperationMark(o.GetState())
	l := cell.NewLine(width).Put(style, mark+" ").Put(th.Title, progress.Title(o)).Put(th.Dim, "  "+o.GetId()+"  ")
	bar := 20
	if width < 90 {
		bar = 12
	}
	share := client.Share(o)
	progress.Bar(th, l, share, bar)
	l.Put(th.Plain, fmt.Sprintf(" %4s", cell.Percent(share)))
	if o.GetState() != "running" {
		l.Put(style, "  "+o.GetState())
	} else if o.GetPhase() != "" {
		l.Put(th.Dim, "  "+o.GetPhase())
	}
	if s := progress.Left(o); s != "" {
		l.Fit(th.Dim, "  "+s)
	} else if s := progress.Elapsed(o, now); s != "" {
		l.Fit(th.Dim, "  for "+s)
	}
	return l
}

func (o *overview) events(th *theme.Theme, b *cell.Block, room int) {
	ev := o.s.Events
	if len(ev) == 0 {
		text := "none yet"
		if !o.s.Has(feed.Events) {
			text = "not known"
		}
		b.Text(th.Dim, text)
		return
	}
	for i := range min(room, len(ev)) {
		b.Add(eventLine(th, ev[len(ev)-1-i], b.Width))
	}
}

func eventLine(th *theme.Theme, e *adminpb.Event, width int) *cell.Line {
	level := theme.Severity(e.GetSeverity())
	mark, style := th.Mark(level)
	if level == theme.Quiet {
		mark, style = th.Sym.Info, th.Info
	}
	return cell.NewLine(width).Put(th.Dim, e.GetTime().AsTime().Local().Format("15:04:05 ")).Put(style, mark+" ").Put(th.Plain, e.GetText())
}

// side is the second column of wide screens: where the load and the trouble is.
func (o *overview) side(th *theme.Theme, s Size) *cell.Block {
	b := cell.NewBlock(s.Width)
	o.sideNodes(th, b, max(3, s.Height-32))
	b.Blank()
	o.m.set(o.s.Ranges)
	b.Add(section(th, s.Width, "vshards", "by load, reads and writes"))
	o.m.draw(th, b, mapLook{metric: byLoad, cellWidth: 1})
	if room := s.Height - b.Height() - 2; room > 2 {
		b.Blank()
		b.Add(section(th, s.Width, "busiest ranges", ""))
		o.busiest(th, b, room)
	}
	return b
}

func (o *overview) sideNodes(th *theme.Theme, b *cell.Block, most int) {
	w := b.Width
	b.Add(section(th, w, "nodes", ""))
	b.Add(cell.NewLine(w).Field(th.Head, "  NODE", 7, false).Field(th.Head, "STATUS", 16, false).Field(th.Head, "LEADERS", 14, false).
		Field(th.Head, "LOAD/S", 7, true).Space(1).Field(th.Head, "1 min", 12, false).Field(th.Head, "CPU", 6, true).Field(th.Head, "DISK", 6, true))
	var leaders uint32 = 1
	for _, n := range o.s.Nodes {
		leaders = max(leaders, n.GetLeaders())
	}
	nodes := slices.Clone(o.s.Nodes)
	slices.SortStableFunc(nodes, func(x, y *adminpb.Node) int {
		return cmp.Compare(theme.NodeStatus(y.GetStatus()), theme.NodeStatus(x.GetStatus()))
	})
	for i, n := range nodes {
		if i == most && len(nodes) > most {
			b.Text(th.Dim, fmt.Sprintf("  and %d more", len(nodes)-i))
			return
		}
		level := theme.NodeStatus(n.GetStatus())
		mark, style := th.Mark(level)
		load := o.s.Load.Of(n.GetId())
		l := cell.NewLine(w).Put(style, mark+" ").Field(th.Bold, cell.Node(n.GetId()), 5, false).Field(th.Word(level), n.GetStatus(), 16, false)
		progress.Bar(th, l, float64(n.GetLeaders())/float64(leaders), 8)
		l.Field(th.Plain, cell.Count(n.GetLeaders()), 5, true).Space(1).Field(th.Plain, cell.Rate(load.Reads+load.Writes), 7, true).Space(1).
			Put(th.Info, cell.Spark(th.Glyphs, load.Both, 11)).Space(1)
		cpu, cpuStyle := percent(th, n.GetCpu())
		disk, diskStyle := percent(th, diskShare(n))
		if !n.GetReported() {
			cpu, cpuStyle, disk, diskStyle = cell.None, th.Dim, cell.None, th.Dim
		}
		b.Add(l.Field(cpuStyle, cpu, 6, true).Field(diskStyle, disk, 6, true))
	}
}

func (o *overview) busiest(th *theme.Theme, b *cell.Block, room int) {
	ranges := o.top.busiest(o.s.Ranges, room)
	if len(ranges) == 0 {
		b.Text(th.Dim, "no load")
	}
	for _, r := range ranges {
		l := cell.NewLine(b.Width).Space(2).Field(th.Bold, cell.Range(r.GetId()), 6, false).Field(th.Dim, vshards(r), 10, false).Field(th.Plain, "on "+cell.Node(r.GetLeader()), 7, false)
		progress.Bar(th, l, rangeLoad(r)/rangeLoad(ranges[0]), 20)
		b.Add(l.Field(th.Plain, cell.Rate(r.GetReadsPerSecond())+" r", 9, true).Field(th.Plain, cell.Rate(r.GetWritesPerSecond())+" w", 9, true))
	}
}

// busiest returns the n ranges with the most load, the busiest first. Of 10,000
// ranges only a few change places: sorting all would cost more than the frame.
func busiest(ranges []*adminpb.Range, n int) []*adminpb.Range {
	top := make([]*adminpb.Range, 0, n+1)
	for _, r := range ranges {
		load := rangeLoad(r)
		if load == 0 || (len(top) == n && load <= rangeLoad(top[n-1])) {
			continue
		}
		i := len(top)
		for i > 0 && rangeLoad(top[i-1]) < load {
			i--
		}
		top = slices.Insert(top, i, r)
		top = top[:min(len(top), n)]
	}
	return top
}
