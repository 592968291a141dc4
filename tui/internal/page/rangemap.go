package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/nodedb/nodedb/client/adminpb"
	"github.com/nodedb/nodedb/tui/internal/cell"
	"github.com/nodedb/nodedb/tui/internal/theme"
)

const (
	vshardCount = 1024
	mapColumns  = 64
	mapRows     = vshardCount / mapColumns
	mapMargin   = 5 // the vshard numbers at the left
)

// metric is what the map shows.
type metric int

// The metrics, in the order that m goes through.
const (
	byState metric = iota
	byLoad
	byLeader
	metricCount
)

func (m metric) String() string { return [...]string{"state", "load", "leader"}[m] }

// rangeMap says which ranges of a pool own each vshard.
type rangeMap struct {
	pool  string
	order []*adminpb.Range            // by their keys
	owner [vshardCount]*adminpb.Range // the first of a vshard that is divided
	parts map[int][]*adminpb.Range    // of vshards that are divided: all of them
	mean  float64                     // load of the ranges that have any
}

// everyPool is what the map shows while nothing else is selected.
const everyPool = "default"

// poolOf is the name of a range's pool.
func poolOf(r *adminpb.Range) string { return cmp.Or(r.GetPool(), everyPool) }

func newRangeMap(ranges []*adminpb.Range, pool string) *rangeMap {
	m := &rangeMap{pool: pool, parts: map[int][]*adminpb.Range{}}
	for _, r := range ranges {
		if !r.GetMeta() && poolOf(r) == pool {
			m.order = append(m.order, r)
		}
	}
	slices.SortFunc(m.order, func(a, b *adminpb.Range) int {
		return cmp.Or(cmp.Compare(a.GetStart(), b.GetStart()), cmp.Compare(a.GetStartKey(), b.GetStartKey()))
	})
	loaded := 0.0
	for _, r := range m.order {
		for v := r.GetStart(); v < min(r.GetEnd(), vshardCount); v++ {
			if first := m.owner[v]; first == nil {
				m.owner[v] = r
			} else {
				if m.parts[int(v)] == nil {
					m.parts[int(v)] = []*adminpb.Range{first}
				}
				m.parts[int(v)] = append(m.parts[int(v)], r)
			}
		}
		if load := rangeLoad(r); load > 0 {
			m.mean += load
			loaded++
		}
	}
	m.mean /= max(loaded, 1)
	return m
}

// shown returns the range that stands for a vshard: of several the selected one, else
// the hottest or, where the map is not of the load, the one in the worst state.
func (m *rangeMap) shown(v int, look *mapLook) *adminpb.Range {
	best := m.owner[v]
	for _, r := range m.parts[v] {
		if r.GetId() == look.selected {
			return r
		}
		worse := cmp.Compare(theme.RangeState(r.GetState()), theme.RangeState(best.GetState()))
		if look.metric == byLoad {
			worse = 0
		}
		if cmp.Or(worse, cmp.Compare(rangeLoad(r), rangeLoad(best))) > 0 {
			best = r
		}
	}
	return best
}

// beside returns the range that is by steps after r in the order of keys; nil: none.
func (m *rangeMap) beside(r *adminpb.Range, by int) *adminpb.Range {
	at := slices.IndexFunc(m.order, func(o *adminpb.Range) bool { return o.GetId() == r.GetId() })
	if at < 0 || at+by < 0 || at+by >= len(m.order) {
		return nil
	}
	return m.order[at+by]
}

// rangeLoad is reads and writes per second.
func rangeLoad(r *adminpb.Range) float64 { return r.GetReadsPerSecond() + r.GetWritesPerSecond() }

// heatSpan is how many times the mean the hottest load of the scale is, and the
// mean the coldest: an even cluster must not look like a fire.
const heatSpan = 10

// heat is the tenth of the scale that a load is in: logarithmic, with the mean in
// the middle.
func (m *rangeMap) heat(load float64) int {
	if load <= 0 || m.mean <= 0 {
		return 0
	}
	return max(0, min(9, int(5+5*math.Log(load/m.mean)/math.Log(heatSpan))))
}

// mapLook is how the map is drawn.
type mapLook struct {
	metric    metric
	cellWidth int // cells per vshard
	selected  uint32
	match     func(*adminpb.Range) bool // others are faint; nil: all match
}

// draw adds the map, a line of 64 vshards each.
func (m *rangeMap) draw(th *theme.Theme, b *cell.Block, look mapLook) {
	for row := range mapRows {
		l := cell.NewLine(b.Width).Field(th.Faint, fmt.Sprint(row*mapColumns), mapMargin-1, true).Space(1)
		var last *cell.Style
		for col := 0; col < mapColumns; {
			r := m.shown(row*mapColumns+col, &look)
			n := 1
			for col+n < mapColumns && m.shown(row*mapColumns+col+n, &look) == r {
				n++
			}
			m.run(th, l, &last, r, n*look.cellWidth, look)
			col += n
		}
		l.EndRun(&last)
		b.Add(l)
	}
}

