package checker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// op makes a transaction by hand: "a1:5" appends 5 to k1, "r1:4,5" reads [4 5] from
// it. It runs from call to ret.
func op(call, ret int, outcome history.Outcome, text string) history.Op {
	o := history.Op{Call: time.Duration(call), Return: time.Duration(ret), Outcome: outcome, Kind: "transaction", Node: "n1"}
	if outcome == history.Unknown {
		o.Return = history.Never
	}
	for f := range strings.FieldsSeq(text) {
		var s history.Step
		var list string
		if _, err := fmt.Sscanf(f[1:], "%d:%s", &s.Key, &list); err != nil && f[len(f)-1] != ':' {
			panic(f)
		}
		s.Do, s.List = history.Read, []int64{}
		for e := range strings.SplitSeq(list, ",") {
			var n int64
			if _, err := fmt.Sscan(e, &n); err == nil {
				s.List = append(s.List, n)
			}
		}
		if f[0] == 'a' {
			s.Do, s.Arg, s.List = history.Append, s.List[0], nil
		}
		o.Steps = append(o.Steps, s)
	}
	return o
}

func number(ops []history.Op) []history.Op {
	for i := range ops {
		ops[i].ID = i + 1
	}
	return ops
}

const (
	ok, fail, unknown = history.OK, history.Fail, history.Unknown
)

func TestListsNameWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		ops  []history.Op
		want []string // Names, and words of the first finding's text
	}{
		"serial": {ops: []history.Op{op(0, 1, ok, "a1:1 r1:1"), op(2, 3, ok, "r1:1 a1:2 a2:3"), op(4, 5, ok, "r1:1,2 r2:3")}},
		"unknown that happened, and that did not": {ops: []history.Op{op(0, 0, unknown, "a1:1"), op(0, 0, unknown, "a1:2"), op(4, 5, ok, "r1:1"), op(6, 7, ok, "r1:1")}},
		"at the same time":                        {ops: []history.Op{op(0, 9, ok, "a1:1"), op(0, 9, ok, "r1:"), op(0, 9, ok, "r1:1")}},
		"G0": {ops: []history.Op{op(0, 9, ok, "a1:1 a2:1"), op(0, 9, ok, "a1:2 a2:2"), op(10, 11, ok, "r1:1,2 r2:2,1")},
			want: []string{"G0", "T1 is before T2, which appended 2 to k1 after it (ww)", "T2 is before T1"}},
		"G1a": {ops: []history.Op{op(0, 1, fail, "a1:1"), op(2, 3, ok, "r1:1")},
			want: []string{"G1a", "T2 read 1 in k1, of T1, which failed"}},
		"G1b": {ops: []history.Op{op(0, 9, ok, "a1:1 a1:2"), op(0, 9, ok, "r1:1"), op(10, 11, ok, "r1:1,2")},
			want: []string{"G1b", "T2 read k1 up to 1, in the middle of T1"}},
		"G1c": {ops: []history.Op{op(0, 9, ok, "a1:1 r2:1"), op(0, 9, ok, "a2:1 r1:1")},
			want: []string{"G1c", "T1 is before T2", "T2 is before T1"}},
		"read skew": {ops: []history.Op{op(0, 9, ok, "a1:1 a2:1"), op(0, 9, ok, "r1: r2:1"), op(10, 11, ok, "r1:1 r2:1")},
			want: []string{"G-single", "T2 is before T1, which appended 1 to k1 behind what it read (rw)"}},
		"lost update": {ops: []history.Op{op(0, 9, ok, "r1: a1:1"), op(0, 9, ok, "r1: a1:2"), op(10, 11, ok, "r1:1,2")},
			want: []string{"G-single"}},
		"long fork": {ops: []history.Op{op(0, 9, ok, "a1:1"), op(0, 9, ok, "a2:1"), op(0, 9, ok, "r1:1 r2:"), op(0, 9, ok, "r1: r2:1")},
			want: []string{"G-nonadjacent"}},
		"write skew": {ops: []history.Op{op(0, 9, ok, "r1: a2:1"), op(0, 9, ok, "r2: a1:1"), op(10, 11, ok, "r1:1 r2:1")},
			want: []string{"G2", "T1 is before T2", "T2 is before T1"}},
		"real time": {ops: []history.Op{op(0, 1, ok, "a1:1"), op(2, 3, ok, "a1:2"), op(4, 5, ok, "r1:2,1")},
			want: []string{"G0-realtime", "which began after it had ended (rt)"}},
		"stale": {ops: []history.Op{op(0, 1, ok, "a1:1"), op(2, 3, ok, "r1:"), op(4, 5, ok, "r1:1")},
			want: []string{"stale read", "T1 appended 1 to k1 and was acknowledged before T2 began"}},
		"lost": {ops: []history.Op{op(0, 1, ok, "a1:1"), op(2, 3, ok, "a1:2"), op(4, 5, ok, "r1:1")},
			want: []string{"lost append", "T2 appended 2 to k1"}},
		"two orders":  {ops: []history.Op{op(0, 9, ok, "a1:1"), op(0, 9, ok, "a1:2"), op(0, 9, ok, "r1:1"), op(0, 9, ok, "r1:2")}, want: []string{"incompatible order"}},
		"twice":       {ops: []history.Op{op(0, 9, unknown, "a1:1"), op(0, 9, ok, "r1:1,1")}, want: []string{"duplicate"}},
		"of nobody":   {ops: []history.Op{op(0, 9, ok, "r1:7")}, want: []string{"of nobody"}},
		"not its own": {ops: []history.Op{op(0, 9, ok, "a1:1 r1:")}, want: []string{"internal"}},
		"changes":     {ops: []history.Op{op(0, 9, ok, "a1:1"), op(0, 9, ok, "r1: r1:1")}, want: []string{"internal"}},
	} {
		found := Lists(number(c.ops))
		if len(c.want) == 0 {
			if len(found) > 0 {
				t.Errorf("%s: accepted is wanted, found %v", name, found)
			}
			continue
		}
		if i := slices.IndexFunc(found, func(f Finding) bool { return f.Name == c.want[0] }); i < 0 {
			t.Errorf("%s: want %s, found %v", name, c.want[0], found)
		} else {
			for _, words := range c.want[1:] {
				if !strings.Contains(found[i].String(), words) {
					t.Errorf("%s: %q is not in\n%s", name, words, found[i])
				}
			}
		}
	}
}

