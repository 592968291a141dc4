package checker

import (
	"cmp"
	"slices"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// LongFork wants all readers of a group of keys to agree on one order of the writes.
// Each key has one writer, whose values rise; an operation of kind "read" has a Read
// step for each key of one group, in the same order. group is how many keys are one.
func LongFork(ops []history.Op, group int) []Finding {
	byGroup := map[int][]history.Op{}
	for _, o := range ops {
		if o.Kind == "read" && o.Outcome == history.OK && len(o.Steps) > 0 {
			g := o.Steps[0].Key / group
			byGroup[g] = append(byGroup[g], o)
		}
	}
	total := func(o *history.Op) (n int64) {
		for _, s := range o.Steps {
			n += s.Got
		}
		return n
	}
	var found findings
	for g, reads := range byGroup {
		// In one order of snapshots each holds at least what the one before holds.
		slices.SortStableFunc(reads, func(a, b history.Op) int {
			return cmp.Or(cmp.Compare(total(&a), total(&b)), cmp.Compare(a.Return, b.Return))
		})
		for i := 1; i < len(reads); i++ {
			for k, s := range reads[i].Steps {
				if before := reads[i-1].Steps[k]; before.Got > s.Got {
					found.add("long fork", reads[i-1:i+1], "group %d: T%d saw %d of k%d where T%d saw %d, and the other way round of another key: no order of the writes explains both",
						g, reads[i-1].ID, before.Got, s.Key, reads[i].ID, s.Got)
					break
				}
			}
		}
		newest(&found, g, reads)
	}
	return found
}

// Bounded is the kind of operations that may read what was there Staleness before.
const (
	Bounded   = "bounded"
	Staleness = 5 * time.Second
)

// since is from when on an operation may see what it sees.
func since(o *history.Op) time.Duration {
	if o.Kind == Bounded {
		return o.Call - Staleness
	}
	return o.Call
}

// newest wants a read that began after another had ended to see no less.
func newest(found *findings, group int, reads []history.Op) {
	byCall := slices.Clone(reads)
	slices.SortFunc(byCall, func(a, b history.Op) int { return cmp.Compare(since(&a), since(&b)) })
	byReturn := slices.Clone(reads)
	slices.SortFunc(byReturn, func(a, b history.Op) int { return cmp.Compare(a.Return, b.Return) })
	most := map[int]*history.Op{} // by step: who saw most so far
	next := 0
	for _, o := range byCall {
		for ; next < len(byReturn) && byReturn[next].Return < since(&o); next++ {
			for k, s := range byReturn[next].Steps {
				if m := most[k]; m == nil || m.Steps[k].Got < s.Got {
					most[k] = &byReturn[next]
				}
			}
		}
		for k, s := range o.Steps {
			if m := most[k]; m != nil && m.Steps[k].Got > s.Got {
				found.add("went back", []history.Op{*m, o}, "group %d: T%d began after T%d had ended and saw an older k%d: %d after %d", group, o.ID, m.ID, s.Key, s.Got, m.Steps[k].Got)
			}
		}
	}
}

// WriteSkew looks for two transactions that read the same two keys, found both to be
// 1, and each set another one of them to 0. Keys 2i and 2i+1 are a pair. A
// transaction has two Read steps and, unless it found a 0, a Write.
func WriteSkew(ops []history.Op) []Finding {
	var found findings
	by := map[int]history.Op{} // key that was set to 0: by whom
	for _, o := range ops {
		if o.Outcome != history.OK || len(o.Steps) != 3 || o.Steps[0].Got != 1 || o.Steps[1].Got != 1 {
			continue
		}
		key := o.Steps[2].Key
		by[key] = o
		if other, ok := by[key^1]; ok {
			found.add("write skew", []history.Op{other, o}, "T%d and T%d each found k%d and k%d to be 1, and each set one of them to 0: in any order the second finds a 0", other.ID, o.ID, key&^1, key|1)
		}
	}
	return found
}

// Predicates wants that no two transactions counted the same rows of a group before
// each added one. A transaction has a Count step and a Write step.
func Predicates(ops []history.Op) []Finding {
	type counted struct {
		group int
		n     int64
	}
	var found findings
	by := map[counted]history.Op{}
	for _, o := range ops {
		if o.Outcome != history.OK || len(o.Steps) != 2 || o.Steps[0].Do != history.Count {
			continue
		}
		c := counted{o.Steps[0].Key, o.Steps[0].Got}
		if other, ok := by[c]; ok {
			found.add("phantom", []history.Op{other, o}, "T%d and T%d each counted %d rows of group %d and added one: in any order the second counts the first one's", other.ID, o.ID, c.n, c.group)
		}
		by[c] = o
	}
	return found
}

// Numbers wants the values that Next steps got, by key, never to repeat, and to rise
// from an operation to one that began after it had ended. Read steps see the newest;
// those of kind Bounded may be as old as Staleness.
func Numbers(ops []history.Op) []Finding {
	type number struct {
		key   int
		value int64
	}
	var found findings
	by := map[number]history.Op{}
	byKey := map[int][]history.Op{}
	for _, o := range ops {
		if o.Outcome != history.OK || len(o.Steps) != 1 {
			continue
		}
		byKey[o.Steps[0].Key] = append(byKey[o.Steps[0].Key], o)
		if o.Steps[0].Do != history.Next {
			continue
		}
		n := number{o.Steps[0].Key, o.Steps[0].Got}
		if other, ok := by[n]; ok {
			found.add("number repeated", []history.Op{other, o}, "T%d and T%d both got %d of k%d", other.ID, o.ID, n.value, n.key)
		}
		by[n] = o
	}
	for key, ops := range byKey {
		newest(&found, key, ops)
	}
	return found
}

// Span is how long the operations took together, for reports.
func Span(ops []history.Op) (d time.Duration) {
	for _, o := range ops {
		if o.Return != history.Never {
			d = max(d, o.Return)
		}
	}
	return d
}
