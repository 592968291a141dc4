package page

import (
	"cmp"
	"fmt"
	"math"
	"strconv"

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

// rangeMap says which ranges of a pool own each vshard. It follows the snapshots: of
// ranges that own what they owned only their vshards' cells are looked at again.
type rangeMap struct {
	pool  string
	rows  []*adminpb.Range // of all pools, by id, as of the last set
	cells [vshardCount]mapCell
	load  int64 // of the ranges that have any, in thousandths
	busy  int64 // how many those are
	made  int   // cells looked at by the last set
}

// mapCell is what is in one vshard.
type mapCell struct {
	parts   []int32 // the ranges that own a part, as places in rows
	first   int32   // of parts, by keys
	worst   int32   // the one in the worst state, of several the hottest
	hottest int32
}

// everyPool is what the map shows while nothing else is selected.
const everyPool = "default"

// poolOf is the name of a range's pool.
func poolOf(r *adminpb.Range) string { return cmp.Or(r.GetPool(), everyPool) }

func newRangeMap(ranges []*adminpb.Range, pool string) *rangeMap {
	m := &rangeMap{pool: pool}
	m.rebuild(ranges)
	return m
}

// owns reports whether the map is about r.
func (m *rangeMap) owns(r *adminpb.Range) bool { return !r.GetMeta() && poolOf(r) == m.pool }

// set takes the ranges of a newer snapshot, by id.
func (m *rangeMap) set(rows []*adminpb.Range) {
	old := m.rows
	m.made = 0
	if len(rows) == len(old) && (len(old) == 0 || &rows[0] == &old[0]) {
		return
	}
	if len(rows) < len(old) {
		m.rebuild(rows)
		return
	}
	var changed []int32
	for i, was := range old {
		if is := rows[i]; was != is {
			if !sameSpan(was, is) {
				m.rebuild(rows)
				return
			}
			changed = append(changed, int32(i))
		}
	}
	m.rows = rows
	for _, i := range changed {
		if r := rows[i]; m.owns(r) {
			m.weigh(old[i], -1)
			m.weigh(r, 1)
			for v := r.GetStart(); v < min(r.GetEnd(), vshardCount); v++ {
				m.refresh(int(v), i, old[i])
			}
		}
	}
	for i := len(old); i < len(rows); i++ {
		m.add(int32(i))
	}
}

// sameSpan reports whether two states are of one range that owns what it owned.
func sameSpan(a, b *adminpb.Range) bool {
	return a.GetId() == b.GetId() && a.GetStart() == b.GetStart() && a.GetEnd() == b.GetEnd() && a.GetStartKey() == b.GetStartKey() && a.GetPool() == b.GetPool()
}

func (m *rangeMap) rebuild(rows []*adminpb.Range) {
	m.rows, m.load, m.busy = rows, 0, 0
	for v := range m.cells {
		m.cells[v] = mapCell{parts: m.cells[v].parts[:0]}
	}
	for i := range rows {
		m.add(int32(i))
	}
}

// add puts a range into the cells of its vshards.
func (m *rangeMap) add(i int32) {
	r := m.rows[i]
	if !m.owns(r) {
		return
	}
	m.weigh(r, 1)
	for v := r.GetStart(); v < min(r.GetEnd(), vshardCount); v++ {
		c := &m.cells[v]
		m.made++
		if c.parts = append(c.parts, i); len(c.parts) == 1 {
			c.first, c.worst, c.hottest = i, i, i
			continue
		}
		if byKeys(r, m.rows[c.first]) < 0 {
			c.first = i
		}
		m.raise(c, i)
	}
}

// raise puts a range in the place of those that it outdoes.
func (m *rangeMap) raise(c *mapCell, i int32) {
	if m.worse(i, c.worst) {
		c.worst = i
	}
	if m.hotter(i, c.hottest) {
		c.hottest = i
	}
}

// refresh looks at a vshard of which range i was another state. Only if the range
// stood for it, and does so no more, the others are looked at.
func (m *rangeMap) refresh(v int, i int32, was *adminpb.Range) {
	c, is := &m.cells[v], m.rows[i]
	m.made++
	fell := i == c.hottest && rangeLoad(is) < rangeLoad(was) ||
		i == c.worst && (theme.RangeState(is.GetState()) < theme.RangeState(was.GetState()) || rangeLoad(is) < rangeLoad(was))
	if !fell {
		m.raise(c, i)
		return
	}
	c.worst, c.hottest = c.parts[0], c.parts[0]
	for _, o := range c.parts[1:] {
		m.made++
		m.raise(c, o)
	}
}

// weigh counts the load of a range; by is 1, or -1 to count it no more.
func (m *rangeMap) weigh(r *adminpb.Range, by int64) {
	if load := rangeLoad(r); load > 0 {
		m.load, m.busy = m.load+by*int64(load*1000+0.5), m.busy+by
	}
}

// mean is the load of the ranges that have any.
func (m *rangeMap) mean() float64 { return float64(m.load) / 1000 / float64(max(m.busy, 1)) }

// hotter and worse put the first by keys before others that are alike.
func (m *rangeMap) hotter(a, b int32) bool {
	x, y := m.rows[a], m.rows[b]
	return cmp.Or(cmp.Compare(rangeLoad(x), rangeLoad(y)), byKeys(y, x)) > 0
}

func (m *rangeMap) worse(a, b int32) bool {
	x, y := m.rows[a], m.rows[b]
	return cmp.Or(cmp.Compare(theme.RangeState(x.GetState()), theme.RangeState(y.GetState())), cmp.Compare(rangeLoad(x), rangeLoad(y)), byKeys(y, x)) > 0
}

// byKeys is the order of the ranges of a pool.
func byKeys(a, b *adminpb.Range) int {
	return cmp.Or(cmp.Compare(a.GetStart(), b.GetStart()), cmp.Compare(a.GetStartKey(), b.GetStartKey()), cmp.Compare(a.GetId(), b.GetId()))
}

// owner is the first range of a vshard; nil: none is known.
func (m *rangeMap) owner(v int) *adminpb.Range {
	if c := &m.cells[v]; len(c.parts) > 0 {
		return m.rows[c.first]
	}
	return nil
}

// shown returns the range that stands for a vshard: of several the selected one, else
// the hottest or, where the map is not of the load, the one in the worst state.
func (m *rangeMap) shown(v int, look *mapLook) *adminpb.Range {
	c := &m.cells[v]
	switch s := look.selected; {
	case len(c.parts) == 0:
		return nil
	case s != nil && m.owns(s) && v >= int(s.GetStart()) && v < int(s.GetEnd()):
		return s
	case look.metric == byLoad:
		return m.rows[c.hottest]
	}
	return m.rows[c.worst]
}

// beside returns the range that is before (by < 0) or after r in the order of keys;
// nil: none.
func (m *rangeMap) beside(r *adminpb.Range, by int) *adminpb.Range {
	step := cmp.Compare(by, 0)
	for v := int(r.GetStart()); v >= 0 && v < vshardCount; v += step {
		var best *adminpb.Range
		for _, i := range m.cells[v].parts {
			if o := m.rows[i]; byKeys(o, r) == step && (best == nil || byKeys(o, best) == -step) {
				best = o
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

// rangeLoad is reads and writes per second.
func rangeLoad(r *adminpb.Range) float64 { return r.GetReadsPerSecond() + r.GetWritesPerSecond() }

// heatSpan is how many times the mean the hottest load of the scale is, and the
// mean the coldest: an even cluster must not look like a fire.
const heatSpan = 10

// heat is the tenth of the scale that a load is in: logarithmic, with the mean in
// the middle.
func (m *rangeMap) heat(load float64) int {
	if load <= 0 || m.mean() <= 0 {
		return 0
	}
	return max(0, min(9, int(5+5*math.Log(load/m.mean())/math.Log(heatSpan))))
}

// mapLook is how the map is drawn.
type mapLook struct {
	metric    metric
	cellWidth int                       // cells per vshard
	selected  *adminpb.Range            // nil: none
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
	if look.selected != nil && r.GetId() == look.selected.GetId() {
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
		l.Put(th.Dim, cell.Rate(m.mean()/heatSpan)+" ")
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
		l.Put(th.Dim, " "+cell.Rate(m.mean()*heatSpan)+" reads and writes/s, the mean in the middle")
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
func vshards(r spanned) string { return string(appendVShards(nil, r)) }

func appendVShards(b []byte, r spanned) []byte {
	if m, ok := r.(*adminpb.Range); ok && m.GetMeta() {
		return append(b, "meta"...)
	}
	first, last := r.GetStart(), max(r.GetEnd(), 1)-1
	before, after := divides(r.GetStartKey()), divides(r.GetEndKey())
	b = strconv.AppendUint(b, uint64(first), 10)
	if before || after && first == last {
		b = append(b, '*')
	}
	if first == last && (before || after) {
		return b
	}
	b = strconv.AppendUint(append(b, '-'), uint64(last), 10)
	if after {
		b = append(b, '*')
	}
	return b
}

// divides reports whether a bound, in hex, is a row inside a vshard.
func divides(key string) bool { return len(key) > 4 }
