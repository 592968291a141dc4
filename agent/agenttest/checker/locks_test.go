package checker

import (
	"testing"

	"github.com/nodedb/nodedb/agent/agenttest/history"
)

func took(limit int64, jobs ...int) []history.Step {
	steps := []history.Step{{Do: history.Count, Arg: limit, Got: int64(len(jobs))}}
	for _, j := range jobs {
		steps = append(steps, history.Step{Do: history.Take, Key: j})
	}
	return steps
}

func TestJobs(t *testing.T) {
	put := kindOf(Put, 0, 1, ok, write(1, 1), write(2, 1))
	judge(t, Jobs, map[string]judged{
		"right":             {ops: []history.Op{put, kindOf(Take, 2, 3, ok, took(1, 1)...), kindOf("read", 4, 5, ok, read(2, 0))}},
		"refused, and then": {ops: []history.Op{put, kindOf(Take, 2, 3, fail, took(1, 1)...), kindOf(Take, 4, 5, ok, took(2, 1, 2)...), kindOf("read", 6, 7, ok)}},
		"unknown":           {ops: []history.Op{put, kindOf(Take, 2, 3, unknown, took(1)...), kindOf("read", 4, 5, ok, read(1, 0))}},
		"twice": {ops: []history.Op{put, kindOf(Take, 2, 9, ok, took(1, 1)...), kindOf(Take, 3, 8, ok, took(1, 1)...)},
			want: []string{"job taken twice", "T2 and T3 both took job 1"}},
		"lost":      {ops: []history.Op{put, kindOf("read", 4, 5, ok, read(1, 0))}, want: []string{"job lost", "1 jobs", "T2 looked"}},
		"came back": {ops: []history.Op{put, kindOf(Take, 2, 3, ok, took(1, 1)...), kindOf("read", 4, 5, ok, read(1, 0), read(2, 0))}, want: []string{"job came back", "T2 took job 1"}},
		"of nobody": {ops: []history.Op{kindOf(Take, 2, 3, ok, took(1, 1)...)}, want: []string{"job of nobody"}},
		"passed over": {ops: []history.Op{put, kindOf(Take, 2, 3, ok, took(1)...), kindOf(Take, 4, 5, ok, took(1, 1)...), kindOf("read", 6, 7, ok, read(2, 0))},
			want: []string{"job passed over", "T2 found 0 jobs of 1", "T3 took it later"}},
		"locked by another": {ops: []history.Op{put, kindOf(Take, 2, 4, ok, took(1)...), kindOf(Take, 3, 5, ok, took(1, 2)...), kindOf(Take, 6, 7, ok, took(1, 1)...), kindOf("read", 8, 9, ok)}},
	})
}

func TestHolds(t *testing.T) {
	held := func(kind string, from, to int64) history.Op {
		return kindOf(kind, int(from)-1, int(to)+1, ok, history.Step{Do: history.Hold, Key: 7, List: []int64{from, to}})
	}
	judge(t, Holds, map[string]judged{
		"one after another": {ops: []history.Op{held(Hold, 1, 5), held(Hold, 6, 9), held(Hold, 10, 12)}},
		"shared":            {ops: []history.Op{held(Shared, 1, 5), held(Shared, 2, 9), held(Hold, 10, 12)}},
		"two":               {ops: []history.Op{held(Hold, 1, 5), held(Hold, 4, 9)}, want: []string{"held by two", "lock 7: T1 held it until 5ns and T2 from 4ns"}},
		"one inside":        {ops: []history.Op{held(Hold, 1, 20), held(Hold, 4, 5)}, want: []string{"held by two"}},
		"shared, and alone": {ops: []history.Op{held(Shared, 1, 8), held(Shared, 2, 3), held(Hold, 4, 9)}, want: []string{"held by two", "T1 held it until 8ns and T3"}},
	})
}

func TestPast(t *testing.T) {
	at := func(ms int64, values ...int64) history.Op {
		steps := []history.Step{{Do: history.Time, Arg: ms}}
		for k, v := range values {
			steps = append(steps, read(k, v))
		}
		return kindOf("read", 0, 1, ok, steps...)
	}
	judge(t, func(ops []history.Op) []Finding { return Past(ops, 2) }, map[string]judged{
		"right":     {ops: []history.Op{at(500, 3, 5), at(0, 1, 1), at(500, 3, 5)}},
		"changed":   {ops: []history.Op{at(500, 3, 5), at(0, 1, 1), at(500, 4, 6)}, want: []string{"past changed", "T1 found 3 in k0 and T3 found 4"}},
		"went back": {ops: []history.Op{at(500, 3, 5), at(0, 4, 4)}, want: []string{"went back", "T2 found 4 in k0, and T1"}},
		"half":      {ops: []history.Op{at(0, 4, 5)}, want: []string{"half a transaction"}},
		"lost":      {ops: []history.Op{at(0, 4)}, want: []string{"counters lost"}},
	})
}

func TestBulk(t *testing.T) {
	saw := func(call int, low, high, n int64) history.Op {
		return kindOf("read", call, call+1, ok, read(0, low), read(0, high), history.Step{Do: history.Count, Got: n})
	}
	judge(t, func(ops []history.Op) []Finding { return Bulk(ops, 9) }, map[string]judged{
		"right":     {ops: []history.Op{saw(0, 0, 0, 9), kindOf("write", 1, 2, ok, write(0, 1)), saw(3, 1, 1, 9), kindOf("write", 5, 6, unknown, write(0, 2)), saw(7, 1, 1, 9), saw(9, 2, 2, 9)}},
		"late":      {ops: []history.Op{kindOf("write", 1, 2, unknown, write(0, 1)), kindOf("write", 3, 4, ok, write(0, 2)), saw(5, 2, 2, 9), saw(7, 1, 1, 9)}},
		"half seen": {ops: []history.Op{kindOf("write", 1, 2, ok, write(0, 1)), saw(3, 0, 1, 9)}, want: []string{"half seen", "from 0 to 1"}},
		"refused":   {ops: []history.Op{kindOf("write", 1, 2, fail, write(0, 1)), saw(3, 1, 1, 9)}, want: []string{"refused write", "T1 was refused"}},
		"lost":      {ops: []history.Op{saw(3, 1, 1, 8)}, want: []string{"rows lost"}},
		"stale":     {ops: []history.Op{kindOf("write", 1, 2, ok, write(0, 1)), saw(3, 0, 0, 9)}, want: []string{"went back"}},
	})
}
