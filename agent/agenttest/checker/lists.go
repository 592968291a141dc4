package checker

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// Lists judges transactions that append unique elements to lists and read lists, as
// Elle does (Kingsbury and Alvaro, 2020): what a read finds tells who wrote before
// whom, so the dependencies between transactions can be drawn, and a cycle among
// them is an anomaly with a name.
//
//   - ww: appended the element before another's; wr: appended the last element that
//     another read; rw: read a list that another appended the next element to; rt: had
//     ended before another began.
//   - G0: a cycle of ww. G1a: read an element of a transaction that failed. G1b: read
//     what another transaction overwrote itself. G1c: a cycle of ww and wr. G-single: with
//     one rw (read skew, lost update). G-nonadjacent: with several, no two in a row (long
//     fork). G2: with two in a row (write skew). With rt among them: the same, -realtime.
//   - incompatible order, duplicate, of nobody: lists that are not prefixes of one
//     another, hold an element twice, or one that nobody appended.
//   - internal: a transaction did not find what it had read or appended itself.
//   - stale read, lost append: an append was acknowledged before a read began that did
//     not find it, and others did, or nobody ever did.
//
// A transaction's steps are Append (Key, Arg) and Read (Key, List), in its order.
func Lists(ops []history.Op) []Finding {
	l := &lists{ops: ops, keys: map[int]*list{}}
	l.readAll()
	l.observed()
	l.checkFresh()
	l.drawEdges()
	l.drawTime()
	for _, s := range shapes {
		l.look(s)
	}
	return l.found
}

// ForbiddenLists names what Lists finds that an isolation level forbids.
func ForbiddenLists(level string) []string {
	names := []string{"G0", "G1a", "G1b", "G1c", "G0-realtime", "G1c-realtime", "incompatible order", "duplicate", "of nobody", "stale read", "lost append"}
	if level == ReadCommitted {
		return names
	}
	names = append(names, "internal", "G-single", "G-nonadjacent", "G-single-realtime", "G-nonadjacent-realtime")
	if level == Serializable {
		names = append(names, "G2", "G2-realtime")
	}
	return names
}

// Isolation levels, as SQL calls them.
const (
	ReadCommitted  = "read committed"
	RepeatableRead = "repeatable read"
	Serializable   = "serializable"
)

// list is what is known of one key.
type list struct {
	longest []int64       // that anybody read
	reader  int           // who read it
	at      map[int64]int // element: its place in longest
	by      map[int64]int // element: operation that appended it
	last    map[int]int64 // operation: its last element of this key
	reads   []seen
	appends []appended
}

// seen is what one operation read from outside of itself.
type seen struct {
	op   int
	list []int64
}

type appended struct {
	op      int
	element int64
}

type lists struct {
	ops   []history.Op
	keys  map[int]*list
	order []int // keys in the order of first use
	found findings
	edges [][]edge // by operation
}

func (l *lists) key(k int) *list {
	if l.keys[k] == nil {
		l.keys[k] = &list{at: map[int64]int{}, by: map[int64]int{}, last: map[int]int64{}, reader: -1}
		l.order = append(l.order, k)
	}
	return l.keys[k]
}

// readAll notes appends and reads, and checks each transaction by itself.
func (l *lists) readAll() {
	for i := range l.ops {
		o := &l.ops[i]
		own := map[int][]int64{}    // appended since it was read last
		before := map[int][]int64{} // what the last read, and own appends, make
		known := map[int]bool{}
		for _, s := range o.Steps {
			k := l.key(s.Key)
			switch s.Do {
			case history.Append:
				k.by[s.Arg] = i
				k.last[i] = s.Arg
				k.appends = append(k.appends, appended{i, s.Arg})
				own[s.Key] = append(own[s.Key], s.Arg)
				before[s.Key] = append(slices.Clone(before[s.Key]), s.Arg)
			case history.Read:
				if o.Outcome != history.OK {
					continue
				}
				l.readOne(i, k, &s, own[s.Key], before[s.Key], known[s.Key])
				before[s.Key], known[s.Key] = s.List, true
			}
		}
	}
}

func (l *lists) readOne(i int, k *list, s *history.Step, own, before []int64, known bool) {
	outside, ok := s.List, true
	if n := len(s.List) - len(own); n < 0 || !slices.Equal(s.List[n:], own) {
		ok = false
	} else {
		outside = s.List[:n]
	}
	if !ok || known && !slices.Equal(s.List, before) {
		l.found.add("internal", l.ops[i:i+1], "T%d read k%d as %v where it had read and appended %v itself", l.ops[i].ID, s.Key, s.List, before)
	}
	k.reads = append(k.reads, seen{i, outside})
	if len(outside) > len(k.longest) {
		k.longest, k.reader = outside, i
	}
}

// observed checks the lists by themselves: one order, each element once and of a
// transaction that did not fail.
func (l *lists) observed() {
	for _, key := range l.order {
		k := l.keys[key]
		for i, e := range k.longest {
			if j, twice := k.at[e]; twice {
				l.found.add("duplicate", l.ops[k.reader:k.reader+1], "k%d holds %d at places %d and %d", key, e, j, i)
			}
			k.at[e] = i
		}
		for _, r := range k.reads {
			if !slices.Equal(r.list, k.longest[:len(r.list)]) {
				l.found.add("incompatible order", l.pick(r.op, k.reader), "T%d read k%d as %v, T%d as %v: neither came before the other", l.ops[r.op].ID, key, r.list, l.ops[k.reader].ID, k.longest)
				continue
			}
			l.sources(key, k, r)
		}
	}
}

