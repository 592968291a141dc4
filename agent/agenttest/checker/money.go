package checker

import (
	"cmp"
	"maps"
	"slices"

	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// Bank wants every read of all accounts to find the same total. Operations that
// are ok and of kind "read" hold a Read step of each account; of kind "sum", one Sum
// step. A transfer's steps are Write steps with what is added to each account.
func Bank(ops []history.Op, accounts int, total int64) []Finding {
	var found findings
	for _, o := range ops {
		if o.Outcome != history.OK || o.Kind != "read" && o.Kind != "sum" {
			continue
		}
		var sum int64
		for _, s := range o.Steps {
			sum += s.Got
			if s.Do == history.Read && s.Got < 0 {
				found.add("overdrawn", []history.Op{o}, "T%d found %d in account %d: transfers take what is there, at most", o.ID, s.Got, s.Key)
			}
		}
		if o.Kind == "read" && len(o.Steps) != accounts {
			found.add("accounts lost", []history.Op{o}, "T%d found %d accounts of %d", o.ID, len(o.Steps), accounts)
		}
		if sum != total {
			half := halfSeen(ops, &o, sum-total)
			found.add("total changed", append([]history.Op{o}, half...), "T%d found %d in all accounts together, there are %d (%+d); %d transfers at that time would explain it, had half of one been seen", o.ID, sum, total, sum-total, len(half))
		}
	}
	return found
}

// halfSeen returns a few transfers that were not over when a read began, or were
// begun before it ended, of which one half makes the difference.
func halfSeen(ops []history.Op, read *history.Op, diff int64) (out []history.Op) {
	const few = 3
	for _, o := range ops {
		if o.Outcome == history.Fail || o.Call > read.Return || o.Return < read.Call || o.Kind == "read" || o.Kind == "sum" {
			continue
		}
		if slices.ContainsFunc(o.Steps, func(s history.Step) bool { return s.Arg == diff }) && len(out) < few {
			out = append(out, o)
		}
	}
	return out
}

// entryOf is a row of a ledger as the last read found it.
type entryOf struct {
	id                     int64
	place, amount, balance int64
}

// Ledger wants the entries of each account, as the last operation of kind "read"
// found them, to be those that were acknowledged, once each, with places from 1 on
// and the balance that the amounts make. An operation of kind "entry" has one Entry
// step; one whose outcome is unknown may be there or not. An operation of kind "look"
// has an Entry step of what it found: what somebody saw stays.
func Ledger(ops []history.Op) []Finding {
	var found findings
	last := slices.IndexFunc(ops, func(o history.Op) bool { return o.Kind == "read" && o.Outcome == history.OK })
	for i, o := range ops {
		if o.Kind == "read" && o.Outcome == history.OK && o.Call >= ops[max(last, 0)].Call {
			last = i
		}
	}
	if last < 0 {
		found.add("never read", nil, "no read of the ledger is in the history")
		return found
	}
	byID, byAccount := map[int64][]entryOf{}, map[int][]entryOf{}
	for _, s := range ops[last].Steps {
		e := entryOf{s.Arg, s.List[0], s.List[1], s.List[2]}
		byID[e.id] = append(byID[e.id], e)
		byAccount[s.Key] = append(byAccount[s.Key], e)
	}
	known := map[int64]bool{}
	for _, o := range ops[:] {
		if o.Kind != "entry" && o.Kind != "look" || len(o.Steps) == 0 {
			continue
		}
		id := o.Steps[0].Arg
		known[id] = true
		switch n := len(byID[id]); {
		case n == 0 && o.Outcome == history.OK && o.Call < ops[last].Call:
			found.add("entry lost", []history.Op{o}, "entry %d of T%d was acknowledged or seen and is not there", id, o.ID)
		case n > 1:
			found.add("entry doubled", []history.Op{o}, "entry %d of T%d is there %d times", id, o.ID, n)
		case n == 1 && o.Outcome == history.Fail && o.Kind == "entry":
			found.add("refused entry", []history.Op{o}, "entry %d of T%d was refused and is there", id, o.ID)
		}
	}
	for id := range byID {
		if !known[id] {
			found.add("entry of nobody", nil, "entry %d is there and nobody made it", id)
		}
	}
	checkBalances(&found, byAccount)
	return found
}

func checkBalances(found *findings, byAccount map[int][]entryOf) {
	for _, account := range slices.Sorted(maps.Keys(byAccount)) {
		entries := byAccount[account]
		slices.SortFunc(entries, func(a, b entryOf) int { return cmp.Compare(a.place, b.place) })
		var balance int64
		for i, e := range entries {
			if balance += e.amount; e.place != int64(i+1) || e.balance != balance {
				found.add("balance wrong", nil, "account %d: entry %d is at place %d with balance %d; it should be at place %d with %d", account, e.id, e.place, e.balance, i+1, balance)
				break
			}
		}
	}
}
