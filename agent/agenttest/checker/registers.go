package checker

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// decideWithin bounds how long porcupine may think about one key. A key has at most
// a thousand or two operations of at most 16 clients: it takes milliseconds.
const decideWithin = 10 * time.Second

// Registers wants each key to be a register with conditional writes that is
// linearizable. Operations have one step: read, write or cas. A cas that is ok has
// Got 1 if it was applied, 0 if it was refused. A key that nobody wrote holds 0.
func Registers(ops []history.Op) []Finding {
	byKey := map[int][]history.Op{}
	for _, o := range ops {
		if len(o.Steps) == 1 {
			byKey[o.Steps[0].Key] = append(byKey[o.Steps[0].Key], o)
		}
	}
	var found findings
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		switch linearizable(byKey[key], history.Never) {
		case porcupine.Illegal:
			upTo := firstIllegal(byKey[key])
			found.add("not linearizable", lastOf(byKey[key], upTo.Return), "key %d: no order explains the operations up to the answer of T%d, and one explains those before it", key, upTo.ID)
		case porcupine.Unknown:
			found.add("undecided", nil, "key %d: its %d operations could not be decided within %s: give it fewer clients or operations", key, len(byKey[key]), decideWithin)
		case porcupine.Ok:
		}
	}
	return found
}

// linearizable judges what of one key's operations was known at a time.
func linearizable(ops []history.Op, at time.Duration) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(register(), pending(ops, at), decideWithin)
}

// pending turns the operations that were called by a time to porcupine's form. What
// was not answered by then is of unknown outcome; a write of unknown outcome whose
// value nobody saw is left out: it can always be the last.
func pending(ops []history.Op, at time.Duration) (out []porcupine.Operation) {
	seen := map[int64]bool{}
	for _, o := range ops {
		if o.Outcome == history.OK && o.Return <= at && o.Steps[0].Do == history.Read {
			seen[o.Steps[0].Got] = true
		}
		if s := o.Steps[0]; o.Outcome == history.OK && o.Return <= at && s.Do == history.CAS && s.Got == 1 {
			seen[s.Expect] = true
		}
	}
	for _, o := range ops {
		if o.Call > at || o.Outcome == history.Fail {
			continue
		}
		if o.Return > at || o.Outcome == history.Unknown {
			o.Outcome, o.Return = history.Unknown, history.Never
			if o.Steps[0].Do == history.Read || !seen[o.Steps[0].Arg] {
				continue
			}
		}
		out = append(out, porcupine.Operation{ClientId: o.Client, Input: o, Call: int64(o.Call), Return: int64(o.Return)})
	}
	return out
}

// firstIllegal finds the operation with whose answer the history went wrong: what
// is right stays right without its last answer.
func firstIllegal(ops []history.Op) history.Op {
	ordered := slices.Clone(ops)
	slices.SortFunc(ordered, func(a, b history.Op) int { return cmp.Compare(a.Return, b.Return) })
	i, _ := slices.BinarySearchFunc(ordered, true, func(o history.Op, _ bool) int {
		if linearizable(ops, o.Return) == porcupine.Illegal {
			return 0
		}
		return -1
	})
	return ordered[min(i, len(ordered)-1)]
}

// lastOf returns the operations that were under way or just answered at a time.
func lastOf(ops []history.Op, at time.Duration) (out []history.Op) {
	const few = 8
	for _, o := range ops {
		if o.Call <= at && o.Outcome != history.Fail {
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(a, b history.Op) int { return cmp.Compare(min(a.Return, at+1), min(b.Return, at+1)) })
	return out[max(0, len(out)-few):]
}

func register() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return int64(0) },
		Step: func(state, input, _ any) (bool, any) {
			v, _ := state.(int64)
			o, _ := input.(history.Op)
			return registerStep(v, &o)
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

func registerStep(v int64, o *history.Op) (bool, any) {
	s := o.Steps[0]
	switch s.Do {
	case history.Read:
		return s.Got == v, v
	case history.CAS:
		applies := v == s.Expect
		if o.Outcome == history.OK && applies != (s.Got == 1) {
			return false, v
		}
		if !applies {
			return true, v
		}
	}
	return true, s.Arg
}