// sources checks who wrote what a read found: its last element, and the rest once.
func (l *lists) sources(key int, k *list, r seen) {
	check := r.list
	if r.op != k.reader && len(check) > 0 {
		check = check[len(check)-1:] // the longest list is looked at whole
	}
	for _, e := range check {
		w, ok := k.by[e]
		switch {
		case !ok:
			l.found.add("of nobody", l.pick(r.op), "T%d read %d in k%d, which nobody appended", l.ops[r.op].ID, e, key)
		case l.ops[w].Outcome == history.Fail:
			l.found.add("G1a", l.pick(r.op, w), "T%d read %d in k%d, of T%d, which failed", l.ops[r.op].ID, e, key, l.ops[w].ID)
		}
	}
	if n := len(r.list); n > 0 {
		e := r.list[n-1]
		if w, ok := k.by[e]; ok && w != r.op && k.last[w] != e {
			l.found.add("G1b", l.pick(r.op, w), "T%d read k%d up to %d, in the middle of T%d, which went on to append %d", l.ops[r.op].ID, key, e, l.ops[w].ID, k.last[w])
		}
	}
}

// pick returns operations by their places.
func (l *lists) pick(at ...int) (out []history.Op) {
	for _, i := range at {
		out = append(out, l.ops[i])
	}
	return out
}

// checkFresh wants each read to find what was acknowledged before it began.
func (l *lists) checkFresh() {
	for _, key := range l.order {
		k := l.keys[key]
		acked := slices.Clone(k.appends)
		acked = slices.DeleteFunc(acked, func(a appended) bool { return l.ops[a.op].Outcome != history.OK })
		slices.SortStableFunc(acked, func(a, b appended) int { return cmp.Compare(l.ops[a.op].Return, l.ops[b.op].Return) })
		reads := slices.Clone(k.reads)
		slices.SortStableFunc(reads, func(a, b seen) int { return cmp.Compare(l.ops[a.op].Call, l.ops[b.op].Call) })
		next, farthest := 0, appended{op: -1}
		place := -1
		for _, r := range reads {
			for ; next < len(acked) && l.ops[acked[next].op].Return < l.ops[r.op].Call; next++ {
				at, there := k.at[acked[next].element]
				if !there {
					l.found.add("lost append", l.pick(acked[next].op, r.op), "T%d appended %d to k%d and was acknowledged before T%d began, which did not find it, nor did anybody", l.ops[acked[next].op].ID, acked[next].element, key, l.ops[r.op].ID)
				} else if at > place {
					place, farthest = at, acked[next]
				}
			}
			if len(r.list) <= place {
				l.found.add("stale read", l.pick(farthest.op, r.op), "T%d appended %d to k%d and was acknowledged before T%d began, which did not find it", l.ops[farthest.op].ID, farthest.element, key, l.ops[r.op].ID)
			}
		}
	}
}

// drawEdges draws ww, wr and rw from the longest list of each key.
func (l *lists) drawEdges() {
	l.edges = make([][]edge, len(l.ops))
	for _, key := range l.order {
		k := l.keys[key]
		writer := make([]int, len(k.longest))
		for i, e := range k.longest {
			writer[i] = -1
			if w, ok := k.by[e]; ok && l.ops[w].Outcome != history.Fail {
				writer[i] = w
			}
			if i > 0 {
				l.edge(writer[i-1], writer[i], ww, key, e)
			}
		}
		// What was acknowledged and nobody read comes after all that was read.
		var unread []appended
		for _, a := range k.appends {
			if _, there := k.at[a.element]; !there && l.ops[a.op].Outcome == history.OK {
				unread = append(unread, a)
			}
		}
		for _, a := range unread {
			if n := len(writer); n > 0 {
				l.edge(writer[n-1], a.op, ww, key, a.element)
			}
		}
		for _, r := range k.reads {
			n := len(r.list)
			if n > 0 {
				l.edge(writer[n-1], r.op, wr, key, k.longest[n-1])
			}
			if n < len(writer) {
				l.edge(r.op, writer[n], rw, key, k.longest[n])
				continue
			}
			for _, a := range unread[:min(len(unread), 1)] {
				l.edge(r.op, a.op, rw, key, a.element)
			}
		}
	}
}

func (l *lists) edge(from, to int, kind kind, key int, element int64) {
	if from >= 0 && to >= 0 && from != to {
		l.edges[from] = append(l.edges[from], edge{to: to, kind: kind, key: key, element: element})
	}
}

// drawTime draws rt, each to those that began next: the rest follows.
func (l *lists) drawTime() {
	type moment struct {
		at    time.Duration
		op    int
		ended bool
	}
	var moments []moment
	for i, o := range l.ops {
		if o.Outcome == history.OK {
			moments = append(moments, moment{o.Call, i, false}, moment{o.Return, i, true})
		}
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return cmp.Compare(a.at, b.at) })
	var front []int // ended, and nobody has ended that began after that
	before := make([][]int, len(l.ops))
	for _, m := range moments {
		if !m.ended {
			before[m.op] = slices.Clone(front)
			for _, f := range front {
				l.edge(f, m.op, rt, 0, 0)
			}
			continue
		}
		front = slices.DeleteFunc(front, func(f int) bool { return slices.Contains(before[m.op], f) })
		front = append(front, m.op)
	}
}

func (e edge) String() string {
	switch e.kind {
	case ww:
		return fmt.Sprintf("which appended %d to k%d after it (ww)", e.element, e.key)
	case wr:
		return fmt.Sprintf("which read its %d in k%d (wr)", e.element, e.key)
	case rw:
		return fmt.Sprintf("which appended %d to k%d behind what it read (rw)", e.element, e.key)
	case rt:
	}
	return "which began after it had ended (rt)"
}
