package checker

import (
	"cmp"
	"slices"

	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// Past wants all reads at one time to find the same, whoever reads and when; counters,
// which only rise, to be no less at a later time; and no half of a transaction: each adds
// one to two counters. A read has a Time step, then a Read step of each counter.
func Past(ops []history.Op, counters int) []Finding {
	var found findings
	var reads []history.Op
	for _, o := range ops {
		if o.Kind == history.Read && o.Outcome == history.OK && len(o.Steps) > 0 && o.Steps[0].Do == history.Time {
			reads = append(reads, o)
		}
	}
	slices.SortStableFunc(reads, func(a, b history.Op) int { return cmp.Compare(a.Steps[0].Arg, b.Steps[0].Arg) })
	for i, o := range reads {
		sum := int64(0)
		for _, s := range o.Steps[1:] {
			sum += s.Got
		}
		switch {
		case len(o.Steps)-1 != counters:
			found.add("counters lost", []history.Op{o}, "T%d found %d counters of %d", o.ID, len(o.Steps)-1, counters)
			continue
		case sum%2 != 0:
			found.add("half a transaction", []history.Op{o}, "T%d found %d additions: they come in twos", o.ID, sum)
		}
		if i == 0 || len(reads[i-1].Steps) != len(o.Steps) {
			continue
		}
		before := reads[i-1]
		for k, s := range o.Steps[1:] {
			was := before.Steps[k+1]
			if before.Steps[0].Arg == o.Steps[0].Arg && was.Got != s.Got {
				found.add("past changed", []history.Op{before, o}, "at one and the same time T%d found %d in k%d and T%d found %d", before.ID, was.Got, s.Key, o.ID, s.Got)
				break
			}
			if was.Got > s.Got {
				found.add("went back", []history.Op{before, o}, "T%d found %d in k%d, and T%d, at a later time, %d", before.ID, was.Got, s.Key, o.ID, s.Got)
				break
			}
		}
	}
	return found
}

// Bulk wants each read to find the same number in all rows, of a write that was not
// refused, and, if it began after another had ended, no less: one client writes, and its
// numbers rise; one of unknown outcome may come at any time. A write has a Write step; a read, ok, a Read step (the lowest that it
// found), another (the highest), and a Count step.
func Bulk(ops []history.Op, rows int64) []Finding {
	var found findings
	refused, unknown := map[int64]history.Op{}, map[int64]bool{}
	var seen []history.Op
	for _, o := range ops {
		if len(o.Steps) == 1 && o.Steps[0].Do == history.Write {
			switch o.Outcome {
			case history.Fail:
				refused[o.Steps[0].Arg] = o
			case history.OK:
				o.Steps = []history.Step{{Do: history.Next, Key: 0, Got: o.Steps[0].Arg}}
				seen = append(seen, o)
			case history.Unknown:
				unknown[o.Steps[0].Arg] = true
			}
			continue
		}
		if o.Outcome != history.OK || len(o.Steps) != 3 {
			continue
		}
		low, high, count := o.Steps[0].Got, o.Steps[1].Got, o.Steps[2].Got
		by, bad := refused[low]
		switch {
		case count != rows:
			found.add("rows lost", []history.Op{o}, "T%d found %d rows of %d", o.ID, count, rows)
		case low != high:
			found.add("half seen", []history.Op{o}, "T%d found numbers from %d to %d: each write sets all %d rows", o.ID, low, high, rows)
		case bad:
			found.add("refused write", []history.Op{by, o}, "T%d found %d, which T%d was refused", o.ID, low, by.ID)
		}
		o.Steps = o.Steps[:1]
		seen = append(seen, o)
	}
	seen = slices.DeleteFunc(seen, func(o history.Op) bool { return unknown[o.Steps[0].Got] })
	newest(&found, 0, seen)
	return found
}