func TestLevelsForbidMoreAndMore(t *testing.T) {
	skew := Lists(number([]history.Op{op(0, 9, ok, "r1: a2:1"), op(0, 9, ok, "r2: a1:1"), op(10, 11, ok, "r1:1 r2:1")}))
	lost := Lists(number([]history.Op{op(0, 9, ok, "r1: a1:1"), op(0, 9, ok, "r1: a1:2"), op(10, 11, ok, "r1:1,2")}))
	for _, c := range []struct {
		level     string
		found     []Finding
		forbidden bool
	}{
		{ReadCommitted, lost, false}, {RepeatableRead, lost, true}, {Serializable, lost, true},
		{ReadCommitted, skew, false}, {RepeatableRead, skew, false}, {Serializable, skew, true},
	} {
		if got := Only(c.found, ForbiddenLists(c.level)...); (len(got) > 0) != c.forbidden {
			t.Errorf("%s forbids %v of %v", c.level, got, c.found)
		}
	}
}

// serial makes a history that one transaction after another could have made, of
// clients that overlap. skew breaks some of its reads: they miss the last element.
func serial(n, clients int, skew float64) []history.Op {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a seed
	state := map[int][]int64{}
	var ops []history.Op
	for i := range n {
		// Its effect is at i; it runs for as long as all clients but it have one.
		o := history.Op{ID: i + 1, Call: time.Duration(max(0, i-clients/2)), Return: time.Duration(i + clients/2), Outcome: ok}
		base := i / 40 * 3 // keys rotate, so that lists stay short
		for j := range 1 + rng.IntN(4) {
			key := base + rng.IntN(8)
			if rng.IntN(2) == 0 {
				e := int64(i*10 + j)
				state[key] = append(state[key], e)
				o.Steps = append(o.Steps, history.Step{Do: history.Append, Key: key, Arg: e})
				continue
			}
			list := state[key]
			if rng.Float64() < skew && len(list) > 0 {
				list = list[:len(list)-1]
			}
			o.Steps = append(o.Steps, history.Step{Do: history.Read, Key: key, List: append([]int64{}, list...)})
		}
		ops = append(ops, o)
	}
	return ops
}

func TestListsOfLongHistories(t *testing.T) {
	if found := Lists(serial(100_000, 16, 0)); len(found) > 0 {
		t.Errorf("a serial history: %v", found)
	}
	if found := Lists(serial(10_000, 16, 0.01)); len(found) == 0 {
		t.Error("a history of which one read in a hundred is old was accepted")
	}
}

func BenchmarkLists(b *testing.B) {
	for name, skew := range map[string]float64{"right": 0, "wrong": 0.05} {
		ops := serial(10_000, 16, skew)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Lists(ops)
			}
		})
	}
}
