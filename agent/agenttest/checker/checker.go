// Package checker judges histories: pure functions from operations to what is wrong
// with them.
//
// Every checker has a history in its tests that it must reject and one that it must
// accept. What it finds names the transactions by their ids (T7), so that the lines
// of the history can be read beside it.
//
// # Invariants
//
//  1. An operation of outcome fail had no effect; one of outcome unknown may have
//     had its effect at any time after its call, or never.
//  2. No checker is slower than n log n in the operations, but Registers, which is
//     exponential in what one key's clients did at the same time and gives up.
//
// # Concurrency
//
// Functions without state.
package checker

import (
	"fmt"
	"strings"

	"github.com/nodedb/nodedb/agent/agenttest/history"
)

// Finding is one thing that is wrong with a history.
type Finding struct {
	Name string // of the anomaly, such as G1c
	What string // in one sentence, with the transactions named
	Ops  []history.Op
}

func (f Finding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", f.Name, f.What)
	for i := range f.Ops {
		fmt.Fprintf(&b, "\n    %s", &f.Ops[i])
	}
	return b.String()
}

// most bounds what one checker reports: the first findings say it all.
const most = 10

// findings collects.
type findings []Finding

func (f *findings) add(name string, ops []history.Op, format string, args ...any) {
	if len(*f) < most {
		*f = append(*f, Finding{Name: name, What: fmt.Sprintf(format, args...), Ops: ops})
	}
}

// Only keeps the findings that have one of some names.
func Only(all []Finding, names ...string) (out []Finding) {
	for _, f := range all {
		for _, n := range names {
			if f.Name == n {
				out = append(out, f)
			}
		}
	}
	return out
}
