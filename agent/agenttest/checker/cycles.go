package checker

import (
	"fmt"
	"slices"
	"strings"
)

// kind of a dependency between two transactions; a set of them is a mask.
type kind uint8

const (
	ww kind = 1 << iota
	wr
	rw
	rt
)

type edge struct {
	to      int
	kind    kind
	key     int
	element int64
}

// shape is a kind of cycle with its name. Of two shapes that one cycle has, the
// graver comes first, and a group of transactions is reported once.
type shape struct {
	name  string
	kinds kind
	// must is of what kind one edge is; 0: any. rest are the kinds of all others.
	must, rest kind
	// apart wants that no two edges in a row are rw.
	apart bool
}

var shapes = []shape{
	{name: "G0", kinds: ww, rest: ww},
	{name: "G1c", kinds: ww | wr, rest: ww | wr},
	{name: "G0-realtime", kinds: ww | rt, must: ww, rest: ww | rt},
	{name: "G1c-realtime", kinds: ww | wr | rt, must: wr, rest: ww | wr | rt},
	{name: "G-single", kinds: ww | wr | rw, must: rw, rest: ww | wr},
	{name: "G-nonadjacent", kinds: ww | wr | rw, must: rw, rest: ww | wr | rw, apart: true},
	{name: "G2", kinds: ww | wr | rw, must: rw, rest: ww | wr | rw},
	{name: "G-single-realtime", kinds: ww | wr | rw | rt, must: rw, rest: ww | wr | rt},
	{name: "G-nonadjacent-realtime", kinds: ww | wr | rw | rt, must: rw, rest: ww | wr | rw | rt, apart: true},
	{name: "G2-realtime", kinds: ww | wr | rw | rt, must: rw, rest: ww | wr | rw | rt},
}

// patience bounds, for one shape, the places that all searches for cycles visit: about
// a second. A history of 10,000 transactions without anomalies needs none of it, as no
// transactions reach each other.
const patience = 3_000_000

// readable is the length of a cycle than which none shorter is looked for.
const readable = 3

// look reports one cycle of a shape in each group of transactions that reach each
// other.
func (l *lists) look(s shape) {
	of := components(l.edges, s.kinds)
	best := map[int][]step{}
	left := patience
	for from := range l.edges {
		for _, e := range l.edges[from] {
			if e.kind&s.kinds == 0 || s.must != 0 && e.kind != s.must || of[from] != of[e.to] || left <= 0 {
				continue
			}
			if b := best[of[from]]; b != nil && len(b) <= readable {
				continue
			}
			back, visited := l.path(e.to, from, s, of, e.kind == rw)
			left -= visited
			if back == nil {
				continue
			}
			if c := append([]step{{from, e}}, back...); best[of[from]] == nil || len(c) < len(best[of[from]]) {
				best[of[from]] = c
			}
		}
	}
	groups := make([]int, 0, len(best))
	for g := range best {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b int) int { return len(best[a]) - len(best[b]) })
	for _, g := range groups {
		if !l.known(best[g]) {
			l.report(s.name, best[g])
		}
	}
}

// known tells whether a cycle is one that was reported under a graver name.
func (l *lists) known(c []step) bool {
	var ids []int
	for _, s := range c {
		ids = append(ids, l.ops[s.from].ID)
	}
	slices.Sort(ids)
	return slices.ContainsFunc(l.found, func(f Finding) bool {
		var other []int
		for _, o := range f.Ops {
			other = append(other, o.ID)
		}
		slices.Sort(other)
		return strings.HasPrefix(f.Name, "G") && slices.Equal(ids, other)
	})
}

// step of a path: an edge and where it begins.
type step struct {
	from int
	edge edge
}

// path finds the shortest way from one transaction back to another, within one
// group. Where rw edges must be apart, a place that was reached by one is another
// place.
func (l *lists) path(from, to int, s shape, of []int, byRW bool) (back []step, visited int) {
	type place struct {
		op   int
		byRW bool
	}
	start := place{from, s.apart && byRW}
	came := map[place]step{start: {from: -1}}
	prev := map[place]place{}
	for queue := []place{start}; len(queue) > 0; queue = queue[1:] {
		p := queue[0]
		if p.op == to && !(s.apart && p.byRW && byRW) && p != start {
			for at := p; at != start; at = prev[at] {
				back = append(back, came[at])
			}
			slices.Reverse(back)
			return back, len(came)
		}
		for _, e := range l.edges[p.op] {
			if e.kind&s.rest == 0 || of[e.to] != of[from] || s.apart && p.byRW && e.kind == rw {
				continue
			}
			n := place{e.to, s.apart && e.kind == rw}
			if _, seen := came[n]; !seen {
				came[n], prev[n] = step{p.op, e}, p
				queue = append(queue, n)
			}
		}
	}
	return nil, len(came)
}

func (l *lists) report(name string, c []step) {
	var parts []string
	var at []int
	for _, s := range c {
		parts = append(parts, fmt.Sprintf("T%d is before T%d, %s", l.ops[s.from].ID, l.ops[s.edge.to].ID, s.edge))
		at = append(at, s.from)
	}
	l.found.add(name, l.pick(at...), "%s: a circle", strings.Join(parts, "; "))
}

// components numbers the strongly connected components of the edges of some kinds
// (Tarjan, without recursion: a component may be as large as the history).
func components(edges [][]edge, kinds kind) []int {
	t := &tarjan{edges: edges, kinds: kinds, index: make([]int, len(edges)), low: make([]int, len(edges)), of: make([]int, len(edges))}
	for i := range t.of {
		t.of[i] = -1
	}
	for v := range edges {
		if t.index[v] == 0 {
			t.visit(v)
		}
	}
	return t.of
}

type tarjan struct {
	edges          [][]edge
	kinds          kind
	index, low, of []int // index from 1; of: -1 while on the stack
	stack          []int
	count, groups  int
}

func (t *tarjan) visit(root int) {
	type frame struct{ v, next int }
	frames := []frame{{v: root}}
	t.enter(root)
	for len(frames) > 0 {
		f := &frames[len(frames)-1]
		if f.next < len(t.edges[f.v]) {
			e := t.edges[f.v][f.next]
			f.next++
			switch {
			case e.kind&t.kinds == 0:
			case t.index[e.to] == 0:
				t.enter(e.to)
				frames = append(frames, frame{v: e.to})
			case t.of[e.to] < 0:
				t.low[f.v] = min(t.low[f.v], t.index[e.to])
			}
			continue
		}
		v := f.v
		frames = frames[:len(frames)-1]
		if len(frames) > 0 {
			p := frames[len(frames)-1].v
			t.low[p] = min(t.low[p], t.low[v])
		}
		if t.low[v] == t.index[v] {
			t.leave(v)
		}
	}
}

func (t *tarjan) enter(v int) {
	t.count++
	t.index[v], t.low[v] = t.count, t.count
	t.stack = append(t.stack, v)
}

func (t *tarjan) leave(v int) {
	for {
		w := t.stack[len(t.stack)-1]
		t.stack = t.stack[:len(t.stack)-1]
		t.of[w] = t.groups
		if w == v {
			break
		}
	}
	t.groups++
}
