package checker

import (
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// kindOf makes an operation of a kind with steps.
func kindOf(kind string, call, ret int, outcome history.Outcome, steps ...history.Step) history.Op {
	o := op(call, ret, outcome, "")
	o.Kind, o.Steps = kind, steps
	return o
}

func read(key int, got int64) history.Step {
	return history.Step{Do: history.Read, Key: key, Got: got}
}
func write(key int, arg int64) history.Step {
	return history.Step{Do: history.Write, Key: key, Arg: arg}
}
func swap(key int, from, to, applied int64) history.Step {
	return history.Step{Do: history.CAS, Key: key, Expect: from, Arg: to, Got: applied}
}
func next(key int, got int64) history.Step {
	return history.Step{Do: history.Next, Key: key, Got: got}
}
func entry(account int, id, place, amount, balance int64) history.Step {
	return history.Step{Do: history.Entry, Key: account, Arg: id, List: []int64{place, amount, balance}}
}

// judged is a history and what must be found in it: a name and words, or nothing.
type judged struct {
	ops  []history.Op
	want []string
}

func judge(t *testing.T, check func([]history.Op) []Finding, cases map[string]judged) {
	t.Helper()
	for name, c := range cases {
		found := check(number(c.ops))
		if len(c.want) == 0 {
			if len(found) > 0 {
				t.Errorf("%s: found %v, wanted nothing", name, found)
			}
			continue
		}
		named := Only(found, c.want[0])
		if len(named) == 0 {
			t.Errorf("%s: found %v, wanted %s", name, found, c.want[0])
			continue
		}
		for _, words := range c.want[1:] {
			if !strings.Contains(named[0].String(), words) {
				t.Errorf("%s: %q is not in\n%s", name, words, named[0])
			}
		}
	}
}

func TestRegisters(t *testing.T) {
	judge(t, Registers, map[string]judged{
		"serial":                        {ops: []history.Op{kindOf("w", 0, 1, ok, write(1, 5)), kindOf("c", 2, 3, ok, swap(1, 5, 6, 1)), kindOf("c", 4, 5, ok, swap(1, 5, 7, 0)), kindOf("r", 6, 7, ok, read(1, 6))}},
		"an unknown write is seen late": {ops: []history.Op{kindOf("w", 0, 0, unknown, write(1, 5)), kindOf("r", 2, 3, ok, read(1, 0)), kindOf("r", 4, 5, ok, read(1, 5))}},
		"an unknown write is seen and goes": {ops: []history.Op{kindOf("w", 0, 0, unknown, write(1, 5)), kindOf("r", 2, 3, ok, read(1, 5)), kindOf("r", 4, 5, ok, read(1, 0))},
			want: []string{"not linearizable", "answer of T3"}},
		"stale": {ops: []history.Op{kindOf("w", 0, 1, ok, write(1, 5)), kindOf("w", 2, 3, ok, write(1, 6)), kindOf("r", 4, 5, ok, read(1, 5)), kindOf("r", 6, 7, ok, read(1, 6))},
			want: []string{"not linearizable", "key 1", "answer of T3"}},
		"two win": {ops: []history.Op{kindOf("c", 0, 9, ok, swap(2, 0, 6, 1)), kindOf("c", 0, 9, ok, swap(2, 0, 7, 1))},
			want: []string{"not linearizable", "key 2"}},
		"a refused write is seen": {ops: []history.Op{kindOf("w", 0, 1, fail, write(1, 5)), kindOf("r", 2, 3, ok, read(1, 5))},
			want: []string{"not linearizable"}},
	})
}

func TestBank(t *testing.T) {
	transfer := kindOf("transfer", 0, 5, ok, write(1, -7), write(2, 7))
	judge(t, func(ops []history.Op) []Finding { return Bank(ops, 2, 20) }, map[string]judged{
		"right": {ops: []history.Op{transfer, kindOf("read", 1, 2, ok, read(1, 10), read(2, 10)), kindOf("sum", 6, 7, ok, history.Step{Do: history.Sum, Got: 20})}},
		"half of a transfer": {ops: []history.Op{transfer, kindOf("read", 1, 2, ok, read(1, 3), read(2, 10))},
			want: []string{"total changed", "T2 found 13", "there are 20 (-7)", "T1 transfer"}},
		"by a sum": {ops: []history.Op{kindOf("sum", 6, 7, ok, history.Step{Do: history.Sum, Got: 27})}, want: []string{"total changed", "(+7)"}},
		"below 0":  {ops: []history.Op{kindOf("read", 6, 7, ok, read(1, -1), read(2, 21))}, want: []string{"overdrawn"}},
		"one gone": {ops: []history.Op{kindOf("read", 6, 7, ok, read(1, 20))}, want: []string{"accounts lost"}},
	})
}

func TestLedger(t *testing.T) {
	made := func(outcome history.Outcome, id int64) history.Op {
		return kindOf("entry", int(id), int(id), outcome, history.Step{Do: history.Entry, Key: 1, Arg: id})
	}
	judge(t, Ledger, map[string]judged{
		"right":       {ops: []history.Op{made(ok, 1), made(unknown, 2), made(unknown, 3), made(fail, 4), kindOf("read", 8, 9, ok, entry(1, 1, 1, 5, 5), entry(1, 3, 2, -2, 3))}},
		"lost":        {ops: []history.Op{made(ok, 1), made(ok, 2), kindOf("read", 8, 9, ok, entry(1, 1, 1, 5, 5))}, want: []string{"entry lost", "entry 2 of T2"}},
		"doubled":     {ops: []history.Op{made(unknown, 1), kindOf("read", 8, 9, ok, entry(1, 1, 1, 5, 5), entry(1, 1, 2, 5, 10))}, want: []string{"entry doubled", "there 2 times"}},
		"of a fail":   {ops: []history.Op{made(fail, 1), kindOf("read", 8, 9, ok, entry(1, 1, 1, 5, 5))}, want: []string{"refused entry"}},
		"of nobody":   {ops: []history.Op{kindOf("read", 8, 9, ok, entry(1, 1, 1, 5, 5))}, want: []string{"entry of nobody"}},
		"seen, gone":  {ops: []history.Op{made(unknown, 1), kindOf("look", 3, 4, ok, entry(1, 1, 1, 5, 5)), kindOf("read", 8, 9, ok)}, want: []string{"entry lost"}},
		"lost update": {ops: []history.Op{made(ok, 1), made(ok, 2), kindOf("read", 8, 9, ok, entry(1, 1, 1, 5, 5), entry(1, 2, 2, 5, 5))}, want: []string{"balance wrong", "it should be at place 2 with 10"}},
		"a gap":       {ops: []history.Op{made(ok, 1), kindOf("read", 8, 9, ok, entry(1, 1, 2, 5, 5))}, want: []string{"balance wrong"}},
		"not read":    {ops: []history.Op{made(ok, 1)}, want: []string{"never read"}},
	})
}

func TestLongFork(t *testing.T) {
	judge(t, func(ops []history.Op) []Finding { return LongFork(ops, 2) }, map[string]judged{
		"right":     {ops: []history.Op{kindOf("read", 0, 9, ok, read(2, 1), read(3, 0)), kindOf("read", 0, 9, ok, read(2, 1), read(3, 1)), kindOf("read", 0, 9, ok, read(2, 0), read(3, 0))}},
		"fork":      {ops: []history.Op{kindOf("read", 0, 9, ok, read(2, 1), read(3, 0)), kindOf("read", 0, 9, ok, read(2, 1), read(3, 1)), kindOf("read", 0, 9, ok, read(2, 0), read(3, 1))}, want: []string{"long fork", "group 1"}},
		"goes back": {ops: []history.Op{kindOf("read", 0, 1, ok, read(2, 1), read(3, 0)), kindOf("read", 2, 3, ok, read(2, 0), read(3, 0))}, want: []string{"went back", "T2 began after T1 had ended"}},
	})
}

func TestWriteSkew(t *testing.T) {
	judge(t, WriteSkew, map[string]judged{
		"one loses":       {ops: []history.Op{kindOf("off", 0, 9, ok, read(4, 1), read(5, 1), write(4, 0)), kindOf("off", 0, 9, ok, read(4, 0), read(5, 1)), kindOf("off", 0, 9, fail, read(4, 1), read(5, 1), write(5, 0))}},
		"both":            {ops: []history.Op{kindOf("off", 0, 9, ok, read(4, 1), read(5, 1), write(4, 0)), kindOf("off", 0, 9, ok, read(4, 1), read(5, 1), write(5, 0))}, want: []string{"write skew", "T1 and T2 each found k4 and k5"}},
		"different pairs": {ops: []history.Op{kindOf("off", 0, 9, ok, read(4, 1), read(5, 1), write(5, 0)), kindOf("off", 0, 9, ok, read(6, 1), read(7, 1), write(6, 0))}},
	})
}

func TestPredicates(t *testing.T) {
	count := func(n int64) history.Step { return history.Step{Do: history.Count, Key: 1, Got: n} }
	judge(t, Predicates, map[string]judged{
		"right":   {ops: []history.Op{kindOf("add", 0, 9, ok, count(0), write(1, 1)), kindOf("add", 0, 9, unknown, count(1), write(1, 2)), kindOf("add", 0, 9, ok, count(1), write(1, 3))}},
		"phantom": {ops: []history.Op{kindOf("add", 0, 9, ok, count(0), write(1, 1)), kindOf("add", 0, 9, ok, count(0), write(1, 2))}, want: []string{"phantom", "T1 and T2 each counted 0 rows"}},
	})
}

func TestNumbers(t *testing.T) {
	judge(t, Numbers, map[string]judged{
		"right":            {ops: []history.Op{kindOf("next", 0, 1, ok, next(1, 1)), kindOf("next", 0, 0, unknown, next(1, 0)), kindOf("next", 2, 9, ok, next(1, 4)), kindOf("next", 2, 9, ok, next(1, 3)), kindOf("next", 2, 9, ok, next(2, 3))}},
		"twice":            {ops: []history.Op{kindOf("next", 0, 9, ok, next(1, 1)), kindOf("next", 0, 9, ok, next(1, 1))}, want: []string{"number repeated", "T1 and T2 both got 1"}},
		"goes back":        {ops: []history.Op{kindOf("next", 0, 1, ok, next(1, 4)), kindOf("next", 2, 3, ok, next(1, 3))}, want: []string{"went back"}},
		"old":              {ops: []history.Op{kindOf("next", 0, 1, ok, next(1, 4)), kindOf(Bounded, 2, 3, ok, read(1, 3))}},
		"too old":          {ops: []history.Op{kindOf("next", 0, 1, ok, next(1, 4)), kindOf(Bounded, int(Staleness)+2, int(Staleness)+3, ok, read(1, 3))}, want: []string{"went back", "T2 began"}},
		"a read goes back": {ops: []history.Op{kindOf("next", 0, 1, ok, next(1, 4)), kindOf("read", 2, 3, ok, read(1, 3))}, want: []string{"went back"}},
	})
}