// run draws the vshards of one range in one line: its label, if there is room,
// and the glyph of what the map shows. Neighbours that look the same share their
// escape sequences, which cost more to draw than the cells.
func (m *rangeMap) run(th *theme.Theme, l *cell.Line, last **cell.Style, r *adminpb.Range, width int, look mapLook) {
	if r == nil {
		l.Run(last, &th.Faint, cell.Blanks(width), width)
		return
	}
	style, fill := m.paint(th, r, look.metric)
	if look.match != nil && !look.match(r) {
		style = &th.Faint
	}
	label := m.label(r, look.metric, width)
	if r.GetId() == look.selected {
		style = &th.Select
		if width <= 2 {
			fill = th.Sym.Cursor
		}
	}
	if label != "" && look.metric == byState {
		fill = th.Sym.Dot // the word is there
	}
	text := make([]byte, 0, width*len(fill))
	used := 0
	if label != "" {
		text, used = append(text, label...), len(label)
		if fill != " " {
			text, used = append(text, ' '), used+1
		}
	}
	// A gap at the end of a labelled run keeps neighbours apart.
	gap := 0
	if label != "" {
		gap = 1
	}
	for ; used < width-gap; used++ {
		text = append(text, fill...)
	}
	l.Run(last, style, string(text), width-gap)
	if gap > 0 {
		l.EndRun(last)
		l.Space(gap)
	}
}

// label is what fits of a range's name and what the map says of it.
func (m *rangeMap) label(r *adminpb.Range, what metric, width int) string {
	name := cell.Range(r.GetId())
	long := name
	switch {
	case what == byLeader:
		long += " " + cell.Node(r.GetLeader())
	case what == byState && r.GetState() != "healthy", r.GetState() == "no-quorum":
		long += " " + r.GetState()
	}
	for _, s := range []string{long, name} {
		if len(s)+2 <= width && (s == long || what != byState) {
			return s
		}
	}
	return ""
}

// paint is the style and the glyph of a range.
func (m *rangeMap) paint(th *theme.Theme, r *adminpb.Range, what metric) (*cell.Style, string) {
	level := theme.RangeState(r.GetState())
	switch {
	case what == byState || level == theme.Broken:
		switch level {
		case theme.Quiet:
			return &th.OK, th.RangeGlyph(r.GetState())
		case theme.Broken:
			return &th.BadBar, th.RangeGlyph(r.GetState())
		case theme.Moving:
			return &th.Busy, th.RangeGlyph(r.GetState())
		}
		return &th.Warn, th.RangeGlyph(r.GetState())
	case what == byLoad:
		h := m.heat(rangeLoad(r))
		if th.Color {
			return &th.Heat[h], " "
		}
		return &th.Plain, string(rune('0' + h))
	}
	n := r.GetLeader()
	if n == 0 {
		return &th.Warn, "?"
	}
	if th.Color {
		return &th.Owner[int(n-1)%len(th.Owner)], " "
	}
	return &th.Plain, string(rune('a' + (n-1)%26))
}

// legend says what the glyphs and colours of the map mean.
func (m *rangeMap) legend(th *theme.Theme, width int, what metric, nodes []*adminpb.Node) *cell.Line {
	l := cell.NewLine(width).Put(th.Title, "vshards")
	if m.pool != everyPool {
		l.Put(th.Dim, " of pool ").Put(th.Title, m.pool)
	}
	l.Put(th.Dim, " by "+what.String()+"  ")
	switch what {
	case byState:
		for _, s := range []string{"no-quorum", "under", "electing", "moving", "over", "healthy"} {
			level := theme.RangeState(s)
			style := th.Word(level)
			if level == theme.Quiet {
				style = th.OK
			}
			if level == theme.Broken {
				style = th.BadBar
			}
			l.Put(style, th.RangeGlyph(s)).Put(th.Dim, " "+s+"  ")
		}
	case byLoad:
		l.Put(th.Dim, cell.Rate(m.mean/heatSpan)+" ")
		for i := range 10 {
			text := "  "
			if !th.Color {
				text = fmt.Sprint(i)
			}
			style := th.Plain
			if th.Color {
				style = th.Heat[i]
			}
			l.Put(style, text)
		}
		l.Put(th.Dim, " "+cell.Rate(m.mean*heatSpan)+" reads and writes/s, the mean in the middle")
	case byLeader:
		for _, n := range nodes {
			if l.Left() < 10 {
				l.Put(th.Dim, th.Sym.Ellipsis)
				break
			}
			if th.Color {
				l.Put(th.Owner[int(n.GetId()-1)%len(th.Owner)], " "+cell.Node(n.GetId())+" ").Space(1)
			} else {
				l.Put(th.Bold, string(rune('a'+(n.GetId()-1)%26))).Put(th.Dim, " "+cell.Node(n.GetId())+"  ")
			}
		}
	}
	return l
}

// spanned is a range or its route.
type spanned interface {
	GetStart() uint32
	GetEnd() uint32
	GetStartKey() string
	GetEndKey() string
}

// vshards is the span of a range: 416-431, or meta. A star marks a vshard of which
// it owns a part.
func vshards(r spanned) string {
	if m, ok := r.(*adminpb.Range); ok && m.GetMeta() {
		return "meta"
	}
	first, last := fmt.Sprint(r.GetStart()), fmt.Sprint(max(r.GetEnd(), 1)-1)
	before, after := divides(r.GetStartKey()), divides(r.GetEndKey())
	if first == last && (before || after) {
		return first + "*"
	}
	if before {
		first += "*"
	}
	if after {
		last += "*"
	}
	return first + "-" + last
}

// divides reports whether a bound, in hex, is a row inside a vshard.
func divides(key string) bool { return len(key) > 4 }
